//! Catalogue files, good and bad: every mistake is told, with its line and its mend.

use std::net::Ipv4Addr;

use super::super::key::Key;
use super::super::list::{Confidence, Grave, NameForm, Role, Status, Tier, Use};
use super::super::query::Questions;
use super::super::select::SelectError;
use super::*;
use crate::targets::Kind;

const ZEN: &str = r#"
[operator]
id = "spamhaus"
name = "Spamhaus"
home = "https://www.spamhaus.org/"
checked = 2026-11-23
[operator.terms]
use = "free-noncommercial"
max_queries_per_day = 300000
max_qps = 50
public_resolvers = "refused"
refusal = ["127.255.255.252", "127.255.255.254"]

[[list]]
id = "spamhaus-zen"
zone = "Zen.Spamhaus.org."
kinds = ["ip4", "ip6"]
tier = "A"
default = true
covers = ["spamhaus-sbl"]
tags = ["mail"]
ip6_unit = 64
remove = "https://check.spamhaus.org/results/?query={target}"
[list.codes]
"127.0.0.2" = { means = "SBL", sublist = "spamhaus-sbl" }
"127.0.0.10-11" = { means = "PBL", tier = "C" }
"127.0.0.99" = { means = "good", role = "allow" }
"127.0.0.98" = { means = "neither", role = "none" }

[[list]]
id = "spamhaus-sbl"
zone = "sbl.spamhaus.org"
kinds = ["ip4"]
tier = "A"

[[list]]
id = "spamhaus-dqs"
zone = "{key}.zen.dq.spamhaus.net"
kinds = ["ip4"]
status = "unverified"
"#;

const OTHER: &str = r#"
[operator]
id = "other"
[[list]]
id = "dbl"
zone = "dbl.other.example"
kinds = ["domain"]
name_form = "both"
test = { listed = "dbltest.com", unlisted = "", code = "127.0.1.2" }
tags = ["web"]
[[list]]
id = "gone"
zone = "gone.other.example"
kinds = ["ip4"]
retired = 2024-06-05
retired_how = "emptied"
"#;

const GRAVES: &str = r#"
[[grave]]
zone = "dnsbl.sorbs.net"
since = "2024-06"
how = "emptied"
confidence = "high"
[[grave]]
zone = "rumour.example"
how = "in old lists only"
confidence = "low"
"#;

fn good() -> Catalogue {
    Catalogue::parse(&[("other.toml", OTHER), ("spamhaus.toml", ZEN)]).expect("a good catalogue")
}

/// What is wrong with a file, one line each.
fn wrong(text: &str) -> Vec<String> {
    match Catalogue::parse(&[("x.toml", text)]) {
        Err(errors) => errors.to_string().lines().map(str::to_owned).collect(),
        Ok(catalogue) => panic!("{catalogue:?} has nothing wrong"),
    }
}

/// A file with one list of these lines.
fn with_list(lines: &str) -> String {
    format!("[operator]\nid = \"o\"\n[[list]]\nid = \"a\"\nzone = \"a.example\"\nkinds = [\"ip4\"]\n{lines}\n")
}

