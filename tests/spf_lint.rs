//! What the lint says of policies: which finding, how bad, and where.

mod spf;

#[path = "spf/build.rs"]
mod build;

use reputon::stages::Severity;
use reputon::stages::spf::{SpfReport, lint};

use build::zone;
use spf::{ZoneResolver, ready};

fn report(lines: &[&str]) -> SpfReport {
    ready(lint(&ZoneResolver::new(&zone(lines)), "a.test"))
}

/// The codes of all findings with their places.
fn codes(report: &SpfReport) -> Vec<(&str, Option<usize>)> {
    let findings = report.findings.iter();
    findings
        .map(|found| (found.finding.code.as_str(), found.position))
        .collect()
}

/// The codes for a policy of one record.
fn codes_of(record: &str, more: &[&str]) -> Vec<(String, Option<usize>)> {
    let own = format!("a.test TXT {record}");
    let mut lines = vec![own.as_str()];
    lines.extend(more);
    let report = report(&lines);
    assert!(
        report.findings.iter().all(|found| found.finding.mend.is_some()),
        "all have a mend"
    );
    codes(&report)
        .into_iter()
        .map(|(code, place)| (code.to_owned(), place))
        .collect()
}

fn only(code: &str, place: Option<usize>) -> Vec<(String, Option<usize>)> {
    vec![(code.to_owned(), place)]
}

#[test]
fn a_good_policy_has_no_findings() {
    let hosts = [
        "m.a.test A 192.0.2.1",
        "m.a.test AAAA 2001:db8::1",
        "b.test TXT v=spf1 ip4:198.51.100.0/24 ~all",
    ];
    for record in [
        "v=spf1 -all",
        "v=spf1 a:m.a.test ip4:203.0.113.0/24 ip6:2001:db8::/32 include:b.test ~all",
        "v=spf1 redirect=b.test",
        "v=spf1 exists:%{i}._spf.a.test -all",
    ] {
        assert_eq!(codes_of(record, &hosts), vec![], "{record}");
    }
}

#[test]
fn slips_of_one_record_are_found_where_they_are() {
    for (record, code, place) in [
        ("v=spf1 ip4:192.0.2.1 +all", "spf_plus_all", Some(21)),
        ("v=spf1 ip4:192.0.2.1 all", "spf_plus_all", Some(21)),
        ("v=spf1 ip4:192.0.2.1 ?all", "spf_neutral_all", Some(21)),
        ("v=spf1 ip4:192.0.2.1", "spf_no_all", None),
        ("v=spf1 ptr -all", "spf_ptr", Some(7)),
        ("v=spf1 exists:%{p}.b.test -all", "spf_ptr", Some(7)),
        ("v=spf1 -all ip4:192.0.2.1", "spf_unreachable_terms", Some(12)),
        ("v=spf1 -all redirect=b.test", "spf_unreachable_terms", Some(12)),
        ("v=spf1 ip4:10.0.0.0/8 -all", "spf_wide", None),
        ("v=spf1 ip6:2001::/16 -all", "spf_wide", Some(7)),
        ("v=spf1 a:gone.test -all", "spf_void_lookups", Some(7)),
        ("v=spf1 mx:gone.test -all", "spf_void_lookups", Some(7)),
        ("v=spf1 ip4:192.0.2.1 ip4:192.0.2.1 -all", "spf_repeated_term", Some(21)),
        ("v=spf1 include:gone.test -all", "spf_include_missing", Some(7)),
        ("v=spf1 include:a.test -all", "spf_loop", Some(7)),
        ("v=spf1 include:slow.test -all", "spf_dns_error", Some(7)),
        ("v=spf1 include:open.test -all", "spf_plus_all", Some(7)),
        ("v=spf1 ipv4:192.0.2.1 -all", "spf_syntax", Some(7)),
        ("v=spf1 include:bad.test -all", "spf_syntax", Some(7)),
        ("v=spf1 include=bad.test x=y -all", "spf_ignored_term", Some(7)),
    ] {
        let more = [
            "slow.test TIMEOUT",
            "open.test TXT v=spf1 +all",
            "bad.test TXT v=spf1 moo",
        ];
        assert_eq!(codes_of(record, &more), only(code, place), "{record}");
    }
}

