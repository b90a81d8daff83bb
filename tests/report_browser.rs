//! The HTML report in a real browser: nothing from the network runs in it, no request leaves it, the console stays empty,
//! and sorting, filtering, maps and keys do what they say.

mod browser;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use browser::Browser;
use reputon::dnsxl::{Catalogue, Cause, How, ListIndex, Listing, Observation, ReturnCodes, Role, Tier};
use reputon::dossier::{Dossier, Finding, Observed};
use reputon::report::{HtmlSink, Judged, ListRecord, RunEnd, RunHead, RunRecord, Sink};
use reputon::targets::{Domain, Target};
use reputon::verdict::{Judge, Weights};
use serde_json::{Value, json};

/// What would run, load, leave or hide, if it were not shown as text.
const HOSTILE: [&str; 8] = [
    "<script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "\"><svg onload=document.title='owned'>",
    "<a href=javascript:document.title='owned' autofocus onfocus=document.title='owned'>x</a>",
    "<link rel=stylesheet href=https://evil.example/x.css><style>*{display:none}</style>",
    "</details></div><meta http-equiv=refresh content='0;url=https://evil.example/'>",
    "\u{1b}[2J\u{202e}gnp.\u{2066}\u{200b}\u{7}",
    "{{7*7}} ${7*7} <!-- --> ]]> &lt;b&gt; <iframe src=https://evil.example/></iframe>",
];

const LISTS: &str = r#"
[operator]
id = "evil"
name = "<b onmouseover=document.title='owned'>Evil & Sons</b>"
[operator.terms]
use = "free"
[[list]]
id = "hard"
zone = "hard.example.test"
kinds = ["ip4", "domain"]
role = "block"
tier = "A"
remove = "https://evil.example/remove?q={target}&x=\"><script>document.title='owned'</script>"
remove_how = "<script>document.title='owned'</script>"
[list.codes]
"127.0.0.2" = { means = "<script>document.title='owned'</script>" }
[[list]]
id = "minor"
zone = "minor.example.test"
kinds = ["ip4", "domain"]
role = "block"
tier = "B"
remove = "https://minor.example.test/remove?q={target}"
[list.codes]
"127.0.0.2" = { means = "spam" }
"#;

/// 256 addresses and a domain with hostile text in every place that strangers write to.
fn dossiers() -> Vec<Dossier> {
    let mut dossiers: Vec<Dossier> = (0..=255)
        .map(|at: u8| {
            let hostile = HOSTILE[usize::from(at) % HOSTILE.len()];
            let listing = |tier| {
                Observation::Listed(Box::new(Listing {
                    codes: ReturnCodes::shared(vec![[127, 0, 0, 2].into()], vec![hostile.to_owned()]),
                    role: Role::Block,
                    tier,
                    reason: Some(hostile.to_owned()),
                    ttl: 60,
                    reason_cut: false,
                    partial: false,
                }))
            };
            let (hard, minor) = match at {
                10..=17 => (listing(Tier::A), listing(Tier::B)),
                40..=47 => (Observation::NotListed, listing(Tier::B)),
                90 => (Observation::Unknown(Cause::Refused), Observation::NotListed),
                _ => (Observation::NotListed, Observation::NotListed),
            };
            dossier(Target::Ip4(Ipv4Addr::new(203, 0, 113, at)), [hard, minor], hostile)
        })
        .collect();
    let domain = Domain::new("a\"><script>document.title='owned'</script>.example").expect("labels hold any octet");
    let both = [Observation::NotListed, Observation::NotListed];
    dossiers.push(dossier(Target::Domain(domain), both, HOSTILE[0]));
    dossiers
}

fn dossier(target: Target, observations: [Observation; 2], hostile: &str) -> Dossier {
    let observed = observations.into_iter().enumerate().map(|(at, observation)| Observed {
        list: ListIndex(at as u16),
        observation,
        how: How::Asked,
    });
    Dossier {
        target,
        special_use: None,
        observations: observed.collect(),
        stages: vec![
            (
                "rdns",
                json!({"iprev": "fail", "domain": hostile, "names": [{"name": hostile, "class": "generic", "confirmed": false}]}),
            ),
            (
                "asn",
                json!({"asn": 64500, "name": hostile, "prefixes": [{"prefix": hostile}]}),
            ),
            ("abuse", json!({"contacts": [hostile]})),
            ("smtp", json!({"banner": hostile})),
            ("spf", json!({"result": hostile, "record": hostile})),
            ("dmarc", json!({"record": hostile})),
        ],
        findings: vec![Finding::warning("smtp", "smtp_banner", hostile).mend(hostile)],
        revision: 1,
    }
}