#[test]
fn the_contract_is_read_whole() {
    let catalogue = good();
    let zen = catalogue.by_id("spamhaus-zen").expect("there");
    let list = catalogue.list(zen);
    assert_eq!(list.zone, "zen.spamhaus.org");
    assert_eq!(list.kinds, [Kind::Ip4, Kind::Ip6]);
    assert_eq!(
        (list.role, list.tier, list.default, list.txt),
        (Role::Block, Tier::A, true, true)
    );
    assert_eq!((list.ip6_unit, list.status), (Some(64), Status::Live));
    assert_eq!(list.codes.entries.len(), 4);
    assert_eq!(list.codes.entries[0].sublist.as_deref(), Some("spamhaus-sbl"));
    assert_eq!(list.codes.entries[1].tier, Some(Tier::C));
    // In the order of the file.
    assert_eq!(
        (list.codes.entries[2].role, list.codes.entries[2].listing),
        (Some(Role::Allow), true)
    );
    assert_eq!(
        (list.codes.entries[3].role, list.codes.entries[3].listing),
        (None, false)
    );
    let operator = catalogue.operator_of(zen);
    assert_eq!(
        (operator.id.as_str(), operator.terms.usage),
        ("spamhaus", Use::FreeNoncommercial)
    );
    assert_eq!(operator.terms.max_queries_per_day, Some(300_000));
    assert_eq!(operator.terms.max_qps, Some(50.0));
    assert_eq!(operator.checked.as_deref(), Some("2026-11-23"));
    assert!(operator.refusal[0].matches(Ipv4Addr::new(127, 255, 255, 252)));
    let dbl = catalogue.list(catalogue.by_id("dbl").expect("there"));
    assert_eq!(dbl.name_form, NameForm::Both);
    assert_eq!(dbl.test.listed.as_deref(), Some("dbltest.com"));
    assert_eq!(dbl.test.unlisted.as_deref(), Some(""));
    assert_eq!(dbl.test.code, Some(Ipv4Addr::new(127, 0, 1, 2)));
    let gone = catalogue.list(catalogue.by_id("gone").expect("there"));
    assert_eq!(gone.status, Status::Retired);
    assert_eq!(
        gone.retired.as_ref().and_then(|retired| retired.since.as_deref()),
        Some("2024-06-05")
    );
}

#[test]
fn every_list_of_a_catalogue_can_be_prepared() {
    let key = Key::new(&"k".repeat(63)).expect("the longest key");
    for list in good().lists().iter().filter(|list| list.status != Status::Retired) {
        Questions::prepare(list, Some(&key)).expect("a good zone");
    }
}

#[test]
fn all_mistakes_of_a_file_are_told_with_their_lines() {
    let text = r#"[operator]
id = "Bad Id"
hom = "https://x.example/"
[operator.terms]
use = "fre"
max_qps = "fast"
[[list]]
zone = "not a name"
kinds = ["ipv4"]
txt = "yes"
tier = "W"
[list.codes]
"128.0.0.2" = { means = "x" }
"127.0.0.3" = { mean = "x" }
"127.255.255.254" = { means = "x" }
[[list]]
id = "b"
zone = "b.example"
kinds = ["ip4"]
retired = "2024-13"
covers = ["bb"]
"#;
    let told = wrong(text);
    for (line, words) in [
        (2, "operator.id"),
        (3, "operator.hom: unknown key: did you mean \"home\"?"),
        (5, "operator.terms.use: \"fre\" is not known: did you mean \"free\"?"),
        (6, "operator.terms.max_qps"),
        (7, "list.id: missing"),
        (8, "list.zone"),
        (9, "list.kinds: \"ipv4\" is not known: did you mean \"ip4\"?"),
        (10, "list.txt"),
        (7, "list.tier: W does not go with role block"),
        (13, "list.codes.128.0.0.2: outside 127.0.0.0/8"),
        (14, "list.codes.127.0.0.3.means: missing"),
        (14, "list.codes.127.0.0.3.mean: unknown key: did you mean \"means\"?"),
        (15, "list.codes.127.255.255.254: is a refusal"),
        (20, "list.retired"),
    ] {
        let start = format!("x.toml:{line}: {words}");
        assert!(
            told.iter().any(|told| told.starts_with(&start)),
            "{start} is not in {told:#?}"
        );
    }
}