#[test]
fn missing_and_several_records() {
    assert_eq!(codes(&report(&["a.test A 192.0.2.1"])), [("spf_missing", None)]);
    let two = report(&["a.test TXT v=spf1 -all", "a.test TXT v=spf1 ~all", "a.test TXT hello"]);
    assert_eq!(codes(&two), [("spf_multiple", None)]);
    assert!(two.findings[0].finding.text.contains("2 SPF records"));
    let obsolete = report(&["a.test TXT v=spf1 -all", "a.test SPF v=spf1 -all"]);
    assert_eq!(codes(&obsolete), [("spf_obsolete_type", None)]);
}

#[test]
fn lookups_are_counted_through_includes_and_up_to_all() {
    let lines = [
        "a.test TXT v=spf1 a include:b.test include:c.test -all mx",
        "b.test TXT v=spf1 a a a mx redirect=c.test",
        "c.test TXT v=spf1 exists:%{i}.c.test ptr ?all a",
        "a.test A 192.0.2.1",
        "b.test A 192.0.2.1",
        "b.test MX a.test",
    ];
    let report = report(&lines);
    // a + include b (4 and the redirect with 2) + include c (2).
    assert_eq!((report.lookups, report.complete), (1 + 1 + 4 + 1 + 2 + 1 + 2, true));
    assert!(codes(&report).contains(&("spf_too_many_lookups", None)));
}

#[test]
fn r10_a_loop_and_a_fan_of_includes_end() {
    let loops = report(&[
        "a.test TXT v=spf1 include:b.test -all",
        "b.test TXT v=spf1 include:A.test -all",
    ]);
    assert_eq!(codes(&loops), [("spf_loop", None)]);
    let mut lines = vec!["a.test TXT v=spf1 include:x0.test include:x0.test -all".to_owned()];
    for level in 0..12 {
        let next = level + 1;
        lines.push(format!(
            "x{level}.test TXT v=spf1 include:x{next}.test include:x{next}.test -all"
        ));
    }
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let fan = report(&lines);
    assert!(!fan.complete && fan.lookups > 10);
    assert!(fan.findings.iter().any(|found| found.finding.text.contains("at least")));
}

#[test]
fn what_is_authorised_is_a_union() {
    let lines = [
        "a.test TXT v=spf1 ip4:192.0.2.0/24 ip4:192.0.2.128/25 -ip4:10.0.0.0/8 a/31 mx ?include:n.test include:b.test ~all",
        "a.test A 198.51.100.7",
        "a.test MX m.a.test",
        "m.a.test A 203.0.113.1",
        "b.test TXT v=spf1 ip4:192.0.2.7 ip4:203.0.113.2 ?ip4:11.0.0.0/8 -all",
        "n.test TXT v=spf1 ip4:12.0.0.0/8 -all",
    ];
    assert_eq!(report(&lines).ip4_addresses, 256 + 2 + 1 + 1);
    let everybody = report(&["a.test TXT v=spf1 +all"]);
    assert_eq!((everybody.ip4_addresses, everybody.ip4_share), (1 << 32, 1.0));
    let half = report(&["a.test TXT v=spf1 ip4:0.0.0.0/1 -all"]);
    assert_eq!(half.findings[0].finding.severity, Severity::Error);
}

#[test]
fn hostile_text_is_escaped_and_bounded() {
    let own = format!("a.test TXT v=spf1 \u{1b}]0;{} -all", "x".repeat(5_000));
    let report = report(&[&own]);
    let text = &report.findings[0].finding.text;
    assert_eq!(report.findings[0].position, Some(7));
    assert!(text.contains("\\x1b]0;x") && text.len() < 1_000 && !text.contains('\u{1b}'));
    assert!(report.record.expect("there is one").len() < 6_000);
}

#[test]
fn usual_slips_get_a_hint() {
    for (record, hint) in [
        ("v=spf1 ipv4:192.0.2.1 -all", "ip4:"),
        ("v=spf1 a:192.0.2.1 -all", "ip4:"),
        ("v=spf1 192.0.2.1 -all", "ip4:"),
        ("v=spf1 redirect:b.test", "equals"),
        ("v=spf1 include=b.test -all", "colon"),
        ("v=spf1 mx, -all", "spaces"),
        ("v=spf1 ip4:192.0.2.1 v=spf1 -all", "one \"v=spf1\""),
    ] {
        let own = format!("a.test TXT {record}");
        let report = report(&[&own]);
        let mend = report.findings[0].finding.mend.as_deref().unwrap_or_default();
        assert!(mend.contains(hint), "{record}: {mend}");
    }
}