/// Writes the page of these dossiers.
fn page(folder: &Path, dossiers: &[Dossier]) -> PathBuf {
    let catalogue = Catalogue::parse(&[("lists.toml", LISTS)]).expect("a good catalogue");
    let judge = Judge::new(&catalogue, Weights::default());
    let path = folder.join("report.html");
    let started = jiff::Timestamp::from_second(1_795_435_200).expect("a moment of 2026");
    let mut sink = HtmlSink::new(
        std::io::BufWriter::new(std::fs::File::create(&path).expect("a folder of our own")),
        tempfile::tempfile().expect("a temporary file"),
    );
    sink.begin(&RunHead { started }).expect("written");
    for dossier in dossiers {
        let judgement = judge.judge(dossier);
        let judged = Judged {
            catalogue: &catalogue,
            dossier,
            judgement: &judgement,
        };
        sink.target(&judged).expect("written");
    }
    let mut lists: Vec<ListRecord> = [0, 1].map(|at| ListRecord::new(&catalogue, ListIndex(at))).into();
    lists[0].cause = Some(HOSTILE[0].into());
    lists[0].health = reputon::report::Health::Unhealthy;
    let run = RunRecord {
        started,
        finished: started,
        version: HOSTILE[1].into(),
        catalogue: HOSTILE[2].into(),
        resolvers: vec![HOSTILE[3].into()],
        targets: dossiers.len() as u64,
        planned: 2,
        asked: 2,
        answered: 2,
        retried: 0,
        folded: 0,
        pruned: 0,
        unproved: 0,
        complete: 1.0,
        queries: [(HOSTILE[4].to_owned(), 2)].into(),
        diff: None,
    };
    let end = RunEnd {
        catalogue: &catalogue,
        run: &run,
        lists: &lists,
        audit: None,
        changes: None,
    };
    sink.finish(&end).expect("written");
    path
}

/// The addresses shown, in order.
fn shown(browser: &Browser) -> Vec<String> {
    let found = browser
        .run("return [...document.querySelectorAll('#list > .t:not([hidden]) .addr')].map((one) => one.textContent)");
    let found = found.as_array().expect("an array").iter();
    found.map(|one| one.as_str().expect("text").to_owned()).collect()
}

fn click(browser: &Browser, selector: &str) {
    browser.run(&format!("document.querySelector({selector:?}).click()"));
}

#[test]
fn hostile_text_is_shown_and_neither_runs_nor_asks_for_anything() {
    let Some(browser) = Browser::start(&[]) else { return };
    let folder = tempfile::tempdir().expect("a place for temporary files");
    browser.open(&page(folder.path(), &dossiers()));
    click(&browser, "#open-all");
    // Everything that could be triggered is: focus, pointer, load.
    browser.run("for (const one of document.querySelectorAll('*')) { one.dispatchEvent(new Event('mouseover')); one.focus?.(); }");
    assert_eq!(
        browser.run("return document.title"),
        "Reputation: 16 of 257 targets are listed"
    );
    let text = browser.run("return document.body.innerText");
    let text = text.as_str().expect("text");
    for hostile in HOSTILE.iter().filter(|hostile| !hostile.contains('\u{1b}')) {
        assert!(text.contains(hostile), "{hostile} is shown as it is");
    }
    assert!(
        text.contains("\\x1b[2J\\u{202e}gnp.\\u{2066}\\u{200b}\\x07"),
        "controls are shown as escapes"
    );
    let elements = "return [...document.querySelectorAll('script, img, iframe, link, style, meta, [onload], [onerror], \
         [onfocus], [onmouseover], [style]:not(#tip)')].map((one) => one.tagName).join(' ')";
    assert_eq!(
        browser.run(elements),
        "META META META META META STYLE SCRIPT",
        "nothing but the page's own"
    );
    let links = browser.run("return [...document.querySelectorAll('a')].map((one) => one.href)");
    for link in links.as_array().expect("an array") {
        let link = link.as_str().expect("text");
        assert!(
            link.starts_with("file://") || link.starts_with("https://minor.example.test/remove?q=203.0.113."),
            "{link}"
        );
    }
    let requests = browser.requests();
    assert!(
        requests.iter().any(|url| url.ends_with("/report.html")),
        "requests are seen: {requests:?}"
    );
    let left: Vec<&String> = requests.iter().filter(|url| !url.ends_with("/report.html")).collect();
    assert!(left.is_empty(), "{left:?}");
    let console = browser.console();
    assert!(console.is_empty(), "{console:?}");
}