#[test]
fn single_mistakes() {
    for (lines, words) in [
        (
            "default = true\nstatus = \"unverified\"",
            "list.default: true on a list that is not known to be alive",
        ),
        ("default = true\nretired = 2024-06-05", "list.default: true on a list"),
        (
            "status = \"live\"\nretired = 2024-06-05",
            "list.status: contradicts retired",
        ),
        (
            "remove = \"javascript:alert(1)\"",
            "list.remove: is no address of a page",
        ),
        ("query = \"{key}.example\"", "list.query: is no form of a name"),
        (
            "covers = [\"aa\"]",
            "list.covers: \"aa\" is no list: did you mean \"a\"?",
        ),
        (
            "refusal = [\"1.2.3.4\"]",
            "list.refusal: \"1.2.3.4\": outside 127.0.0.0/8",
        ),
        ("test = { code = \"1.2.3.4\" }", "list.test.code"),
        ("ip6_unit = 129", "list.ip6_unit"),
        (
            "[list.codes]\n\"&4\" = \"a\"\n\"&0.0.0.4\" = \"b\"",
            "list.codes.&0.0.0.4: stands here twice",
        ),
        (
            "refusal = [\"&1\"]\n[list.codes]\n\"127.0.0.3\" = \"a\"",
            "list.codes.127.0.0.3: is a refusal",
        ),
    ] {
        let told = wrong(&with_list(lines));
        assert!(told.len() == 1 && told[0].contains(words), "{lines}: {told:?}");
    }
    assert!(wrong("[operator\n")[0].starts_with("x.toml:1: TOML: "));
    assert!(wrong("[[list]]\nid = \"a\"\nzone = \"a.example\"\nkinds = [\"ip4\"]\n")[0].contains("operator: missing"));
    assert!(!wrong("").is_empty());
}

#[test]
fn two_of_a_kind_are_told_with_both_places() {
    let first = with_list("");
    let second = first.replace("\"o\"", "\"p\"");
    let errors = Catalogue::parse(&[("one.toml", &first), ("two.toml", &second)]).expect_err("twice");
    let told = errors.to_string();
    assert!(
        told.contains("two.toml:3: list.id: \"a\" is also in one.toml:3"),
        "{told}"
    );
    assert!(
        told.contains("two.toml:3: list.zone: \"a.example\" is also in one.toml:3"),
        "{told}"
    );
    let errors = Catalogue::parse(&[("one.toml", &first), ("two.toml", &first)]).expect_err("twice");
    assert!(
        errors.to_string().contains("operator.id: \"o\" is also in one.toml:1"),
        "{errors}"
    );
}

fn user(text: &str) -> (Catalogue, Vec<String>) {
    let built_in = [
        ("spamhaus.toml", ZEN),
        ("other.toml", OTHER),
        ("graveyard.toml", GRAVES),
    ];
    let (catalogue, warnings) = merge(&built_in, true, &[("mine.toml", text)]).expect("good files");
    (catalogue, warnings.iter().map(Warning::to_string).collect())
}

#[test]
fn a_users_list_takes_the_place_of_the_built_in_one_and_keeps_its_operators_terms() {
    let mine = "[operator]\nid = \"spamhaus\"\n[[list]]\nid = \"spamhaus-zen\"\nzone = \"zen.mirror.example\"\nkinds = [\"ip4\"]\n";
    let (catalogue, warnings) = user(mine);
    assert!(warnings.is_empty(), "{warnings:?}");
    let zen = catalogue.by_id("spamhaus-zen").expect("there");
    assert_eq!(catalogue.list(zen).zone, "zen.mirror.example");
    assert_eq!(
        catalogue
            .lists()
            .iter()
            .filter(|list| list.id == "spamhaus-zen")
            .count(),
        1
    );
    assert_eq!(catalogue.operator_of(zen).terms.max_queries_per_day, Some(300_000));
    assert!(!catalogue.operator_of(zen).refusal.is_empty());
    // The same zone by another name: one of the two goes, and whoever covered it covers the new one.
    let (catalogue, warnings) =
        user("[operator]\nid = \"me\"\n[[list]]\nid = \"mine\"\nzone = \"sbl.spamhaus.org\"\nkinds = [\"ip4\"]\n");
    assert!(
        warnings.len() == 1 && warnings[0].contains("mine takes the place of spamhaus-sbl"),
        "{warnings:?}"
    );
    let zen = catalogue.by_id("spamhaus-zen").expect("there");
    assert_eq!(catalogue.list(zen).covers, ["mine"]);
    assert_eq!(catalogue.by_id("spamhaus-sbl"), None);
}

