//! One stage alone through the program, over the embedded world: what comes out, in which form, with which exit status.

use assert_cmd::Command;
use serde_json::Value;

fn reputon(args: &[&str]) -> std::process::Output {
    Command::cargo_bin("reputon")
        .expect("the binary is built")
        .args(args)
        .timeout(std::time::Duration::from_secs(60))
        .output()
        .expect("it runs")
}

/// The objects of a command over the embedded world, which must know all.
fn records(args: &[&str]) -> Vec<Value> {
    let output = reputon(&[args, &["--lab", "--format", "json"]].concat());
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let lines = output
        .stdout
        .split(|octet| *octet == b'\n')
        .filter(|line| !line.is_empty());
    lines
        .map(|line| serde_json::from_slice(line).expect("an object a line"))
        .collect()
}

fn codes(record: &Value) -> Vec<&str> {
    let findings = record["findings"].as_array().expect("findings").iter();
    findings
        .map(|finding| finding["code"].as_str().expect("a word"))
        .collect()
}

#[test]
fn each_subject_is_an_object_on_a_line_in_the_order_of_the_command_line() {
    let found = records(&[
        "rdns",
        "203.0.113.25",
        "203.0.113.100",
        "203.0.113.250",
        "2001:db8:0:25::25",
    ]);
    let results: Vec<(&str, &str)> = found
        .iter()
        .map(|record| {
            let text = |field: &str| record[field].as_str().expect("text");
            (text("target"), text("iprev"))
        })
        .collect();
    assert_eq!(
        results,
        [
            ("203.0.113.25", "pass"),
            ("203.0.113.100", "fail"),
            ("203.0.113.250", "permerror"),
            ("2001:db8:0:25::25", "pass"),
        ]
    );
}

#[test]
fn every_stage_tells_right_from_wrong() {
    let mx = records(&[
        "mx",
        "example-shop.test",
        "example-null.test",
        "example-implicit.test",
        "example-broken.test",
    ]);
    let ways: Vec<&Value> = mx.iter().map(|record| &record["way"]).collect();
    assert_eq!(ways, ["explicit", "null", "implicit", "explicit"]);
    assert_eq!(codes(&mx[3]), ["mx_address_literal", "mx_dangling", "mx_alias"]);

    let dkim = records(&[
        "dkim",
        "example-shop.test",
        "--dkim-selector",
        "s2026",
        "--dkim-selector",
        "old",
    ]);
    assert_eq!(dkim[0]["selectors"][0]["key"]["bits"], 2048);
    assert_eq!(dkim[0]["selectors"][1]["key"]["state"], "revoked");
    let bad = records(&[
        "dkim",
        "example-broken.test",
        "--dkim-selector",
        "bad",
        "--dkim-selector",
        "gone",
    ]);
    assert!(codes(&bad[0]).len() >= 2, "{}", bad[0]);

    let dmarc = records(&["dmarc", "mail.example-shop.test", "example-broken.test"]);
    assert_eq!(dmarc[0]["source"], "organizational");
    assert!(
        codes(&dmarc[1]).contains(&"dmarc_multiple") || codes(&dmarc[1]).len() > 1,
        "{}",
        dmarc[1]
    );

    let asn = records(&["asn", "203.0.113.25"]);
    assert_eq!(
        (&asn[0]["asn"], &asn[0]["abuse"]["contacts"][0]),
        (&64500.into(), &"abuse@example-hosting.test".into())
    );
}

#[test]
fn spf_answers_by_the_contract() {
    let spf = |ip: &str, from: &str| {
        let found = records(&[
            "spf",
            "--ip",
            ip,
            "--helo",
            "mail.example-shop.test",
            "--mail-from",
            from,
        ]);
        found.into_iter().next().expect("an object")
    };
    let pass = spf("203.0.113.25", "a@example-shop.test");
    assert_eq!(
        (&pass["result"], &pass["mechanism"]),
        (&"pass".into(), &"ip4:203.0.113.25".into())
    );
    let fail = spf("192.0.2.1", "a@example-hostile.test");
    assert_eq!(fail["result"], "fail");
    assert!(
        fail["explanation"].is_null(),
        "a text with controls is no explanation (RFC 7208 §6.2): {fail}"
    );
    let many = spf("192.0.2.1", "a@example-many.test");
    assert_eq!((&many["result"], &many["lookups"]), (&"permerror".into(), &10.into()));
    assert_eq!(spf("192.0.2.1", "a@example-loop.test")["result"], "permerror");
    assert_eq!(spf("192.0.2.1", "a@example-implicit.test")["result"], "none");
}

#[test]
fn what_is_not_known_is_no_answer_and_no_success() {
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback");
    let address = silent.local_addr().expect("bound").to_string();
    let ask = |args: &[&str]| {
        let quick = [
            "--timeout",
            "0.1",
            "--retries",
            "0",
            "--format",
            "json",
            "--resolver",
            &address,
        ];
        reputon(&[args, &quick].concat())
    };
    for args in [
        ["rdns", "192.0.2.7"],
        ["mx", "example.test"],
        ["dkim", "example.test"],
        ["dmarc", "example.test"],
        ["asn", "192.0.2.7"],
    ] {
        let output = ask(&args);
        assert_eq!(output.status.code(), Some(3), "{args:?}");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(text.contains("unknown"), "{args:?}: {text}");
    }
    let output = ask(&["spf", "--ip", "192.0.2.7", "--mail-from", "a@example.test"]);
    let record: Value = serde_json::from_slice(&output.stdout).expect("an object");
    assert_eq!(record["result"], "temperror");
}

#[test]
fn people_get_lines_without_control_characters() {
    let output = reputon(&["rdns", "203.0.113.113", "203.0.113.25", "--lab", "--format", "table"]);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(text.contains("mail.example-shop.test") && text.contains("→"), "{text}");
    assert!(text.chars().all(|letter| letter == '\n' || !letter.is_control()));
}