/// The policy itself: what does get into the page as markup still cannot run or load. Also shows that the test would
/// see it.
#[test]
fn the_content_policy_stops_what_gets_through() {
    let Some(browser) = Browser::start(&[]) else { return };
    let folder = tempfile::tempdir().expect("a place for temporary files");
    let path = page(folder.path(), &dossiers());
    let text = std::fs::read_to_string(&path).expect("written");
    let bad =
        "<script>document.title='owned'</script><img src='http://127.0.0.1:9/x' onerror=\"document.title='owned'\">";
    std::fs::write(&path, text.replacen("<nav", &format!("{bad}<nav"), 1)).expect("a folder of our own");
    browser.open(&path);
    assert_ne!(browser.run("return document.title"), "owned");
    let console = browser.console().join("\n");
    assert!(console.contains("Content Security Policy"), "{console}");
}

#[test]
fn targets_are_sorted_and_filtered() {
    let Some(browser) = Browser::start(&[]) else { return };
    let folder = tempfile::tempdir().expect("a place for temporary files");
    browser.open(&page(folder.path(), &dossiers()));
    let all = shown(&browser);
    assert_eq!(all.len(), 257);
    assert_eq!(all[0], "203.0.113.10", "listed ones come first");

    click(&browser, "[data-sort=target]");
    assert_eq!(
        shown(&browser)[..3],
        ["203.0.113.0", "203.0.113.1", "203.0.113.2"],
        "by number, not by letter"
    );
    click(&browser, "[data-sort=target]");
    assert_eq!(shown(&browser)[1], "203.0.113.255");
    click(&browser, "[data-sort=tier]");
    assert_eq!(
        shown(&browser)[..2],
        ["203.0.113.10", "203.0.113.11"],
        "within a tier in the run's order"
    );
    click(&browser, "[data-sort=rating]");
    assert!(
        shown(&browser)[..8]
            .iter()
            .all(|address| address.starts_with("203.0.113.1"))
    );

    for chip in ["o", "u", "b"] {
        click(&browser, &format!("[data-show={chip}]"));
    }
    assert_eq!(shown(&browser).len(), 8, "tier A alone is left");
    assert_eq!(
        browser.run("return document.getElementById('count').textContent"),
        "8 of 257 shown"
    );
    for chip in ["o", "u", "b"] {
        click(&browser, &format!("[data-show={chip}]"));
    }
    browser.run("document.getElementById('find').focus()");
    browser.press("iframe src");
    let found = shown(&browser);
    assert!(
        !found.is_empty() && found.len() < 257 / 4,
        "by what is inside, too: {}",
        found.len()
    );

    // A table, by number and back.
    let first = "return document.querySelector('#names ~ .two table.sortable tbody').rows[0].cells[1].textContent";
    click(&browser, "#names ~ .two table.sortable th:nth-child(2) button");
    let most = browser.run(first);
    click(&browser, "#names ~ .two table.sortable th:nth-child(2) button");
    assert_ne!(browser.run(first), most);
    assert_eq!(browser.console(), Vec::<String>::new());
}