#[test]
fn a_zone_before_which_no_address_fits_is_told_how_long_it_may_be() {
    let parse = |octets: usize| {
        let zone = format!(
            "{}.{}.{}.{}",
            "a".repeat(60),
            "b".repeat(60),
            "c".repeat(60),
            "d".repeat(octets - 183)
        );
        let file = OTHER.replace("dbl.other.example", &zone);
        Catalogue::parse(&[("own.toml", &file)]).map(drop)
    };
    parse(189).expect("short enough");
    let errors = parse(190).map_err(|errors| errors.to_string());
    assert!(errors.is_err_and(|errors| errors.contains("189 at most")));
}

#[test]
fn a_users_dead_zone_is_retired_with_a_warning_and_a_rumour_only_warned_of() {
    let mine = |zone: &str| {
        format!(
            "[operator]\nid = \"me\"\n[[list]]\nid = \"mine\"\nzone = \"{zone}\"\nkinds = [\"ip4\"]\ndefault = true\n"
        )
    };
    for dead in ["dnsbl.sorbs.net", "{key}.dnsbl.sorbs.net", "gone.other.example"] {
        let (catalogue, warnings) = user(&mine(dead));
        let list = catalogue.list(catalogue.by_id("mine").expect("there"));
        assert_eq!((list.status, list.default), (Status::Retired, false), "{dead}");
        let said = warnings
            .iter()
            .any(|text| text.starts_with("mine.toml:3: ") && text.contains("never asked"));
        assert!(said, "{warnings:?}");
    }
    let (catalogue, warnings) = user(&mine("rumour.example"));
    assert_eq!(
        catalogue.list(catalogue.by_id("mine").expect("there")).status,
        Status::Live
    );
    assert!(
        warnings.len() == 1 && warnings[0].contains("may be dead"),
        "{warnings:?}"
    );
    assert!(
        user(&mine("sorbs.net")).1.is_empty(),
        "a zone above a dead one is not dead"
    );
    // The dead are known even where no built-in list is wanted.
    let files = [("graveyard.toml", GRAVES), ("other.toml", OTHER)];
    for dead in ["dnsbl.sorbs.net", "gone.other.example"] {
        let (catalogue, warnings) = merge(&files, false, &[("mine.toml", &mine(dead))]).expect("good files");
        assert_eq!((catalogue.lists().len(), warnings.len()), (1, 1));
        assert_eq!(catalogue.lists()[0].status, Status::Retired);
    }
    assert_eq!(catalogue.graves()[0].retired.confidence, Confidence::High);
}

fn selected(selectors: &[&str]) -> Vec<String> {
    let catalogue = good();
    let selectors: Vec<String> = selectors.iter().map(|word| (*word).to_owned()).collect();
    let lists = catalogue.select(&selectors).expect("a selection");
    lists.iter().map(|index| catalogue.list(*index).id.clone()).collect()
}

#[test]
fn selectors_add_up_and_take_away() {
    assert_eq!(selected(&[]), ["spamhaus-zen"]);
    assert_eq!(selected(&["default"]), ["spamhaus-zen"]);
    assert_eq!(
        selected(&["all"]),
        ["dbl", "spamhaus-zen", "spamhaus-sbl", "spamhaus-dqs"]
    );
    assert_eq!(selected(&["all,!spamhaus"]), ["dbl"]);
    assert_eq!(
        selected(&["!kind:domain", "all"]),
        ["spamhaus-zen", "spamhaus-sbl", "spamhaus-dqs"]
    );
    assert_eq!(
        selected(&["spamhaus-sbl", "spamhaus-sbl,default"]),
        ["spamhaus-zen", "spamhaus-sbl"]
    );
    assert_eq!(selected(&["operator:other", "tag:mail"]), ["dbl", "spamhaus-zen"]);
    assert_eq!(selected(&["kind:ip6"]), ["spamhaus-zen"]);
    assert_eq!(selected(&["tier:a"]), ["spamhaus-zen", "spamhaus-sbl"]);
    assert_eq!(selected(&["ZEN.spamhaus.org"]), ["spamhaus-zen"]);
    assert_eq!(selected(&["gone"]), ["gone"], "a retired list only by its own name");
    assert_eq!(
        selected(&["all,!role:allow"]).len(),
        4,
        "a good selector may name nothing"
    );
}

