//! What need not be asked: parts that their composite tells, IPv6 addresses of one unit, lists whose data is on disk. The
//! answers must be those of asking everything, through the real binary.

use assert_cmd::Command;
use predicates::prelude::*;
use reputon::lab::{Lab, LabOptions};
use serde_json::Value;

fn reputon() -> Command {
    let mut command = Command::cargo_bin("reputon").expect("the binary is built");
    command.timeout(std::time::Duration::from_secs(120));
    command
}

fn scan(args: &[&str]) -> Value {
    let mut command = reputon();
    command.args(["scan", "-q", "-f", "json", "--timeout", "0.3", "--retries", "1"]);
    let output = command.args(args).output().expect("it runs");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {}", String::from_utf8_lossy(&output.stderr));
    })
}

fn list<'a>(report: &'a Value, id: &str) -> &'a Value {
    let lists = report["lists"].as_array().expect("lists");
    lists.iter().find(|list| list["id"] == id).expect("it is in the run")
}

/// (target, list, codes, meanings, how) of every listing, and (target, list, cause) of every unknown.
fn known(report: &Value) -> (Vec<[String; 5]>, Vec<[String; 3]>) {
    let (mut listings, mut unknowns) = (Vec::new(), Vec::new());
    for target in report["targets"].as_array().expect("targets") {
        for listing in target["listings"].as_array().expect("listings") {
            listings.push(
                [
                    &target["target"],
                    &listing["list"],
                    &listing["codes"],
                    &listing["meanings"],
                    &listing["how"],
                ]
                .map(Value::to_string),
            );
        }
        for unknown in target["unknowns"].as_array().expect("unknowns") {
            unknowns.push([&target["target"], &unknown["list"], &unknown["cause"]].map(Value::to_string));
        }
    }
    (listings, unknowns)
}

fn without_how(listings: Vec<[String; 5]>) -> Vec<[String; 4]> {
    listings.into_iter().map(|[a, b, c, d, _]| [a, b, c, d]).collect()
}

#[test]
fn folding_says_what_asking_every_part_says() {
    let targets = [
        "--lab",
        "203.0.113.0/24",
        "2001:db8:0:13::/124",
        "--lists",
        "operator:lab",
    ];
    let folded = scan(&targets);
    let asked = scan(&[&targets[..], &["--no-fold"]].concat());
    let (listings, unknowns) = known(&folded);
    let parts = ["\"lab-sbl\"", "\"lab-xbl\"", "\"lab-pbl\""];
    assert!(
        listings
            .iter()
            .all(|listing| (listing[4] == "\"folded\"") == parts.contains(&listing[1].as_str()))
    );
    let (all, none) = known(&asked);
    assert_eq!(without_how(listings), without_how(all));
    assert_eq!((unknowns, none), (vec![], vec![]));
    // Three parts for IPv4, one for IPv6.
    assert_eq!(folded["run"]["folded"], 3 * 256 + 16);
    assert_eq!(asked["run"]["folded"], 0);
    for part in ["lab-sbl", "lab-xbl", "lab-pbl"] {
        let record = list(&folded, part);
        assert_eq!(
            (&record["asked"], &record["cause"]),
            (&0.into(), &"folded".into()),
            "{record}"
        );
        assert!(list(&asked, part)["asked"].as_u64() > Some(256));
    }
}

#[test]
fn a_folded_list_is_usable_for_the_exit_status() {
    let mut command = reputon();
    command.args([
        "scan",
        "-q",
        "-f",
        "none",
        "--lab",
        "--lists",
        "lab-zen,lab-sbl",
        "192.0.2.200",
    ]);
    command.assert().code(0);
}

