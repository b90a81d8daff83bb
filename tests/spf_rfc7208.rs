//! What the openspf suite leaves open of RFC 7208: what a result says besides its one word, and the limits to the letter.

mod spf;

#[path = "spf/build.rs"]
mod build;

use reputon::stages::spf::{Identity, SpfInput, SpfResult, Verdict, check_host};

use build::zone;
use spf::{Records, Zone, ZoneResolver, ready};

fn check(lines: &[&str], ip: &str, mail_from: &str) -> SpfResult {
    let resolver = ZoneResolver::new(&zone(lines));
    let ip = ip.parse().expect("a good address");
    ready(check_host(
        &resolver,
        &SpfInput::new(ip, "helo.test.example", mail_from),
    ))
}

#[test]
fn the_json_is_that_of_the_contract() {
    let lines = [
        "a.test TXT v=spf1 mx -all exp=why.a.test",
        "why.a.test TXT %{i} is bad",
        "a.test MX m.a.test",
    ];
    let json = serde_json::to_value(check(&lines, "192.0.2.1", "x@a.test")).expect("plain data");
    let expected = serde_json::json!({
        "result": "fail", "mechanism": "-all", "explanation": "192.0.2.1 is bad", "lookups": 1, "void_lookups": 1,
        "identity": "mailfrom", "domain": "a.test", "record": "v=spf1 mx -all exp=why.a.test", "problem": null,
    });
    assert_eq!(json, expected);
}

#[test]
fn section_2_3_the_null_sender_is_checked_by_helo() {
    let result = check(&["helo.test.example TXT v=spf1 +all"], "192.0.2.1", "<>");
    assert_eq!((result.result, result.identity), (Verdict::Pass, Identity::Helo));
    assert_eq!(result.domain, "helo.test.example");
}

#[test]
fn section_4_6_a_syntax_error_has_its_place_and_text() {
    let result = check(
        &["a.test TXT v=spf1 ip4:192.0.2.1 ip4:192.0.2.300 -all"],
        "192.0.2.1",
        "x@a.test",
    );
    let problem = result.problem.expect("a permerror has one");
    assert_eq!((result.result, problem.position), (Verdict::Permerror, Some(25)));
    assert!(problem.text.contains("\"ip4:192.0.2.300\""), "{}", problem.text);
    assert_eq!(problem.domain, "a.test");
}

#[test]
fn section_4_6_a_syntax_error_of_an_included_record_names_its_domain() {
    let lines = [
        "a.test TXT v=spf1 include:b.test -all",
        "b.test TXT v=spf1 \u{1b}[31m -all",
    ];
    let problem = check(&lines, "192.0.2.1", "x@a.test")
        .problem
        .expect("a permerror has one");
    assert_eq!((problem.domain.as_str(), problem.position), ("b.test", Some(7)));
    assert!(problem.text.contains("\\x1b[31m"), "{}", problem.text);
}

#[test]
fn section_4_6_4_the_eleventh_term_is_too_many() {
    let host = "a.test A 192.0.2.9";
    let ten = format!("a.test TXT v=spf1{} -all", " a".repeat(10));
    let result = check(&[host, &ten], "192.0.2.1", "x@a.test");
    assert_eq!((result.result, result.lookups), (Verdict::Fail, 10));
    let eleven = format!("a.test TXT v=spf1{} -all", " a".repeat(11));
    let result = check(&[host, &eleven], "192.0.2.1", "x@a.test");
    assert_eq!((result.result, result.lookups), (Verdict::Permerror, 10));
    let place = result.problem.and_then(|problem| problem.position);
    assert_eq!(place, Some(6 + 10 * 2 + 1));
    // Terms that are never evaluated do not count.
    let matched = format!("a.test TXT v=spf1 ip4:192.0.2.1{} -all", " a".repeat(11));
    assert_eq!(check(&[host, &matched], "192.0.2.1", "x@a.test").lookups, 0);
}

#[test]
fn section_4_6_4_the_third_void_lookup_is_too_many() {
    let two = ["a.test TXT v=spf1 a:no.b.test mx:no.b.test -all"];
    let result = check(&two, "192.0.2.1", "x@a.test");
    assert_eq!((result.result, result.void_lookups), (Verdict::Fail, 2));
    let three = ["a.test TXT v=spf1 a:no.b.test mx:no.b.test exists:no.b.test -all"];
    let result = check(&three, "192.0.2.1", "x@a.test");
    assert_eq!((result.result, result.void_lookups), (Verdict::Permerror, 3));
    assert!(result.problem.expect("has one").text.contains("no.b.test"));
}