#[test]
fn what_selects_nothing_says_what_is_near() {
    let select = |word: &str| good().select(&[word.to_owned()]).expect_err("no list");
    let SelectError::Unknown { mend, .. } = select("spamhaus-zenn") else {
        panic!("unknown")
    };
    assert_eq!(mend, "did you mean \"spamhaus-zen\"?");
    assert!(matches!(select("tag:mial"), SelectError::Unknown { mend, .. } if mend.contains("tag:mail")));
    for blank in ["", " ", "dbl,", ",dbl", "!", "!dbl,"] {
        let SelectError::Unknown { selector, mend } = select(blank) else {
            panic!("{blank:?}")
        };
        assert!(
            selector.is_empty() && mend.starts_with("write default, all, an id"),
            "{blank:?}: {mend}"
        );
    }
    let graves = Catalogue::parse(&[("a.toml", ZEN), ("graveyard.toml", GRAVES)]).expect("good");
    let dead = |word: &str| graves.select(&[word.to_owned()]).expect_err("dead").to_string();
    assert_eq!(
        dead("DNSBL.sorbs.net."),
        "\"DNSBL.sorbs.net.\" selects no list: it is dead since 2024-06; leave it out; `reputon lists show dnsbl.sorbs.net` \
         tells more"
    );
    assert!(
        dead("rumour.example").contains("it may be dead; leave it out"),
        "{}",
        dead("rumour.example")
    );
    assert!(matches!(select("nothing-like-it"), SelectError::Unknown { .. }));
    assert!(matches!(select("!default"), SelectError::Empty { .. }));
}

#[test]
fn the_hash_follows_the_content() {
    let a = Catalogue::parse(&[("a.toml", ZEN)]).expect("good");
    let renamed = Catalogue::parse(&[("elsewhere/a.toml", ZEN)]).expect("good");
    let changed = Catalogue::parse(&[("a.toml", &ZEN.replace("SBL", "sbl list"))]).expect("good");
    assert_eq!(a.hash(), renamed.hash());
    assert_ne!(a.hash(), changed.hash());
    assert_eq!(a.hash().len(), 64);
}

#[test]
fn files_and_folders_are_read_and_what_cannot_be_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_owned();
    let load = |path: &Path| Catalogue::load(false, &[path.to_owned()]);
    assert!(load(&path).is_err(), "an empty folder");
    std::fs::write(path.join("b.toml"), OTHER).expect("written");
    std::fs::write(path.join("a.toml"), ZEN).expect("written");
    std::fs::write(path.join("notes.txt"), "not read").expect("written");
    let (catalogue, _) = load(&path).expect("two good files");
    assert_eq!(catalogue.lists()[0].id, "spamhaus-zen");
    assert_eq!(catalogue.lists().len(), 5);
    let missing = load(&path.join("missing.toml")).expect_err("no such file");
    assert!(missing.to_string().contains("missing.toml: "), "{missing}");
}

#[test]
fn a_list_cannot_be_alive_and_in_the_graveyard() {
    let alive = with_list("").replace("a.example", "dnsbl.sorbs.net");
    let errors = Catalogue::parse(&[("x.toml", &alive), ("graveyard.toml", GRAVES)]).expect_err("a contradiction");
    assert!(
        errors
            .to_string()
            .contains("x.toml:3: list.zone: dnsbl.sorbs.net is also a grave"),
        "{errors}"
    );
}

#[test]
fn files_cut_short_or_with_a_line_gone_are_read_or_told_but_never_break() {
    let lines: Vec<&str> = ZEN.lines().collect();
    for gone in 0..lines.len() {
        let rest: Vec<&str> = lines
            .iter()
            .enumerate()
            .filter(|(at, _)| *at != gone)
            .map(|(_, line)| *line)
            .collect();
        let cut = lines[..gone].join("\n");
        for text in [rest.join("\n"), cut] {
            if let Err(errors) = Catalogue::parse(&[("x.toml", &text)]) {
                for mistake in &errors.0 {
                    assert!((1..=lines.len()).contains(&mistake.place.line), "{mistake}");
                }
                assert!(!errors.0.is_empty());
            }
        }
    }
}