#[test]
fn maps_tell_the_address_under_the_pointer_and_obey_keys() {
    let Some(browser) = Browser::start(&[]) else { return };
    let folder = tempfile::tempdir().expect("a place for temporary files");
    browser.open(&page(folder.path(), &dossiers()));
    browser.run("document.querySelector('svg.heat').scrollIntoView({block: 'center', behavior: 'instant'})");
    let middle_of = |at: u32| {
        let middle = browser.run(&format!(
            "const box = document.querySelector('svg.heat').getBoundingClientRect(); \
             return [box.left + box.width * ({at} % 16 + .5) / 16, box.top + box.height * (Math.floor({at} / 16) + .5) / 16]"
        ));
        let number = |at: usize| middle[at].as_f64().expect("a number");
        (number(0), number(1))
    };
    browser.point(middle_of(42), false);
    let tip = browser.run("const tip = document.getElementById('tip'); return tip.hidden ? '' : tip.textContent");
    assert!(
        tip.as_str()
            .expect("text")
            .starts_with("203.0.113.42  listed, tier B  minor"),
        "{tip}"
    );
    browser.point(middle_of(90), false);
    let tip = browser.run("return document.getElementById('tip').textContent");
    assert!(
        tip.as_str().expect("text").starts_with("203.0.113.90  unknown"),
        "{tip}"
    );

    browser.run("document.querySelector('svg.heat').focus()");
    let told = || -> Value { browser.run("return document.getElementById('readout').textContent.split('  ')[0]") };
    assert_eq!(told(), "203.0.113.0");
    browser.press("\u{e015}\u{e014}"); // down, right
    assert_eq!(told(), "203.0.113.17");
    browser.press("n");
    assert_eq!(told(), "203.0.113.40");
    browser.press("p");
    assert_eq!(told(), "203.0.113.17");
    browser.press("\u{e007}"); // Enter
    assert_eq!(
        browser.run("return document.querySelector('.t[open]').id"),
        "t-203.0.113.17"
    );
    let focus = browser.run("return document.activeElement.parentElement.id");
    assert_eq!(focus, "t-203.0.113.17", "the focus goes there too");
    assert_eq!(browser.console(), Vec::<String>::new());
}

/// The map's script and the writer's curve agree.
#[test]
fn a_larger_block_is_told_along_the_curve() {
    let Some(browser) = Browser::start(&[]) else { return };
    let folder = tempfile::tempdir().expect("a place for temporary files");
    let dossiers: Vec<Dossier> = (0..1024_u32)
        .map(|at| {
            let hard = match at {
                777 => Observation::Unknown(Cause::Timeout),
                _ => Observation::NotListed,
            };
            dossier(
                Target::Ip4((0xc633_6400 + at).into()),
                [hard, Observation::NotListed],
                "x",
            )
        })
        .collect();
    browser.open(&page(folder.path(), &dossiers));
    browser.run("document.querySelector('.overview svg').scrollIntoView({block: 'center', behavior: 'instant'})");
    // The one unknown cell is drawn where its path is; there the tip must tell its address.
    let middle = browser.run(
        "const box = document.querySelector('.overview svg .u').getBoundingClientRect(); \
         return [box.left + box.width / 2, box.top + box.height / 2]",
    );
    let number = |at: usize| middle[at].as_f64().expect("a number");
    browser.point((number(0), number(1)), false);
    let tip = browser.run("return document.getElementById('tip').textContent");
    assert_eq!(tip, "198.51.103.9  unknown");
    browser.point((number(0), number(1)), true);
    let open = browser.run("return document.activeElement.id");
    assert_eq!(open, "m-198.51.103.0-16", "a click goes to the map of its /24");
    assert_eq!(browser.console(), Vec::<String>::new());
}

#[test]
fn it_can_be_printed_and_read_in_the_dark() {
    let Some(browser) = Browser::start(&["--blink-settings=preferredColorScheme=0"]) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a place for temporary files");
    browser.open(&page(folder.path(), &dossiers()));
    let dark = browser.run("return matchMedia('(prefers-color-scheme: dark)').matches");
    assert_eq!(dark, true);
    let ground = browser.run("return getComputedStyle(document.body).backgroundColor");
    assert_eq!(ground, "rgb(19, 21, 25)");
    assert!(browser.print() > 10_000);
    assert_eq!(browser.console(), Vec::<String>::new());
}