/// A composite that is silent, one that has entries and no code for its part, and one that knows.
#[test]
fn a_part_that_its_composite_cannot_tell_is_asked_itself() {
    let lab = Lab::start(LabOptions::default()).expect("it starts");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mine.toml");
    let entry = |id: &str, zone: &str, covers: &str, codes: &str| {
        format!(
            "[[list]]\nid = \"{id}\"\nzone = \"{zone}.lab.test\"\nkinds = [\"ip4\"]\nrole = \"block\"\ntier = \"A\"\n\
             covers = [{covers}]\n[list.codes]\n{codes}\n"
        )
    };
    let any = "\"127.0.0.2-11\" = { means = \"listed\" }";
    let text = [
        "[operator]\nid = \"mine\"\nname = \"Mine\"\n".to_owned(),
        entry("silent", "f06-silent", "\"xbl\"", any),
        entry("xbl", "xbl.zen", "", any),
        entry("vague", "zen", "\"sbl\"", any),
        entry("sbl", "sbl.zen", "", any),
    ];
    std::fs::write(&file, text.concat()).expect("written");
    let (file, resolver) = (file.to_str().expect("UTF-8"), lab.addr().to_string());
    let common = [
        "--only-catalogue",
        "--catalogue",
        file,
        "--resolver",
        &resolver,
        "--lists",
        "all",
    ];
    let report = scan(&[&common[..], &["203.0.113.0/24"]].concat());
    let asked = scan(&[&common[..], &["--no-fold", "203.0.113.0/24"]].concat());
    assert_eq!(without_how(known(&report).0), without_how(known(&asked).0));
    let silent = list(&report, "silent");
    assert_eq!(
        (&silent["unknown"], &silent["health"]),
        (&256.into(), &"unhealthy".into())
    );
    let xbl = list(&report, "xbl");
    assert_eq!(
        (&xbl["unknown"], &xbl["health"], &xbl["listed"]),
        (&0.into(), &"healthy".into(), &4.into())
    );
    // What the composite does not list is clean by it; what it lists is asked, and those alone.
    let sbl = list(&report, "sbl");
    let vague = list(&report, "vague")["listed"].as_u64().expect("a number");
    assert_eq!(sbl["unknown"], 0);
    assert_eq!(report["run"]["folded"], 256 - vague);
    // Their texts and the examination come on top.
    let most = vague + sbl["listed"].as_u64().expect("a number") + 20;
    assert!(
        (vague..most).contains(&sbl["asked"].as_u64().expect("a number")),
        "{sbl}"
    );
}

#[test]
fn addresses_of_one_unit_are_asked_once() {
    let report = scan(&[
        "--lab",
        "--lists",
        "lab-v6",
        "2001:db8:bad::/120",
        "2001:db8:0:13::/121",
    ]);
    let v6 = list(&report, "lab-v6");
    assert!(v6["asked"].as_u64().expect("a number") < 20, "{v6}");
    assert_eq!(
        v6["listed"].as_u64().expect("a number") + v6["not_listed"].as_u64().expect("a number"),
        384
    );
    let by_how = |how: &str| known(&report).0.iter().filter(|listing| listing[4] == how).count();
    assert!(by_how("\"shared\"") > by_how("\"asked\""));
}

#[test]
fn a_unit_that_fills_many_tiles_is_asked_once() {
    // 4,096 addresses of one unit are 16 tiles.
    for (prefix, listed) in [("2001:db8:0:13::/116", 4_096), ("2001:db8:77::/116", 0)] {
        let report = scan(&["--lab", "--lists", "lab-v6", prefix]);
        let v6 = list(&report, "lab-v6");
        // One question, its text, the examination and the controls.
        assert!(v6["asked"].as_u64().expect("a number") < 20, "{v6}");
        assert_eq!(v6["listed"], listed, "{v6}");
        assert_eq!(v6["not_listed"], 4_096 - listed, "{v6}");
        assert_eq!(v6["unknown"], 0);
    }
}

const REASONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/lab/world/reasons.rbl");

#[test]
fn data_on_disk_says_what_its_server_says() {
    let data = format!("lab-reasons={REASONS}");
    let common = ["--lab", "--lists", "lab-reasons", "203.0.113.0/24"];
    let local = scan(&[&common[..], &["--zone-data", &data]].concat());
    let mut asked = scan(&common);
    let record = list(&local, "lab-reasons");
    assert_eq!(
        (&record["asked"], &record["health"], &record["cause"]),
        (&0.into(), &"unchecked".into(), &"local".into())
    );
    // Word for word, the reasons too; only the way is another.
    for target in asked["targets"].as_array_mut().expect("targets") {
        for listing in target["listings"].as_array_mut().expect("listings") {
            listing["how"] = "local".into();
        }
    }
    assert_eq!(local["targets"], asked["targets"]);
    assert!(!known(&local).0.is_empty());
}

