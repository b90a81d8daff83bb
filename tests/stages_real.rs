//! The stages against real servers: nsd serves the zones of a mail provider and its reverse zone, unbound resolves before
//! it, postfix greets. Also peers that greet slowly, without end, or with something that is no SMTP.

mod peers;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use assert_cmd::Command;
use peers::postfix::Postfix;
use peers::{Peer, forward_all_to, free_addr};
use serde_json::Value;

const HEAD: &str = "$TTL 300\n@ SOA ns.shop.test. host.shop.test. 1 600 300 86400 60\n@ NS ns.shop.test.\n";

/// The zones: `shop.test` is well kept, `bad.test` is not.
fn zones() -> Vec<(&'static str, String)> {
    let shop = format!(
        "{HEAD}ns A 127.0.0.1\n@ MX 10 mail\nmail A 192.0.2.25\n@ TXT \"v=spf1 mx include:_spf.shop.test -all\"\n\
         _spf TXT \"v=spf1 ip4:192.0.2.128/25 -all\"\n_dmarc TXT \"v=DMARC1; p=reject\"\n\
         k1._domainkey CNAME k1._domainkey.bad.test.\nwww CNAME mail\n"
    );
    let bad = format!(
        "{HEAD}@ MX 10 alias\n@ MX 20 gone\nalias CNAME mail.shop.test.\n@ TXT \"v=spf1 ip4:192.0.2.0/33 -all\"\n\
         _dmarc TXT \"v=DMARC1; p=sometimes\"\n\
         k1._domainkey TXT \"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\"\n\
         k2._domainkey TXT \"v=DKIM1; p=%%%\"\nmany TXT \"v=spf1 {includes}-all\"\n",
        includes = "include:many.bad.test ".repeat(9),
    );
    let mut reverse = format!("{HEAD}25 PTR mail.shop.test.\n7 PTR pool-7.dyn.bad.test.\n");
    for last in 100..200 {
        reverse += &format!("{last} PTR host-{last}.shop.test.\n");
    }
    let cymru = format!(
        "{HEAD}2.0.192.origin TXT \"64502 | 192.0.2.0/24 | ZZ | labnic |\"\nAS64502 TXT \"64502 | ZZ | labnic | | SHOP, ZZ\"\n"
    );
    vec![
        ("shop.test", shop),
        ("bad.test", bad),
        ("2.0.192.in-addr.arpa", reverse),
        ("asn.cymru.com", cymru),
        (
            "abuse-contacts.abusix.zone",
            format!("{HEAD}0.2.0.192 TXT \"abuse@shop.test\"\n"),
        ),
    ]
}

/// nsd with unbound before it.
fn servers() -> Option<(Peer, Peer)> {
    let zones = zones();
    let zones: Vec<(&str, &str)> = zones.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let nsd = Peer::nsd(&zones, "  rrl-ratelimit: 0\n")?;
    let unbound = Peer::unbound(&forward_all_to(nsd.addr()))?;
    Some((nsd, unbound))
}

fn reputon(args: &[&str]) -> (Vec<Value>, Option<i32>) {
    let output = Command::cargo_bin("reputon")
        .expect("the binary is built")
        .args(args)
        .timeout(Duration::from_secs(60))
        .output()
        .expect("it runs");
    let lines = output
        .stdout
        .split(|octet| *octet == b'\n')
        .filter(|line| !line.is_empty());
    let read = |line| serde_json::from_slice(line).expect("an object a line");
    (lines.map(read).collect(), output.status.code())
}

fn codes(record: &Value) -> Vec<&str> {
    let findings = record["findings"].as_array().expect("findings").iter();
    findings
        .map(|finding| finding["code"].as_str().expect("a word"))
        .collect()
}

#[test]
fn every_stage_reads_what_real_servers_serve() {
    let Some((_nsd, unbound)) = servers() else { return };
    let resolver = unbound.addr().to_string();
    let ask = |args: &[&str]| {
        let (mut found, status) = reputon(&[args, &["--resolver", &resolver, "--format", "json"]].concat());
        assert_eq!(status, Some(0), "{args:?}: {found:?}");
        found.remove(0)
    };
    assert_eq!(ask(&["rdns", "192.0.2.25"])["iprev"], "pass");
    assert_eq!(ask(&["rdns", "192.0.2.99"])["iprev"], "permerror");
    let pool = ask(&["rdns", "192.0.2.7"]);
    assert_eq!(
        (&pool["iprev"], &pool["names"][0]["class"]),
        (&"fail".into(), &"dynamic".into())
    );
    assert_eq!(ask(&["mx", "shop.test"])["exchangers"][0]["addresses"][0], "192.0.2.25");
    assert_eq!(codes(&ask(&["mx", "bad.test"])), ["mx_alias", "mx_dangling"]);
    // The key is an alias's: unbound follows it.
    let key = ask(&["dkim", "shop.test", "--dkim-selector", "k1"]);
    assert_eq!(key["selectors"][0]["key"]["kind"], "ed25519", "{key}");
    assert_eq!(
        codes(&ask(&["dkim", "bad.test", "--dkim-selector", "k2"])),
        ["dkim_invalid"]
    );
    assert_eq!(ask(&["dmarc", "shop.test"])["policy"], "reject");
    assert!(!codes(&ask(&["dmarc", "bad.test"])).is_empty());
    assert_eq!(ask(&["asn", "192.0.2.25"])["asn"], 64502);
    let spf = |ip: &str, domain: &str| {
        let from = format!("a@{domain}");
        ask(&["spf", "--ip", ip, "--helo", "mail.shop.test", "--mail-from", &from])
    };
    assert_eq!(spf("192.0.2.25", "shop.test")["mechanism"], "mx");
    assert_eq!(spf("192.0.2.129", "shop.test")["mechanism"], "include:_spf.shop.test");
    assert_eq!(spf("198.51.100.1", "shop.test")["result"], "fail");
    let syntax = spf("192.0.2.1", "bad.test");
    assert_eq!(
        (&syntax["result"], &syntax["problem"]["position"]),
        (&"permerror".into(), &20.into())
    );
    let bomb = spf("192.0.2.1", "many.bad.test");
    assert_eq!((&bomb["result"], &bomb["lookups"]), (&"permerror".into(), &10.into()));
}

