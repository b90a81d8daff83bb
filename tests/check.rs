//! `check` against the embedded world: the letter says what is right, what is wrong and what is not known, and what to do
//! next; exit statuses are those of a scan.

use assert_cmd::Command;
use serde_json::Value;

fn check(args: &[&str]) -> (Value, Option<i32>) {
    let output = Command::cargo_bin("reputon")
        .expect("the binary is built")
        .args(["check", "--lab", "--format", "json", "-q"])
        .args(args)
        .timeout(std::time::Duration::from_secs(60))
        .output()
        .expect("it runs");
    let letter = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (letter, output.status.code())
}

/// The texts of a topic's lines with one mark.
fn lines<'a>(letter: &'a Value, topic: &str, mark: &str) -> Vec<&'a str> {
    let lines = letter["lines"].as_array().expect("lines").iter();
    lines
        .filter(|line| line["topic"] == topic && line["mark"] == mark)
        .map(|line| line["text"].as_str().expect("text"))
        .collect()
}

#[test]
fn a_host_is_looked_at_with_its_addresses_and_its_domain() {
    let (letter, status) = check(&["mail.example-shop.test", "--dkim-selector", "s2026"]);
    assert_eq!(status, Some(1), "one address is on a list of tier B");
    assert_eq!(
        letter["addresses"],
        serde_json::json!(["203.0.113.25", "2001:db8:0:25::25"])
    );
    assert_eq!(letter["domain"], "example-shop.test");
    assert_eq!(lines(&letter, "Reverse name", "good").len(), 2);
    for topic in [
        "Incoming mail",
        "SPF",
        "DKIM",
        "DMARC",
        "TLS policies and logo",
        "Network",
    ] {
        assert!(!lines(&letter, topic, "good").is_empty(), "{topic}: {letter}");
        assert!(lines(&letter, topic, "bad").is_empty(), "{topic}: {letter}");
    }
    let listed = lines(&letter, "Blocklists", "bad");
    assert!(listed.len() == 1 && listed[0].contains("lab-brute"), "{listed:?}");
    assert!(letter["next"][0].as_str().expect("text").contains("lab-brute"));
    assert_eq!(
        letter["targets"].as_array().expect("records").len(),
        4,
        "two addresses, host, domain"
    );
}

#[test]
fn a_domain_is_looked_at_with_its_exchangers() {
    let (letter, _) = check(&["example-broken.test"]);
    assert_eq!(letter["addresses"], serde_json::json!(["203.0.113.40"]));
    assert_eq!(lines(&letter, "Incoming mail", "bad").len(), 3);
    assert!(lines(&letter, "SPF", "bad")[0].contains("2 SPF records"));
    assert_eq!(letter["next"].as_array().expect("a list").len(), 3);
}

#[test]
fn what_is_too_permissive_or_hostile_is_said_and_harmless() {
    let (letter, _) = check(&["example-open.test"]);
    assert!(
        lines(&letter, "SPF", "bad").iter().any(|text| text.contains("+all")),
        "{letter}"
    );
    let (letter, _) = check(&["203.0.113.113"]);
    assert!(lines(&letter, "Reverse name", "bad")[0].contains("\\027[31m"));
    let table = Command::cargo_bin("reputon")
        .expect("the binary is built")
        .args(["check", "--lab", "-f", "table", "example-hostile.test"])
        .output()
        .expect("it runs");
    assert!(!table.stdout.contains(&0x1b) && !table.stdout.is_empty());
}

#[test]
fn an_address_is_looked_at_with_the_domain_of_its_name() {
    let (letter, status) = check(&["192.0.2.25"]);
    assert_eq!(
        (status, letter["domain"].as_str()),
        (Some(0), Some("example-clean.test"))
    );
    assert_eq!(letter["bad"], 0, "{letter}");
    assert_eq!(letter["next"], serde_json::json!([]));
    let (letter, _) = check(&["198.51.100.130"]);
    assert!(
        lines(&letter, "Reverse name", "bad")
            .iter()
            .any(|text| text.contains("changing addresses"))
    );
}

#[test]
fn what_cannot_be_checked_is_an_error_with_its_mend() {
    for subject in ["not a name", "203.0.113.0/24", "@file"] {
        let output = Command::cargo_bin("reputon")
            .expect("the binary is built")
            .args(["check", "--lab", subject])
            .output()
            .expect("it runs");
        assert_eq!(output.status.code(), Some(2), "{subject}");
        assert!(
            String::from_utf8_lossy(&output.stderr).contains("host, address or domain"),
            "{subject}"
        );
    }
}

