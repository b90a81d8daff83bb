//! What cron and a monitoring system use: the Nagios line and its statuses, webhooks and letters. The webhook is a server
//! of the test's own on loopback; `sendmail` is a script on PATH.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc;
use std::thread;

use assert_cmd::Command;
use predicates::prelude::*;
use serde_json::Value;

fn scan(args: &[&str]) -> Command {
    let mut command = Command::cargo_bin("reputon").expect("the binary is built");
    command.args(["scan", "--lab", "--stages", "none", "-q"]).args(args);
    for proxy in [
        "http_proxy",
        "HTTP_PROXY",
        "https_proxy",
        "HTTPS_PROXY",
        "all_proxy",
        "ALL_PROXY",
    ] {
        command.env_remove(proxy);
    }
    command.timeout(std::time::Duration::from_secs(120));
    command
}

/// A webhook: answers each request with the next of these statuses (the last one for ever), and tells the bodies.
/// Status 0 is silence: it reads and never answers.
fn webhook(statuses: &'static [u16]) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    let address = listener.local_addr().expect("bound");
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let mut silent = Vec::new();
        for (at, stream) in listener.incoming().enumerate() {
            let mut stream = stream.expect("a connection");
            let status = statuses[at.min(statuses.len() - 1)];
            if tell.send(request(&stream)).is_err() {
                return;
            }
            if status == 0 {
                silent.push(stream);
                continue;
            }
            let answer = format!("HTTP/1.1 {status} Whatever\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (format!("http://user:pa55@{address}/T0/s3cret?token=s3cret"), told)
}

/// The body of a request; its head must be a POST of JSON.
fn request(stream: &TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let (mut length, mut line) = (0, String::new());
    reader.read_line(&mut line).expect("a request");
    assert!(line.starts_with("POST /T0/s3cret?token=s3cret "), "{line}");
    loop {
        line.clear();
        reader.read_line(&mut line).expect("a header");
        let field = line.trim_end().to_ascii_lowercase();
        if let Some(octets) = field.strip_prefix("content-length: ") {
            length = octets.parse().expect("a number");
        }
        if field.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    String::from_utf8(body).expect("JSON is UTF-8")
}

#[test]
fn nagios_says_one_line_and_its_status() {
    let line = |start: &str| {
        predicate::str::starts_with(start.to_owned()).and(predicate::function(|out: &str| out.lines().count() == 1))
    };
    scan(&["203.0.113.10", "--nagios"])
        .assert()
        .code(2)
        .stdout(line("REPUTON CRITICAL - 1 of 1 targets listed (A 1,"));
    scan(&["203.0.113.128", "--nagios"])
        .assert()
        .code(1)
        .stdout(line("REPUTON WARNING - 1 of 1 targets listed (A 0, B 0, C 1)"));
    scan(&["192.0.2.200", "--nagios"])
        .assert()
        .code(0)
        .stdout(line("REPUTON OK - 0 of 1 targets listed"));
    scan(&[
        "192.0.2.200",
        "--nagios",
        "--lists",
        "f08-refused",
        "--timeout",
        "0.2",
        "--retries",
        "0",
    ])
    .assert()
    .code(3)
    .stdout(line("REPUTON UNKNOWN - "));
}

/// A plugin that cannot work must not say "critical": 2 would be that.
#[test]
fn a_nagios_plugin_that_cannot_work_is_unknown() {
    scan(&["not an address|x", "--nagios"])
        .assert()
        .code(3)
        .stdout(predicate::str::starts_with("REPUTON UNKNOWN - ").and(predicate::str::contains("|").not()));
    scan(&["192.0.2.200", "--nagios", "--no-such-option"])
        .assert()
        .code(3)
        .stdout(predicate::str::starts_with(
            "REPUTON UNKNOWN - error: unexpected argument",
        ));
}

#[test]
fn a_webhook_is_told_what_is_new_and_tried_again() {
    let (url, told) = webhook(&[500, 429, 204]);
    scan(&["203.0.113.10", "-f", "none", "--notify", &url, "--notify-timeout", "5"])
        .assert()
        .code(1);
    let bodies: Vec<String> = told.try_iter().collect();
    assert_eq!(bodies.len(), 3);
    assert_eq!(bodies[0], bodies[2]);
    let message: Value = serde_json::from_str(&bodies[0]).expect("JSON");
    assert_eq!(message["type"], "change");
    assert_eq!(message["since"], Value::Null);
    assert_eq!(message["newly_listed"][0]["target"], "203.0.113.10");
    assert_eq!(message["listed"]["tier_a"], 1);
    assert!(
        message["text"]
            .as_str()
            .expect("text")
            .starts_with("reputon: first run, ")
    );
}

#[test]
fn nobody_is_told_where_nothing_is_listed() {
    let (url, told) = webhook(&[204]);
    scan(&["192.0.2.200", "-f", "none", "--notify", &url]).assert().code(0);
    assert_eq!(told.try_iter().count(), 0);
}

/// Nothing leaves the machine in a rehearsal: who is named for news of real scans is not told of the lab's.
#[test]
fn a_rehearsal_tells_nobody_whom_the_environment_or_the_file_names() {
    let (url, told) = webhook(&[204]);
    let folder = tempfile::tempdir().expect("a place for temporary files");
    let file = folder.path().join("reputon.toml");
    std::fs::write(&file, format!("notify = '{url}'\n")).expect("a file of our own");
    let file = file.to_str().expect("UTF-8");
    scan(&["203.0.113.10", "-f", "none"])
        .env("REPUTON_NOTIFY", &url)
        .assert()
        .code(1);
    scan(&["203.0.113.10", "-f", "none", "--config", file]).assert().code(1);
    assert_eq!(told.try_iter().count(), 0);
    scan(&["203.0.113.10", "-f", "none", "--config", file, "--notify", &url])
        .assert()
        .code(1);
    assert_eq!(told.try_iter().count(), 1, "who is typed is told");
}

/// It hangs: the result is out all the same, the message names the host, and no secret is anywhere.
#[test]
fn a_webhook_that_hangs_costs_neither_result_nor_secret() {
    let (url, told) = webhook(&[0]);
    let folder = tempfile::tempdir().expect("a place for temporary files");
    let csv = folder.path().join("x.csv");
    scan(&[
        "203.0.113.10",
        "-f",
        "jsonl",
        "--notify",
        &url,
        "--notify-timeout",
        "1",
        "-o",
    ])
    .arg(&csv)
    .assert()
    .code(2)
    .stdout(predicate::str::contains(r#""target":"203.0.113.10""#))
    .stderr(predicate::str::contains("--notify: http://127.0.0.1:"))
    .stderr(predicate::str::contains("did not take the message"))
    .stderr(
        predicate::str::contains("s3cret")
            .or(predicate::str::contains("pa55"))
            .not(),
    );
    assert!(std::fs::read_to_string(csv).expect("written").contains("203.0.113.10"));
    assert_eq!(told.try_iter().count(), 4, "a bounded number of tries");
}

#[test]
fn a_webhook_that_refuses_or_sends_elsewhere_is_not_asked_again() {
    for statuses in [&[403_u16], &[302]] {
        let (url, told) = webhook(statuses);
        scan(&["203.0.113.10", "-f", "none", "--notify", &url])
            .assert()
            .code(2)
            .stderr(predicate::str::contains(format!("it answered {}", statuses[0])));
        assert_eq!(told.try_iter().count(), 1);
    }
}

/// A `sendmail` that keeps what it gets.
fn fake_sendmail(folder: &Path, end: &str) {
    use std::os::unix::fs::PermissionsExt;
    let program = folder.join("sendmail");
    let script = format!(
        "#!/bin/sh\necho \"$@\" > {0}/arguments\ncat > {0}/letter\n{end}\n",
        folder.display()
    );
    std::fs::write(&program, script).expect("a folder of our own");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("a file of our own");
}

fn path_with(folder: &Path) -> String {
    format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default())
}

#[test]
fn a_letter_goes_through_sendmail() {
    let folder = tempfile::tempdir().expect("a place for temporary files");
    fake_sendmail(folder.path(), "exit 0");
    scan(&[
        "203.0.113.12",
        "-f",
        "none",
        "--mail-to",
        "ops@example.org",
        "--mail-to",
        "noc@example.org",
    ])
    .env("PATH", path_with(folder.path()))
    .assert()
    .code(1)
    .stdout("")
    .stderr("");
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("written");
    assert_eq!(read("arguments").trim(), "-t -oi");
    let letter = read("letter");
    assert!(
        letter.starts_with("To: ops@example.org,\n noc@example.org\nSubject: reputon: first run, "),
        "{letter}"
    );
    assert!(
        letter.contains("Auto-Submitted: auto-generated\n\nNewly listed: "),
        "{letter}"
    );
    assert!(
        letter.contains("  203.0.113.12  lab-zen (tier A): not_asked -> listed\n"),
        "{letter}"
    );
}

#[test]
fn sendmail_that_fails_is_told_and_the_result_stands() {
    let folder = tempfile::tempdir().expect("a place for temporary files");
    fake_sendmail(folder.path(), "exit 75");
    scan(&["203.0.113.12", "-f", "csv", "--mail-to", "ops@example.org"])
        .env("PATH", path_with(folder.path()))
        .assert()
        .code(2)
        .stdout(predicate::str::contains("203.0.113.12,lab-zen"))
        .stderr(predicate::str::contains("did not take the letter: exit status: 75"));
}

#[test]
fn addresses_that_could_leave_a_header_are_refused() {
    scan(&["192.0.2.200", "--mail-to", "ops@example.org\nBcc: x@example.org"])
        .assert()
        .code(2)
        .stderr(predicate::str::contains("a plain mail address"));
}

/// A run that is kept tells what is new against the last one, nobody is told twice, and what is not known any more is told as
/// that. A hook that hangs costs neither result, nor record, nor secret.
#[test]
fn with_a_database_only_what_changed_is_told() {
    let folder = tempfile::tempdir().expect("a place for temporary files");
    fake_sendmail(folder.path(), "exit 0");
    let db = folder.path().join("runs.db");
    let scan = |lists: &str, url: &str, more: &[&str]| {
        let mut command = scan(&["203.0.113.0/28", "--lists", lists, "--notify", url]);
        let usual = ["--notify-timeout", "5", "-f", "none"];
        command.args(["--mail-to", "ops@example.org"]);
        command.args(if more.is_empty() { &usual } else { more });
        command.arg("--db").arg(&db).env("PATH", path_with(folder.path()));
        command
    };
    let letter = || {
        let path = folder.path().join("letter");
        let letter = std::fs::read_to_string(&path).ok();
        let _ = std::fs::remove_file(path);
        letter
    };
    let (url, told) = webhook(&[204]);
    let messages = || -> Vec<Value> {
        let bodies = told.try_iter();
        bodies.map(|body| serde_json::from_str(&body).expect("JSON")).collect()
    };
    scan("lab-zen", &url, &[]).assert().code(1).stderr("");
    let first = messages();
    assert_eq!(first.len(), 1);
    assert_eq!((&first[0]["since"], first[0]["run"].get("diff")), (&Value::Null, None));
    assert!(letter().expect("a letter").contains("Subject: reputon: first run, "));

    // Nothing changed: silence, whatever is listed.
    scan("lab-zen", &url, &[]).assert().code(1).stdout("").stderr("");
    assert!(messages().is_empty() && letter().is_none());

    // A list more: what it has is new, and nothing else is told.
    scan("lab-zen,lab-reasons", &url, &[]).assert().code(1).stderr("");
    let new = messages();
    assert_eq!(new.len(), 1);
    assert_eq!(new[0]["since"]["run"], 2);
    let listed = new[0]["newly_listed"].as_array().expect("changes");
    assert!(
        !listed.is_empty() && listed.iter().all(|change| change["list"] == "lab-reasons"),
        "{listed:?}"
    );
    assert_eq!(new[0]["counts"]["newly_listed"], listed.len());
    assert_eq!(
        new[0]["lists"],
        serde_json::json!([{"list": "lab-reasons", "what": "added"}])
    );
    assert!(
        letter()
            .expect("a letter")
            .contains("lab-reasons (tier B): not_asked -> listed")
    );

    // It is taken out again: that is not cleared.
    scan("lab-zen", &url, &[]).assert().code(1);
    let gone = messages();
    assert_eq!(
        (&gone[0]["counts"]["cleared"], &gone[0]["cleared"]),
        (&0.into(), &serde_json::json!([]))
    );
    assert_eq!(gone[0]["became_unknown"].as_array().map(Vec::len), Some(listed.len()));
    letter();

    // A hook that hangs: the result is out, the run is kept whole, the letter goes all the same, and no secret is anywhere.
    let (silent, _told) = webhook(&[0]);
    scan("lab-zen,lab-brute", &silent, &["--notify-timeout", "1", "-f", "csv"])
        .assert()
        .code(2)
        .stdout(predicate::str::contains("203.0.113."))
        .stderr(predicate::str::contains("did not take the message"))
        .stderr(
            predicate::str::contains("s3cret")
                .or(predicate::str::contains("pa55"))
                .not(),
        );
    assert!(letter().expect("a letter").contains("lab-brute"));
    let mut runs = Command::cargo_bin("reputon").expect("the binary is built");
    let runs = runs
        .args(["runs", "--format", "json", "--db"])
        .arg(&db)
        .output()
        .expect("it runs");
    let text = String::from_utf8(runs.stdout).expect("text");
    assert!(
        text.matches(r#""state":"whole""#).count() == 5 && !text.contains("s3cret"),
        "{text}"
    );
    for octets in [
        std::fs::read(&db).expect("a database"),
        std::fs::read(db.with_extension("db-wal")).unwrap_or_default(),
    ] {
        let found = octets.windows(6).any(|word| word == b"s3cret");
        assert!(!found, "no secret is in the database");
    }
    // What did not get through is told by the next run, even if nothing else changed, and then no more.
    scan("lab-zen,lab-brute", &url, &[]).assert().code(1);
    let late = messages();
    assert_eq!((late.len(), &late[0]["since"]["run"]), (1, &4.into()));
    assert!(late[0]["newly_listed"].to_string().contains("lab-brute"));
    assert!(letter().expect("a letter").contains("lab-brute"));
    scan("lab-zen,lab-brute", &url, &[]).assert().code(1);
    assert!(messages().is_empty() && letter().is_none());
    // A run that was stopped has no news, and a whole one that is resumed has told its own.
    scan("lab-zen,lab-brute", &url, &["-f", "none", "--resume"])
        .assert()
        .code(1)
        .stdout("");
    assert!(messages().is_empty() && letter().is_none());
    scan("lab-zen,lab-brute", &url, &["--resume", "--nagios"])
        .assert()
        .code(2)
        .stdout(predicate::str::starts_with("REPUTON CRITICAL - "));
}

/// What `promtool check metrics` looks at: the exposition format, and the lints of names and types.
fn check_metrics(text: &str) -> Vec<String> {
    use std::collections::{BTreeMap, BTreeSet};
    let mut faults = Vec::new();
    let (mut help, mut kinds) = (BTreeMap::new(), BTreeMap::new());
    let (mut samples, mut closed, mut family) = (BTreeSet::new(), BTreeSet::new(), String::new());
    if !text.ends_with('\n') {
        faults.push("no newline at the end".to_owned());
    }
    let is_name = |name: &str| {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        name.chars().all(plain) && name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
    };
    for line in text.lines() {
        let mut fault = |what: &str| faults.push(format!("{what}: {line}"));
        if let Some(rest) = line.strip_prefix("# ") {
            let (what, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            if name != family {
                closed.insert(std::mem::replace(&mut family, name.to_owned()));
            }
            if closed.contains(name) {
                fault("its samples do not stand together");
            }
            let new = match what {
                "HELP" if !rest.is_empty() => help.insert(name.to_owned(), rest.to_owned()).is_none(),
                "TYPE" if ["counter", "gauge"].contains(&rest) => {
                    help.contains_key(name) && kinds.insert(name.to_owned(), rest.to_owned()).is_none()
                }
                _ => false,
            };
            if !new || !is_name(name) {
                fault("a bad comment");
            }
            if (rest == "counter") != name.ends_with("_total") && what == "TYPE" {
                fault("counters end in _total, and only they do");
            }
            let units = [
                "_ms",
                "_milliseconds",
                "_minutes",
                "_percent",
                "_kilobytes",
                "_count",
                "_sum",
                "_bucket",
            ];
            if units.iter().any(|unit| name.ends_with(unit)) || name.contains("gauge") || name != name.to_lowercase() {
                fault("a name that promtool does not like");
            }
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap_or((line, ""));
        if value.parse::<f64>().is_err() {
            fault("no number");
        }
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        if name != family || !kinds.contains_key(name) {
            fault("no type before it");
        }
        if !samples.insert(series.to_owned()) {
            fault("twice");
        }
        let Some(mut labels) = labels.strip_suffix('}') else {
            fault("an open brace");
            continue;
        };
        let mut seen = BTreeSet::new();
        while !labels.is_empty() {
            let Some((label, rest)) = labels.split_once("=\"") else {
                fault("no label");
                break;
            };
            if !is_name(label) || !seen.insert(label) || label == "le" || label == "quantile" {
                fault("a bad label");
            }
            let (mut end, mut escaped) = (None, false);
            for (at, letter) in rest.char_indices() {
                match letter {
                    _ if escaped => {
                        escaped = false;
                        if !['\\', '"', 'n'].contains(&letter) {
                            fault("a bad escape");
                        }
                    }
                    '\\' => escaped = true,
                    '"' => {
                        end = Some(at);
                        break;
                    }
                    letter if letter.is_control() => fault("a control in a value"),
                    _ => {}
                }
            }
            let Some(end) = end else {
                fault("an open quote");
                break;
            };
            let rest = &rest[end + 1..];
            labels = rest.strip_prefix(',').unwrap_or(rest);
            if labels.len() == rest.len() && !rest.is_empty() {
                fault("no comma");
                break;
            }
        }
    }
    for name in help.keys().filter(|name| !kinds.contains_key(*name)) {
        faults.push(format!("no type: {name}"));
    }
    faults
}

#[test]
fn the_checker_of_metrics_sees_what_is_bad() {
    let good = "# HELP a_total Good.\n# TYPE a_total counter\na_total{x=\"\\\\ \\\" \\n\",y=\"\"} 1\na_total 2e3\n";
    assert_eq!(check_metrics(good), Vec::<String>::new());
    let head = "# HELP a Good.\n# TYPE a gauge\n";
    for bad in [
        "a 1\n".to_owned(),
        format!("{head}a 1"),
        format!("{head}a x\n"),
        format!("{head}a 1\na 1\n"),
        format!("{head}a{{x=\"y}} 1\n"),
        format!("{head}a{{x=\"\\t\"}} 1\n"),
        format!("{head}a{{x=\"1\"y=\"2\"}} 1\n"),
        format!("{head}a{{x=\"1\",x=\"2\"}} 1\n"),
        format!("{head}b 1\n"),
        format!("{head}a 1\n# HELP b B.\n# TYPE b gauge\nb 1\n{head}"),
        "# HELP a_total A.\n# TYPE a_total gauge\n".to_owned(),
        "# HELP a A.\n# TYPE a counter\n".to_owned(),
        "# TYPE a gauge\na 1\n".to_owned(),
        "# HELP a_ms A.\n# TYPE a_ms gauge\n".to_owned(),
        "# HELP a A.\n".to_owned(),
    ] {
        assert!(!check_metrics(&bad).is_empty(), "{bad}");
    }
}

/// The textfile of runs with good, dead and lying lists, hostile text, an audit and no target at all that can be asked about.
#[test]
fn the_textfile_passes_the_checks_of_promtool() {
    let folder = tempfile::tempdir().expect("a place for temporary files");
    let file = folder.path().join("reputon.prom");
    for targets in [
        &[
            "203.0.113.0/27",
            "198.51.100.0/28",
            "bulk.example-bulk.test",
            "2001:db8::666",
            "10.0.0.1",
        ][..],
        &["10.0.0.1"],
    ] {
        let mut command = scan(targets);
        command.args([
            "--lists",
            "all",
            "-f",
            "none",
            "--timeout",
            "0.3",
            "--retries",
            "0",
            "-o",
        ]);
        let output = command.arg(&file).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{error}: {said}"));
        assert_eq!(check_metrics(&text), Vec::<String>::new());
        for wanted in [
            "reputon_targets{verdict=\"listed\"}",
            "reputon_list_listed{",
            "reputon_list_unknown{",
            "reputon_list_healthy{",
            "reputon_duration_seconds ",
            "reputon_operator_queries",
        ] {
            // Where nothing is to be asked, no list is examined.
            let needed = targets.len() > 1 || !wanted.starts_with("reputon_list_healthy");
            assert!(!needed || text.contains(wanted), "{wanted}");
        }
    }
}