proptest::proptest! {
    /// Whatever is put into a good file: it is read or told, and the reader does not break.
    #[test]
    fn hostile_files_do_not_break_the_reader(at in 0..ZEN.len(), junk in "[\\PC\n\\[\\]{}=\",&*-]{1,12}") {
        let at = ZEN.floor_char_boundary(at);
        let text = format!("{}{junk}{}", &ZEN[..at], &ZEN[at..]);
        if let Err(errors) = Catalogue::parse(&[("x.toml", &text)]) {
            proptest::prop_assert!(!errors.0.is_empty());
        }
    }
}

#[test]
fn the_built_in_files_are_good() {
    let (catalogue, warnings) = Catalogue::load(true, &[]).unwrap_or_else(|errors| panic!("{errors}"));
    assert!(warnings.is_empty());
    let key = Key::new(&"k".repeat(63)).expect("the longest key");
    for list in catalogue.lists().iter().filter(|list| list.status != Status::Retired) {
        Questions::prepare(list, Some(&key)).unwrap_or_else(|reason| panic!("{}: {reason}", list.id));
    }
    // What is asked of everybody who adds one: where it is from, when that was read, and what its operator allows.
    assert!(catalogue.lists().len() > 300 && catalogue.graves().len() > 500);
    for (index, list) in catalogue.indexed() {
        let operator = catalogue.operator_of(index);
        assert!(!list.sources.is_empty(), "{} names no source", list.id);
        assert!(operator.checked.is_some(), "{} says no date", operator.id);
        let terms = &operator.terms;
        assert!(
            terms.max_qps.is_some() && terms.max_queries_per_day.is_some(),
            "{}",
            operator.id
        );
        assert!(
            !(list.default && list.tier == Tier::A && list.needs_key()),
            "{}",
            list.id
        );
    }
    for grave in catalogue.graves() {
        assert!(!grave.sources.is_empty(), "{} names no source", grave.zone);
    }
}

/// Addresses of one unit share an answer: that is for lists whose operators say that all of their entries are that large. Of
/// the built-in ones nobody says so, and a shared answer would clear addresses that were not asked about.
#[test]
fn no_built_in_list_shares_answers_among_addresses() {
    let (catalogue, _) = Catalogue::load(true, &[]).expect("the built-in catalogue");
    let sharing = catalogue.lists().iter().filter(|list| list.ip6_unit.is_some());
    assert_eq!(sharing.map(|list| list.id.as_str()).collect::<Vec<_>>(), [""; 0]);
}

/// Without the built-in lists their files are read only as far as a user's zones may be in them: none is missed.
#[test]
fn a_dead_zone_is_known_whatever_else_is_read() {
    let (catalogue, _) = Catalogue::load(true, &[]).expect("the built-in catalogue");
    for grave in catalogue.graves() {
        assert!(grave.zone.contains('.'), "{} has one label", grave.zone);
    }
    let sure = |grave: &&Grave| grave.retired.confidence >= Confidence::Medium;
    for grave in catalogue.graves().iter().filter(sure).step_by(29) {
        let zone = grave.zone.replace("{key}.", "");
        for zone in [zone.clone(), format!("sub.{zone}")] {
            let text = format!(
                "[operator]\nid = \"x\"\nname = \"X\"\n\n[[list]]\nid = \"x\"\nzone = {zone:?}\nkinds = [\"ip4\"]\nrole = \"block\"\ntier = \"B\"\n"
            );
            let files = [("x.toml", text.as_str())];
            let (_, warnings) = merge(Catalogue::built_in_files(), false, &files).expect("a catalogue");
            assert!(!warnings.is_empty(), "{zone}");
        }
    }
}