#[test]
fn addresses_that_share_a_domain_ask_for_it_once() {
    let Some((nsd, _unbound)) = servers() else { return };
    let resolver = nsd.addr().to_string();
    let catalogue = tempfile::NamedTempFile::with_suffix(".toml").expect("a file");
    std::fs::write(catalogue.path(), reputon::lab::CATALOGUE).expect("written");
    let path = catalogue.path().to_str().expect("UTF-8");
    let scan = |target: &str, stages: &str| {
        let args = [
            "scan",
            target,
            "--resolver",
            &resolver,
            "--only-catalogue",
            "--catalogue",
            path,
            "--lists",
            "lab-dbl",
            "--skip-health",
            "--stages",
            stages,
            "-f",
            "json",
            "-q",
        ];
        let output = Command::cargo_bin("reputon")
            .expect("the binary is built")
            .args(args)
            .output()
            .expect("it runs");
        serde_json::from_slice::<Value>(&output.stdout).expect("a document")
    };
    let report = scan("192.0.2.100-192.0.2.199", "rdns,mx,spf");
    let targets = report["targets"].as_array().expect("targets");
    assert_eq!(targets.len(), 100);
    assert!(
        targets
            .iter()
            .all(|target| target["mx"]["way"] == "explicit" && target["spf"]["domain"] == "shop.test")
    );
    // Three questions an address (PTR, A, AAAA of its name), and a handful for the domain that all share.
    let asked = report["run"]["asked"].as_u64().expect("a number");
    assert!((300..=320).contains(&asked), "{asked}");
}

#[test]
fn a_real_mail_server_is_heard_and_left_politely() {
    let (Some((_nsd, unbound)), Some(postfix)) = (servers(), Postfix::at(free_addr(), "mail.shop.test")) else {
        return;
    };
    let args = [
        "smtp-out",
        &postfix.addr().to_string(),
        "--format",
        "json",
        "--resolver",
        &unbound.addr().to_string(),
    ];
    let (found, status) = reputon(&args);
    assert_eq!((status, &found[0]["port_25"]), (Some(0), &"open".into()), "{found:?}");
    let smtp = &found[0]["tried"][0]["smtp"];
    assert_eq!((&smtp["state"], &smtp["code"]), (&"open".into(), &220.into()), "{smtp}");
    assert_eq!(
        (&smtp["name"], &smtp["has_address"]),
        (&"mail.shop.test".into(), &false.into()),
        "{smtp}"
    );
    assert_eq!(smtp["starttls"], false);
}

/// Takes one connection and does something hostile with it.
fn peer(act: impl FnOnce(std::net::TcpStream) + Send + 'static) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let addr = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        if let Ok((stream, _)) = listener.accept() {
            act(stream);
        }
    });
    addr
}

#[test]
fn slow_and_hostile_peers_are_told_from_mail_servers_in_bounded_time() {
    let slow = peer(|mut stream| {
        // An octet now and then, for ever: each reply has one deadline however it drips.
        while stream.write_all(b"2").is_ok() {
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    let endless = peer(|mut stream| while stream.write_all(&[b'x'; 4_096]).is_ok() {});
    let lines = peer(|mut stream| while stream.write_all(b"220-\x1b[2J more\r\n").is_ok() {});
    let other = peer(|mut stream| {
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.9\r\n");
        let _ = stream.read(&mut [0; 64]);
    });
    let rude = peer(|mut stream| {
        let _ = stream.write_all(b"554 go \x1b]0;away\r\n");
        let _ = stream.read(&mut [0; 64]);
    });
    for (addr, states, status) in [
        (slow, vec!["silent"], 1),
        (endless, vec!["not_smtp"], 1),
        (lines, vec!["broken", "not_smtp"], 1),
        (other, vec!["not_smtp"], 1),
        (rude, vec!["rejecting"], 0),
    ] {
        let output = Command::cargo_bin("reputon")
            .expect("the binary is built")
            .args([
                "smtp-out",
                &addr.to_string(),
                "--lab",
                "--wait",
                "1",
                "--format",
                "json",
            ])
            .timeout(Duration::from_secs(30))
            .output()
            .expect("it runs");
        let found: Value = serde_json::from_slice(&output.stdout).expect("an object");
        let state = found["tried"][0]["smtp"]["state"].as_str().expect("a word");
        assert!(states.contains(&state), "{found}");
        assert!(state == "broken" || output.status.code() == Some(status), "{found}");
        assert!(!output.stdout.contains(&0x1b));
    }
}
