//! The sinks by snapshot: one sample run, hostile text included, written by each of them.

use std::io::{self, Cursor, Write};

use serde_json::json;

use crate::dnsxl::{Role, Tier};
use crate::dossier::Dossier;
use crate::verdict::sample;

use super::csv::{ListingsCsv, ListsCsv, TargetsCsv};
use super::html::HtmlSink;
use super::json::{JsonSink, JsonlSink};
use super::markdown::MarkdownSink;
use super::prometheus::PrometheusSink;
use super::reputon::ReputonSink;
use super::sample::{HOSTILE, dossiers, feed};
use super::sink::Sink;
use super::table::TableSink;

macro_rules! written {
    ($out:ident => $sink:expr) => {{
        let mut $out = Vec::new();
        feed(&mut $sink, &dossiers()).expect("to memory");
        String::from_utf8($out).expect("every format is UTF-8")
    }};
}

#[test]
fn jsonl_has_the_records_fields_in_their_order() {
    insta::assert_snapshot!(written!(out => JsonlSink::new(&mut out)), @r#"
    {"type":"target","target":"192.0.2.1","kind":"ip4","verdict":"clean","rating":0.0,"confidence":1.0,"listed":0,"not_listed":6,"unknown":0,"not_asked":0,"listings":[],"unknowns":[],"findings":[]}
    {"type":"target","target":"192.0.2.7","kind":"ip4","verdict":"listed","rating":0.56,"confidence":0.9444,"listed":3,"not_listed":2,"unknown":1,"not_asked":0,"listings":[{"list":"alpha-all","zone":"{key}.all.alpha.example","operator":"Alpha","role":"block","tier":"A","codes":["127.0.0.2"],"meanings":["sends spam"],"reason":"=HYPERLINK(\"http://evil.example\")\r\n192.0.2.9,forged\u001b[2J\u202e\u2028<script>","ttl":60,"how":"asked","remove":"https://alpha.example/remove?q=192.0.2.7&x=1"},{"list":"beta","zone":"beta.example","operator":"Beta","role":"block","tier":"B","codes":["127.0.0.2"],"meanings":["sends spam"],"reason":null,"ttl":60,"how":"asked","remove":null,"remove_how":"Expires 24 hours after the last message; nobody can hurry it."},{"list":"delta-white","zone":"delta-white.example","operator":"Delta","role":"allow","tier":"W","codes":["127.0.0.2"],"meanings":["sends spam"],"reason":null,"ttl":60,"how":"asked","remove":null}],"unknowns":[{"list":"gamma","cause":"timeout"}],"rdns":{"iprev":"pass","ptr":["mail.example.org","@evil"]},"spf":{"result":"pass"},"findings":[{"stage":"spf","severity":"warning","code":"spf_plus_all","text":"anybody may send\u001b[31m","mend":"end the record with -all"}]}
    {"type":"target","target":"10.0.0.1","kind":"ip4","special_use":"private","verdict":"special_use","rating":0.0,"confidence":0.0,"listed":0,"not_listed":0,"unknown":0,"not_asked":6,"listings":[],"unknowns":[],"findings":[]}
    {"type":"target","target":"2001:db8::1","kind":"ip6","verdict":"unknown","rating":0.0,"confidence":0.3333,"listed":0,"not_listed":5,"unknown":1,"not_asked":0,"listings":[],"unknowns":[{"list":"alpha-all","cause":"refused"}],"findings":[],"revision":2}
    "#);
}

#[test]
fn json_is_one_document_with_the_run_first() {
    let text = written!(out => JsonSink::new(&mut out, Cursor::new(Vec::new())));
    let document: serde_json::Value = serde_json::from_str(&text).expect("valid");
    assert_eq!(document["targets"].as_array().expect("an array").len(), 4);
    assert_eq!(document["targets"][1]["listings"][0]["reason"], HOSTILE, "lossless");
    insta::assert_snapshot!(text.split("\"targets\":[").next().expect("a head"), @r#"
    {"run":{"started":"2026-11-23T12:00:00Z","finished":"2026-11-23T12:01:30Z","version":"0.1.0","catalogue":"c0ffee","resolvers":["127.0.0.1:53"],"targets":4,"planned":18,"asked":20,"answered":16,"retried":3,"folded":3,"pruned":0,"complete":0.8889,"queries":{"alpha":6,"beta":3}},
    "lists":[
    {"id":"alpha-all","zone":"{key}.all.alpha.example","operator":"Alpha","role":"block","tier":"A","health":"healthy","cause":null,"asked":4,"listed":1,"not_listed":0,"unknown":0,"not_asked":0},
    {"id":"beta","zone":"beta.example","operator":"Beta","role":"block","tier":"B","health":"unchecked","cause":null,"asked":0,"listed":0,"not_listed":0,"unknown":0,"not_asked":0},
    {"id":"gamma","zone":"gamma.example","operator":"Gamma, Inc.","role":"block","tier":"C","health":"unhealthy","cause":"lists_everything","asked":0,"listed":0,"not_listed":0,"unknown":0,"not_asked":0}
    ],
    "#);
}

#[test]
fn json_without_targets_is_a_document_too() {
    let mut out = Vec::new();
    feed(&mut JsonSink::new(&mut out, Cursor::new(Vec::new())), &[]).expect("to memory");
    let document: serde_json::Value = serde_json::from_slice(&out).expect("valid");
    assert_eq!(document["targets"], json!([]));
}

#[test]
fn listings_csv_has_listed_and_unknown_rows() {
    insta::assert_snapshot!(written!(out => ListingsCsv::new(&mut out, false)), @r#"
    target,list,zone,operator,role,tier,observation,cause,how,codes,meanings,reason,ttl,remove
    192.0.2.7,alpha-all,{key}.all.alpha.example,Alpha,block,A,listed,,asked,127.0.0.2,sends spam,"'=HYPERLINK(""http://evil.example"")\x0d\x0a192.0.2.9,forged\x1b[2J\u{202e}\u{2028}<script>",60,https://alpha.example/remove?q=192.0.2.7&x=1
    192.0.2.7,beta,beta.example,Beta,block,B,listed,,asked,127.0.0.2,sends spam,,60,
    192.0.2.7,gamma,gamma.example,"Gamma, Inc.",block,C,unknown,timeout,asked,,,,,
    192.0.2.7,delta-white,delta-white.example,Delta,allow,W,listed,,asked,127.0.0.2,sends spam,,60,
    2001:db8::1,alpha-all,{key}.all.alpha.example,Alpha,block,A,unknown,refused,asked,,,,,
    "#);
}

#[test]
fn listings_csv_has_every_row_if_asked() {
    let text = written!(out => ListingsCsv::new(&mut out, true));
    assert_eq!(text.lines().count(), 1 + 4 * 6, "a row for each pair");
    assert!(text.contains("10.0.0.1,beta,beta.example,Beta,block,B,not_asked,special_use,"));
}

#[test]
fn targets_csv_has_a_row_for_each_target() {
    insta::assert_snapshot!(written!(out => TargetsCsv::new(&mut out)), @r"
    target,kind,verdict,rating,confidence,listed,not_listed,unknown,not_asked,tier,operators,lists,codes,allowed,unknown_lists,special_use,ptr,iprev,asn,spf,dmarc,findings
    192.0.2.1,ip4,clean,0,1,0,6,0,0,,0,,,,,,,,,,,
    192.0.2.7,ip4,listed,0.56,0.9444,3,2,1,0,A,2,alpha-all beta,127.0.0.2,delta-white,gamma,,mail.example.org @evil,pass,,pass,,spf_plus_all
    10.0.0.1,ip4,special_use,0,0,0,0,0,6,,0,,,,,private,,,,,,
    2001:db8::1,ip6,unknown,0,0.3333,0,5,1,0,,0,,,,alpha-all,,,,,,,
    ");
}

#[test]
fn lists_csv_has_a_row_for_each_list() {
    insta::assert_snapshot!(written!(out => ListsCsv::new(&mut out)), @r#"
    id,zone,operator,health,cause,asked,listed,not_listed,unknown,not_asked,role,tier
    alpha-all,{key}.all.alpha.example,Alpha,healthy,,4,1,0,0,0,block,A
    beta,beta.example,Beta,unchecked,,0,0,0,0,0,block,B
    gamma,gamma.example,"Gamma, Inc.",unhealthy,lists_everything,0,0,0,0,0,block,C
    "#);
}

#[test]
fn markdown_is_the_same_screenful() {
    insta::assert_snapshot!(written!(out => MarkdownSink::new(&mut out)), @r"
    # Reputation of 4 targets

    - Coverage: 88.9 % (16 of 18 pairs on 3 lists)
    - clean: 1
    - listed: 1
    - unknown: 1
    - special use: 1
    - not usable: `gamma` (lists_everything)
    - Run: 2026-11-23T12:00:00Z to 2026-11-23T12:01:30Z, reputon 0.1.0, catalogue `c0ffee`

    ## Listed

    | Target | Tier | Rating | Confidence | Lists |
    |---|---|--:|--:|---|
    | `192.0.2.7` | A | 0.56 | 0.94 | `alpha-all` `beta` |

    ## Findings

    | Target | What | Mend |
    |---|---|---|
    | `192.0.2.7` | anybody may send&#92;x1b&#91;31m | end the record with -all |

    ## Unknown, by list

    | List | Targets | Causes |
    |---|--:|---|
    | `alpha-all` | 1 | refused 1 |
    | `gamma` | 1 | timeout 1 |

    ## What to do next

    - `alpha-all` (Alpha, tier A): 1 target. <https://alpha.example/remove?q=192.0.2.7&x=1> Asking: free for non-commercial use.
    - `beta` (Beta, tier B): 1 target. Expires 24 hours after the last message; nobody can hurry it. Asking: free for non-commercial use.
    ");
}

#[test]
fn prometheus_has_help_type_and_escaped_labels() {
    let text = written!(out => PrometheusSink::new(&mut out));
    insta::assert_snapshot!(text, @r#"
    # HELP reputon_targets Targets by verdict.
    # TYPE reputon_targets gauge
    reputon_targets{verdict="clean"} 1
    reputon_targets{verdict="listed"} 1
    reputon_targets{verdict="unknown"} 1
    reputon_targets{verdict="special_use"} 1
    # HELP reputon_targets_unreached Targets that the run did not reach: nothing is known of them.
    # TYPE reputon_targets_unreached gauge
    reputon_targets_unreached 0
    # HELP reputon_target_rating Rating of listed targets, 0 to 1 (RFC 7071).
    # TYPE reputon_target_rating gauge
    reputon_target_rating{target="192.0.2.7",tier="A"} 0.56
    # HELP reputon_list_listed Targets that the list has an entry for.
    # TYPE reputon_list_listed gauge
    reputon_list_listed{list="alpha-all",operator="Alpha",role="block",tier="A"} 1
    reputon_list_listed{list="beta",operator="Beta",role="block",tier="B"} 0
    reputon_list_listed{list="gamma",operator="Gamma, Inc.",role="block",tier="C"} 0
    # HELP reputon_list_unknown Targets of which the list's answer is not known.
    # TYPE reputon_list_unknown gauge
    reputon_list_unknown{list="alpha-all",operator="Alpha",role="block",tier="A"} 0
    reputon_list_unknown{list="beta",operator="Beta",role="block",tier="B"} 0
    reputon_list_unknown{list="gamma",operator="Gamma, Inc.",role="block",tier="C"} 0
    # HELP reputon_list_asked Queries asked of the list.
    # TYPE reputon_list_asked gauge
    reputon_list_asked{list="alpha-all",operator="Alpha",role="block",tier="A"} 4
    reputon_list_asked{list="beta",operator="Beta",role="block",tier="B"} 0
    reputon_list_asked{list="gamma",operator="Gamma, Inc.",role="block",tier="C"} 0
    # HELP reputon_list_healthy 1 if the list passed its checks, 0 if not.
    # TYPE reputon_list_healthy gauge
    reputon_list_healthy{list="alpha-all",operator="Alpha",role="block",tier="A"} 1
    reputon_list_healthy{list="gamma",operator="Gamma, Inc.",role="block",tier="C"} 0
    # HELP reputon_operator_queries Queries sent to the operator, retries included.
    # TYPE reputon_operator_queries gauge
    reputon_operator_queries{operator="alpha"} 6
    reputon_operator_queries{operator="beta"} 3
    # HELP reputon_pairs_planned Pairs of target and list that were to be learnt.
    # TYPE reputon_pairs_planned gauge
    reputon_pairs_planned 18
    # HELP reputon_pairs_answered Pairs of target and list that were learnt.
    # TYPE reputon_pairs_answered gauge
    reputon_pairs_answered 16
    # HELP reputon_complete_ratio Answered over planned pairs.
    # TYPE reputon_complete_ratio gauge
    reputon_complete_ratio 0.8889
    # HELP reputon_duration_seconds How long the run took.
    # TYPE reputon_duration_seconds gauge
    reputon_duration_seconds 90
    # HELP reputon_started_timestamp_seconds When the run started.
    # TYPE reputon_started_timestamp_seconds gauge
    reputon_started_timestamp_seconds 1795435200
    # HELP reputon_finished_timestamp_seconds When the run ended.
    # TYPE reputon_finished_timestamp_seconds gauge
    reputon_finished_timestamp_seconds 1795435290
    "#);
    let mut out = Vec::new();
    let odd = crate::targets::Domain::new("a\"b\nc.example").expect("labels may hold any octet");
    let mut dossier = sample::dossier("example.org", &[("beta", sample::listed(Role::Block, Tier::B))]);
    dossier.target = crate::targets::Target::Domain(odd);
    feed(&mut PrometheusSink::new(&mut out), &[dossier]).expect("to memory");
    let text = String::from_utf8(out).expect("UTF-8");
    assert!(
        text.contains(r#"{target="a\"b\\x0ac.example",tier="B"} 0.25"#),
        "{text}"
    );
}

#[test]
fn reputons_are_for_targets_of_which_something_is_known() {
    let text = written!(out => ReputonSink::new(&mut out));
    let document: serde_json::Value = serde_json::from_str(&text).expect("valid");
    assert_eq!(document["reputons"].as_array().expect("an array").len(), 3);
    insta::assert_snapshot!(text, @r#"
    {"application":"email-id","reputons":[
    {"rater":"reputon","assertion":"spam","rated":"192.0.2.1","rating":0.0,"confidence":1.0,"sample-size":6,"generated":1795435200,"identity":"ipv4","sources":5},
    {"rater":"reputon","assertion":"spam","rated":"192.0.2.7","rating":0.56,"confidence":0.9444,"sample-size":5,"generated":1795435200,"identity":"ipv4","sources":4},
    {"rater":"reputon","assertion":"spam","rated":"2001:db8::1","rating":0.0,"confidence":0.3333,"sample-size":5,"generated":1795435200,"identity":"ipv6","sources":5}
    ]}
    "#);
}

#[test]
fn html_is_one_closed_page() {
    let text = written!(out => HtmlSink::new(&mut out, Cursor::new(Vec::new())));
    assert!(text.starts_with("<!DOCTYPE html>") && text.ends_with("</html>\n"));
    assert_eq!(text.matches("<script").count(), 1, "only the page's own");
    assert!(
        text.contains("forged\\x1b[2J\\u{202e}\\u{2028}&#60;script&#62;"),
        "{text}"
    );
    assert!(
        !text.contains("style=") && !text.contains("src=") && !text.contains("<link"),
        "nothing inline, nothing loaded"
    );
    for link in text.split("href=\"").skip(1) {
        assert!(
            link.starts_with('#') || link.starts_with("https://alpha.example/remove?q=192.0.2.7&#38;x=1\""),
            "{link}"
        );
    }
    for part in [
        "1 of 4 targets is listed",
        "id=\"t-192.0.2.7\"",
        "88.9 %",
        "gamma <span class=\"soft\">lists everything</span>",
    ] {
        assert!(text.contains(part), "{part}");
    }
}

/// The page of a /16 with 5,000 listings stays below 8 MB, shows them all, and its maps are complete.
#[test]
fn html_of_a_16_is_small() {
    let listed = sample::listed_why(
        Role::Block,
        Tier::A,
        Some("Listed for spam on 2026-11-20, see https://lab.test/query"),
    );
    let rdns = json!({"iprev": "pass", "domain": "example.org", "names": [
        {"name": "host-198-18-100-200.customers.example.org", "class": "generic", "confirmed": true}]});
    let dossiers: Vec<Dossier> = (0..65_536_u32)
        .map(|at| {
            let address = std::net::Ipv4Addr::from(0xc612_0000 + at).to_string();
            let minor = sample::listed_why(
                Role::Block,
                Tier::B,
                Some("Seen in spam traps within the last 24 hours"),
            );
            let entries = [("alpha-all", listed.clone()), ("beta", minor)];
            let mut dossier = sample::dossier(&address, if at % 13 == 0 { &entries } else { &[] });
            dossier.stages = vec![("rdns", rdns.clone())];
            dossier
        })
        .collect();
    let mut out = Vec::new();
    feed(&mut HtmlSink::new(&mut out, Cursor::new(Vec::new())), &dossiers).expect("to memory");
    if let Some(path) = std::env::var_os("REPUTON_KEEP_PAGE") {
        std::fs::write(path, &out).expect("a place that was named");
    }
    let text = String::from_utf8(out).expect("UTF-8");
    assert!(text.len() < 8_000_000, "{}", text.len());
    assert_eq!(text.matches("<details class=\"t\"").count(), 5_042);
    assert_eq!(text.matches("<svg class=\"heat\"").count(), 257);
    assert!(text.contains("198.18.0.0/16"));
}

#[test]
fn the_table_opens_with_coverage_and_ends_with_what_to_do() {
    insta::assert_snapshot!(written!(out => TableSink::new(&mut out, 100, false)), @r"
    Coverage: 88.9 % of what was planned is known (16 of 18 pairs: 4 targets, 3 lists).
    Not usable: gamma (lists_everything).
    Targets: 1 clean, 1 listed, 1 unknown, 1 special use.
    Run: 2026-11-23T12:00:00Z to 2026-11-23T12:01:30Z, 20 asked, 3 sent again.

    Listed
     TARGET     TIER  RATING  CONFIDENCE  LISTS
     192.0.2.7  A     0.56    0.94        alpha-all, beta

    Unknown, by list
     LIST       TARGETS  CAUSES
     alpha-all  1        refused 1
     gamma      1        timeout 1

    Findings
     TARGET     SEVERITY  WHAT                      MEND
     192.0.2.7  warning   anybody may send\x1b[31m  end the record with -all

    What to do next
     alpha-all (Alpha, tier A): 1 target
       https://alpha.example/remove?q=192.0.2.7&x=1
       asking: free for non-commercial use
     beta (Beta, tier B): 1 target
       Expires 24 hours after the last message; nobody can hurry it.
       asking: free for non-commercial use
    ");
}

#[test]
fn the_table_of_one_target_shows_its_entries() {
    let mut out = Vec::new();
    feed(&mut TableSink::new(&mut out, 120, false), &dossiers()[1..2]).expect("to memory");
    let text = String::from_utf8(out).expect("UTF-8");
    assert!(text.contains("Entries"), "{text}");
    assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text}");
}

#[test]
fn on_a_narrow_terminal_no_target_is_broken_in_two() {
    let long = "2001:db8:1234:5678:9abc:def0:1234:5678";
    let dossiers =
        ["192.0.2.100", long].map(|target| sample::dossier(target, &[("beta", sample::listed(Role::Block, Tier::B))]));
    for width in [40, 50] {
        let mut out = Vec::new();
        feed(&mut TableSink::new(&mut out, width, false), &dossiers).expect("to memory");
        let text = String::from_utf8(out).expect("UTF-8");
        let listed: Vec<&str> = text.lines().skip_while(|line| *line != "Listed").collect();
        for target in ["192.0.2.100", long] {
            assert!(listed.contains(&format!(" {target}").as_str()), "{text}");
        }
        let listed = listed.into_iter().take_while(|line| !line.is_empty());
        let longest = listed.map(|line| line.chars().count()).max();
        assert!(longest.is_some_and(|longest| longest <= usize::from(width)), "{text}");
    }
}

#[test]
fn the_table_is_a_screenful_however_many_are_listed() {
    let listed = |at: u8| {
        sample::dossier(
            &format!("192.0.2.{at}"),
            &[("beta", sample::listed(Role::Block, Tier::B))],
        )
    };
    let many: Vec<Dossier> = (0..=255).map(listed).collect();
    let mut out = Vec::new();
    feed(&mut TableSink::new(&mut out, 80, true), &many).expect("to memory");
    let text = String::from_utf8(out).expect("UTF-8");
    assert!(text.lines().count() < 60, "{text}");
    assert!(text.contains("and 216 more"), "{text}");
    assert!(text.contains("\u{1b}["), "colour was wanted");
}

#[test]
fn nothing_in_any_format_acts_on_a_terminal_or_forges_a_row() {
    for text in [
        written!(out => JsonlSink::new(&mut out)),
        written!(out => JsonSink::new(&mut out, Cursor::new(Vec::new()))),
        written!(out => ListingsCsv::new(&mut out, true)),
        written!(out => TargetsCsv::new(&mut out)),
        written!(out => TableSink::new(&mut out, 80, false)),
        written!(out => MarkdownSink::new(&mut out)),
        written!(out => HtmlSink::new(&mut out, Cursor::new(Vec::new()))),
        written!(out => PrometheusSink::new(&mut out)),
        written!(out => ReputonSink::new(&mut out)),
    ] {
        let bad = text
            .chars()
            .find(|&letter| letter != '\n' && super::escape::is_unsafe(letter));
        assert_eq!(bad, None, "{text}");
        assert!(!text.lines().any(|line| line.starts_with("192.0.2.9")), "{text}");
    }
}

/// A writer whose reader went away.
struct Gone;

impl Write for Gone {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_broken_pipe_keeps_its_kind() {
    let sinks: [Box<dyn Sink + Send>; 3] = [
        Box::new(JsonlSink::new(Gone)),
        Box::new(ListingsCsv::new(Gone, true)),
        Box::new(TableSink::new(Gone, 80, false)),
    ];
    for mut sink in sinks {
        let error = feed(&mut *sink, &dossiers()).expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