#[test]
fn a_silent_resolver_leaves_everything_unknown_and_nothing_good() {
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback");
    let address = silent.local_addr().expect("bound").to_string();
    let output = Command::cargo_bin("reputon")
        .expect("the binary is built")
        .args([
            "check",
            "192.0.2.25",
            "--format",
            "json",
            "--timeout",
            "0.1",
            "--retries",
            "0",
        ])
        .args(["--resolver", &address])
        .timeout(std::time::Duration::from_secs(60))
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(3));
    let letter: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(letter["good"], 0, "{letter}");
    assert!(letter["unknown"].as_u64().expect("a number") >= 2, "{letter}");
}

#[test]
fn data_on_disk_is_evaluated_and_its_list_not_asked() {
    let data = tempfile::NamedTempFile::with_suffix(".ip4set").expect("a file");
    std::fs::write(data.path(), ":127.0.0.2:by our own data\n192.0.2.25\n").expect("written");
    let local = format!("lab-brute={}", data.path().display());
    let (letter, status) = check(&["192.0.2.25", "--lists", "lab-brute,lab-dbl", "--zone-data", &local]);
    assert_eq!(status, Some(1));
    let listed = lines(&letter, "Blocklists", "bad");
    assert!(listed.len() == 1 && listed[0].contains("by our own data"), "{letter}");
    let told = &letter["targets"][0]["listings"][0];
    assert_eq!((&told["list"], &told["how"]), (&"lab-brute".into(), &"local".into()));

    // The domain is a target of its own; the address's own dossier does not repeat what is said of it.
    let names = tempfile::NamedTempFile::with_suffix(".dnset").expect("a file");
    std::fs::write(names.path(), ":127.0.0.4:a bad domain\nexample-clean.test\n").expect("written");
    let local = format!("lab-multi={}", names.path().display());
    let (letter, _) = check(&["192.0.2.25", "--lists", "lab-multi", "--zone-data", &local]);
    let listed = lines(&letter, "Blocklists", "bad");
    assert!(
        listed.len() == 1 && listed[0].contains("example-clean.test is on lab-multi"),
        "{letter}"
    );

    for wrong in ["no-such-list=/dev/null", "lab-brute=/no/such/file"] {
        let output = Command::cargo_bin("reputon")
            .expect("the binary is built")
            .args(["check", "--lab", "192.0.2.25", "--zone-data", wrong])
            .output()
            .expect("it runs");
        assert_eq!(output.status.code(), Some(2), "{wrong}");
    }
}

#[test]
fn parts_of_a_composite_are_learnt_from_it_or_asked_themselves() {
    let how = |more: &[&str]| {
        let (letter, _) = check(&[&["203.0.113.66", "--lists", "all"], more].concat());
        let listings = letter["targets"][0]["listings"].as_array().expect("listings").clone();
        let how: std::collections::BTreeSet<String> = listings
            .iter()
            .map(|listing| listing["how"].as_str().expect("a word").to_owned())
            .collect();
        let lists: std::collections::BTreeSet<String> = listings
            .iter()
            .map(|listing| listing["list"].as_str().expect("an id").to_owned())
            .collect();
        (how, lists)
    };
    let (folded, same) = how(&[]);
    let (asked, lists) = how(&["--no-fold"]);
    assert!(
        folded.contains("folded") && !asked.contains("folded"),
        "{folded:?} {asked:?}"
    );
    assert_eq!(same, lists);
}

/// A domain that only sends has neither exchangers nor addresses; its own policies are looked at, not its parent's.
#[test]
fn a_name_that_only_sends_is_a_domain_of_its_own() {
    let (letter, _) = check(&["news.example-shop.test"]);
    assert_eq!(letter["domain"], "news.example-shop.test");
    assert!(!lines(&letter, "Incoming mail", "bad").is_empty(), "{letter}");
    assert!(
        !lines(&letter, "SPF", "bad").is_empty(),
        "the parent's record is not its own: {letter}"
    );
}

#[test]
fn the_next_things_say_what_is_wrong_and_then_what_to_do_each_once() {
    let (letter, _) = check(&["example-broken.test"]);
    let next = letter["next"].as_array().expect("a list");
    let all = letter["lines"].as_array().expect("lines");
    for thing in next {
        let thing = thing.as_str().expect("text");
        let line = all
            .iter()
            .find(|line| thing.starts_with(line["text"].as_str().expect("text")));
        let line = line.unwrap_or_else(|| panic!("{thing} is none of the lines"));
        assert_eq!(line["mark"], "bad");
        assert!(thing.ends_with(line["mend"].as_str().expect("a mend")), "{thing}");
    }
    let mends: std::collections::BTreeSet<&str> = all.iter().filter_map(|line| line["mend"].as_str()).collect();
    assert!(mends.len() >= next.len());
}