/// Where nothing is left to ask, nobody is asked, not even whether a resolver is there; what data on disk says counts as
/// answered. The page's card of lists counts each list once.
#[test]
fn data_on_disk_alone_is_a_whole_run_and_asks_nobody() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (catalogue, data, page) = (file("own.toml"), file("own.ip4set"), file("page.html"));
    let text = "[operator]\nid = \"own\"\nname = \"Own\"\n[operator.terms]\nuse = \"free\"\n[[list]]\nid = \"own\"\n\
                zone = \"own.test\"\nkinds = [\"ip4\"]\nrole = \"block\"\ntier = \"A\"\n";
    std::fs::write(&catalogue, text).expect("written");
    std::fs::write(&data, "192.0.2.7 :127.0.0.2:x\n").expect("written");
    let data = format!("own={data}");
    let own = [
        "--only-catalogue",
        "--catalogue",
        &catalogue,
        "--lists",
        "all",
        "--zone-data",
        &data,
    ];
    // Nobody is at this address.
    let nobody = [
        "--stages",
        "none",
        "--resolver",
        "127.0.0.1:9",
        "-f",
        "none",
        "-o",
        &page,
    ];
    let lab = format!("lab-reasons={REASONS}");
    let lab = [
        "--lab",
        "--stages",
        "none",
        "--zone-data",
        &lab,
        "-f",
        "none",
        "-o",
        &page,
    ];
    for (arguments, target, status, asks) in [
        ([&own[..], &nobody].concat(), "192.0.2.8/29", 0, false),
        ([&own[..], &nobody].concat(), "192.0.2.0/29", 1, false),
        (lab.to_vec(), "10.0.0.0/24", 0, false),
        (lab.to_vec(), "198.51.100.0/30", 0, true),
    ] {
        let output = reputon()
            .arg("scan")
            .args(&arguments)
            .arg(target)
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{target}: {said}");
        assert_eq!(said.contains(" 0 queries"), !asks, "{target}: {said}");
        let page = std::fs::read_to_string(&page).expect("written");
        let (_, card) = page.split_once("<dt>in the run</dt>").expect("a card of lists");
        let (card, _) = card.split_once("</dl>").expect("its end");
        let numbers = card
            .split("<dd>")
            .skip(1)
            .map(|rest| rest.split('<').next().unwrap_or_default());
        let numbers: Vec<u32> = numbers.map(|number| number.parse().expect("a number")).collect();
        assert_eq!(numbers[0], numbers[1..].iter().sum::<u32>(), "{target}: {card}");
    }
}

#[test]
fn codes_on_disk_are_read_by_the_catalogue() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("data.ip4set");
    std::fs::write(
        &file,
        "192.0.2.1 :127.0.0.2:x\n192.0.2.2 :127.0.0.99:\n192.0.2.3 :198.51.100.9:\n",
    )
    .expect("written");
    let data = format!("lab-zen={}", file.display());
    let report = scan(&[
        "--lab",
        "--lists",
        "lab-zen,lab-sbl",
        "192.0.2.0/29",
        "--zone-data",
        &data,
    ]);
    let zen = list(&report, "lab-zen");
    assert_eq!(
        (&zen["listed"], &zen["not_listed"], &zen["unknown"]),
        (&1.into(), &5.into(), &2.into())
    );
    let (listings, unknowns) = known(&report);
    // The part learns from the data as it would from the zone's answers; where that does not help, it is asked.
    assert_eq!(
        listings.iter().map(|listing| listing[4].as_str()).collect::<Vec<_>>(),
        ["\"local\"", "\"folded\""]
    );
    assert!(
        unknowns
            .iter()
            .all(|unknown| unknown[1..] == ["\"lab-zen\"", "\"invalid_answer\""]),
        "{unknowns:?}"
    );
}

#[test]
fn bad_data_is_named_with_its_line_before_anything_is_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).expect("written");
        file.display().to_string()
    };
    for (file, said) in [
        (write("a.combined", "$DATASET nonsense @\n"), "a.combined:1:"),
        (write("b.ip4set", "# none\nnonsense\n"), "b.ip4set:2:"),
        (write("c.ip4set", ""), "no entries"),
        (
            write("d.ip4set", "$TIMESTAMP 2020:01:01:00 2020:02:01:00\n192.0.2.1\n"),
            "expired",
        ),
        (
            folder.path().join("missing").display().to_string(),
            "missing: cannot be read",
        ),
    ] {
        let mut command = reputon();
        let data = format!("lab-zen={file}");
        command.args(["scan", "--lab", "--zone-data", &data, "192.0.2.1"]);
        command
            .assert()
            .code(2)
            .stdout("")
            .stderr(predicate::str::contains(said));
    }
    let mut command = reputon();
    command.args([
        "scan",
        "--lab",
        "--lists",
        "lab-wl",
        "--zone-data",
        "lab-zen=/dev/null",
        "192.0.2.1",
    ]);
    command
        .assert()
        .code(2)
        .stderr(predicate::str::contains("lab-zen").and(predicate::str::contains("--lists")));
}