/// On a phone nothing is wider than the screen, but for tables that are moved by themselves; findings are read down, not
/// across. On paper nothing is cut, what is pressed is gone, and clean targets are left out with a word.
#[test]
fn it_fits_a_phone_and_paper() {
    let Some(browser) = Browser::start(&[]) else { return };
    let folder = tempfile::tempdir().expect("a place for temporary files");
    let mut dossiers = dossiers();
    for (at, dossier) in dossiers.iter_mut().enumerate() {
        let name = format!("a-name-that-is-long-{at}.of-somebody-with-much-to-say.example-hosting.test");
        dossier.stages[0].1["names"][0]["name"] = name.clone().into();
        dossier.stages[0].1["domain"] = name.into();
    }
    let path = page(folder.path(), &dossiers);
    for width in [360, 390, 768] {
        browser.show_as(width, "screen");
        browser.open(&path);
        click(&browser, "#open-all");
        browser.run("for (const one of document.querySelectorAll('.t')) one.style.contentVisibility = 'visible'");
        let wide = format!(
            "return [...document.querySelectorAll('main *, body > *, body > * *')].filter((one) => \
             one.getBoundingClientRect().right > {width} + 1 && !one.closest('nav, .two table, .wide')).map((one) => \
             one.tagName + '.' + one.className + ' ' + one.textContent.slice(0, 40)).slice(0, 12)"
        );
        assert_eq!(browser.run(&wide), json!([]), "wider than {width}");
        let whole = browser.run("return Math.max(innerWidth, document.documentElement.scrollWidth)");
        assert_eq!(whole, width);
        let row =
            browser.run("return getComputedStyle(document.querySelector('.findings-table tr:last-child')).display");
        assert_eq!(row, if width < 700 { "block" } else { "table-row" });
    }
    browser.show_as(1_000, "print");
    browser.open(&path);
    let hidden = "return ['nav', '.tools', '#keys', '.skip', '#readout', '.filter'].filter((one) => \
                  document.querySelector(one) && document.querySelector(one).getClientRects().length)";
    assert_eq!(browser.run(hidden), json!([]));
    let printed = "return [...document.querySelectorAll('.t')].filter((one) => one.getClientRects().length).map((one) => one.dataset.tier).join('')";
    let printed = browser.run(printed);
    let printed = printed.as_str().expect("text");
    assert!(
        printed.contains("a") && printed.contains("b") && !printed.contains("o"),
        "{printed}"
    );
    let said = browser.run("return document.querySelector('.paper').getClientRects().length");
    assert_eq!(said, 1);
    let cut = "return [...document.querySelectorAll('.t > summary > *')].filter((one) => \
               one.getClientRects().length && one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).overflow != 'visible').length";
    assert_eq!(browser.run(cut), 0);
    assert_eq!(browser.console(), Vec::<String>::new());
}

/// The page of a /16 with 5,000 listings: under 8 MB, and every listing can be reached from the map and found in the list.
#[test]
fn a_large_block_makes_a_page_that_can_be_used() {
    let folder = tempfile::tempdir().expect("a place for temporary files");
    let listing = || {
        Observation::Listed(Box::new(Listing {
            codes: ReturnCodes::shared(vec![[127, 0, 0, 2].into()], vec!["sends spam".into()]),
            role: Role::Block,
            tier: Tier::A,
            reason: Some("Listed since 2026-11-01, see https://lookup.example.test/?ip=of-this-address".into()),
            ttl: 60,
            reason_cut: false,
            partial: false,
        }))
    };
    let dossiers: Vec<Dossier> = (0..65_536_u32)
        .map(|at| {
            let hard = match at % 13 {
                0 => listing(),
                _ => Observation::NotListed,
            };
            let mut dossier = dossier(
                Target::Ip4((0xc612_0000 + at).into()),
                [hard, Observation::NotListed],
                "x",
            );
            dossier.stages.truncate(2);
            dossier.findings.clear();
            dossier
        })
        .collect();
    let path = page(folder.path(), &dossiers);
    let size = std::fs::metadata(&path).expect("written").len();
    eprintln!("{size} octets for {} listings", 65_536_u32.div_ceil(13));
    assert!(size < 8_000_000, "{size}");
    let Some(browser) = Browser::start(&[]) else { return };
    browser.open(&path);
    let opened = browser.run(
        "const times = performance.getEntriesByType('navigation')[0]; return times.loadEventEnd - times.startTime",
    );
    eprintln!("opened in {opened} ms");
    let shown = "return document.querySelectorAll('#list > .t:not([hidden])').length";
    assert_eq!(browser.run(shown), 5_042);
    browser.run("document.getElementById('find').focus()");
    browser.press("198.18.200.");
    assert!(
        browser
            .run(shown)
            .as_u64()
            .is_some_and(|shown| (19..=20).contains(&shown))
    );
    browser.run("document.querySelector('.overview svg.heat').focus()");
    let told = || -> Value { browser.run("return document.getElementById('readout').textContent.split('  ')[0]") };
    assert_eq!(told(), "198.18.0.0");
    browser.press("n");
    assert_ne!(told(), "198.18.0.0");
    assert_eq!(browser.console(), Vec::<String>::new());
}