#[test]
fn section_4_6_4_a_client_with_bad_reverse_names_is_not_the_publishers_fault() {
    let mut lines = vec!["a.test TXT v=spf1 ptr -all".to_owned()];
    lines.extend((0..9).map(|index| format!("1.2.0.192.in-addr.arpa PTR no{index}.a.test")));
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let result = check(&lines, "192.0.2.1", "x@a.test");
    assert_eq!((result.result, result.void_lookups), (Verdict::Fail, 0));
}

#[test]
fn section_5_2_an_included_explanation_and_mechanism_do_not_show() {
    let lines = [
        "a.test TXT v=spf1 include:b.test ~all",
        "b.test TXT v=spf1 ip4:192.0.2.1 -all exp=why.b.test",
        "why.b.test TXT no",
    ];
    let passed = check(&lines, "192.0.2.1", "x@a.test");
    assert_eq!(passed.mechanism.as_deref(), Some("include:b.test"));
    let soft = check(&lines, "192.0.2.2", "x@a.test");
    assert_eq!((soft.result, soft.explanation), (Verdict::Softfail, None));
}

#[test]
fn section_5_4_a_null_mx_is_no_host() {
    let mut zone: Zone = zone(&["a.test TXT v=spf1 mx mx mx mx -all"]);
    let records: &mut Records = zone.get_mut("a.test").expect("it is there");
    records.mx.push((0, String::new()));
    let input = SpfInput::new([192, 0, 2, 1].into(), "h.test.example", "x@a.test");
    let result = ready(check_host(&ZoneResolver::new(&zone), &input));
    assert_eq!((result.result, result.void_lookups), (Verdict::Fail, 0));
}

#[test]
fn section_5_failed_lookups_are_temporary_and_say_what_failed() {
    let lines = ["a.test TXT v=spf1 exists:slow.test -all", "slow.test TIMEOUT"];
    let result = check(&lines, "192.0.2.1", "x@a.test");
    let problem = result.problem.expect("a temperror has one");
    assert_eq!((result.result, problem.position), (Verdict::Temperror, Some(7)));
    assert_eq!(problem.text, "A of slow.test: no answer");
}

#[test]
fn section_6_1_a_redirect_decides_with_its_own_terms_and_explanation() {
    let lines = [
        "a.test TXT v=spf1 redirect=b.test exp=why.a.test",
        "b.test TXT v=spf1 -all exp=%{d}.why.test",
        "why.a.test TXT wrong",
        "b.test.why.test TXT %{d} %{o} at %{t}",
    ];
    let resolver = ZoneResolver::new(&zone(&lines));
    let mut input = SpfInput::new([192, 0, 2, 1].into(), "h.test.example", "x@a.test");
    input.timestamp = 42;
    let result = ready(check_host(&resolver, &input));
    assert_eq!(result.explanation.as_deref(), Some("b.test a.test at 42"));
    assert_eq!((result.mechanism.as_deref(), result.lookups), (Some("-all"), 1));
}

#[test]
fn section_6_2_a_hostile_explanation_is_left_out_and_a_hostile_sender_escaped() {
    let hostile = ["a.test TXT v=spf1 -all exp=e.a.test", "e.a.test TXT bad \u{1b}[31m"];
    assert_eq!(check(&hostile, "192.0.2.1", "x@a.test").explanation, None);
    let honest = ["a.test TXT v=spf1 -all exp=e.a.test", "e.a.test TXT no, %{l}"];
    let explanation = check(&honest, "192.0.2.1", "\u{1b}[2J@a.test").explanation;
    assert_eq!(explanation.as_deref(), Some("no, \\x1b[2J"));
}

#[test]
fn section_7_3_p_prefers_the_domain_and_what_is_below_it() {
    let lines = [
        "1.2.0.192.in-addr.arpa PTR z.other.test",
        "1.2.0.192.in-addr.arpa PTR m.a.test",
        "1.2.0.192.in-addr.arpa PTR liar.test",
        "z.other.test A 192.0.2.1",
        "m.a.test A 192.0.2.1",
        "liar.test A 192.0.2.99",
        "a.test TXT v=spf1 -all exp=e.test.example",
        "c.test TXT v=spf1 -all exp=e.test.example",
        "liar.test TXT v=spf1 -all exp=e.test.example",
        "e.test.example TXT %{p}",
    ];
    let validated = |from: &str| check(&lines, "192.0.2.1", from).explanation;
    assert_eq!(validated("x@a.test").as_deref(), Some("m.a.test"));
    assert_eq!(validated("x@c.test").as_deref(), Some("z.other.test"));
    assert_eq!(validated("x@liar.test").as_deref(), Some("z.other.test"));
    let nobody = check(&lines, "192.0.2.2", "x@a.test");
    assert_eq!(nobody.explanation.as_deref(), Some("unknown"));
}
