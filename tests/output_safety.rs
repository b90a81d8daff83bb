//! Hostile text through the binary, in every form that it writes: nothing of it acts. And keys, which are in none of them.
//!
//! The text comes as it would: a list's reasons (data on disk with every breaker), names of addresses and policies of
//! domains (the embedded world), meanings of a user's catalogue, names of files. Every output is read by a parser of its
//! form and searched for characters that act.

mod harmless;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use harmless::{is_safe, safe};

/// Reasons that try each reader, as octets.
const REASONS: [&[u8]; 9] = [
    b"\x1b[31mred \x1b]0;owned\x07 \x08\x7f \x00 end",
    b"=cmd|' /C calc'!A0",
    "\u{ff1d}cmd() \u{ff0b}1".as_bytes(),
    "-2+3 \u{202e}drow\u{2066} \u{200b}\u{feff}\u{e0041}".as_bytes(),
    b"@SUM(A1)\",\"b\r\tx",
    b"</script><script>alert(1)</script><img src=x onerror=alert(1)>",
    "\u{2028}\u{2029}\u{85}\u{9b}2J \\u0000 \"}],".as_bytes(),
    b"\xff\xfe\xc3(\xed\xa0\x80 not UTF-8",
    b"\"} 1\\nreputon_evil{x=\"y\"} 1 | perf=1;2;3 `x` [a](javascript:alert(1)) ${jndi:ldap://x} {{7*7}}",
];

fn program() -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("reputon"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("REPUTON_") {
            command.env_remove(name);
        }
    }
    command.env("REPUTON_CONFIG", "none").stdin(Stdio::null());
    command
}

fn run(folder: &Path, args: &[&str]) -> Output {
    program().current_dir(folder).args(args).output().expect("it runs")
}

/// A folder with the reasons as data of the world's list, and a catalogue of hostile words.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a place for temporary files");
    let mut data = b"192.0.2.200 :2:harmless\n127.0.0.2 :2:test\n".to_vec();
    for (at, reason) in REASONS.iter().enumerate() {
        data.extend(format!("192.0.2.{} :2:", 101 + at).bytes());
        data.extend(*reason);
        data.push(b'\n');
    }
    fs::write(folder.path().join("data.ip4set"), data).expect("written");
    let words = r#"\u001B[31m=x\u0007\u202E</script><script>alert(1)</script>\u2028|\"} 1\n"#;
    let catalogue = format!(
        "[operator]\nid = \"hostile\"\nname = \"=cmd() {words}\"\n\n\
         [[list]]\nid = \"hostile\"\nzone = \"bl.hostile.test\"\nkinds = [\"ip4\"]\nrole = \"block\"\ntier = \"B\"\ndefault = true\n\
         remove_how = \"javascript:alert(1)//{words}\"\n[list.codes]\n\"127.0.0.2\" = {{ means = \"@SUM {words}\" }}\n"
    );
    fs::write(folder.path().join("hostile.toml"), catalogue).expect("written");
    folder
}

const TARGETS: [&str; 6] = [
    "192.0.2.100-192.0.2.110",
    "203.0.113.10-203.0.113.20",
    "203.0.113.113",
    "2001:db8::666",
    "example-breaker.test",
    "example-hostile.test",
];

#[test]
fn r15_r16_r17_nothing_acts_in_any_file_and_on_any_stream() {
    let folder = folder();
    let inside = folder.path();
    let mut args = vec![
        "scan",
        "--lab",
        "--zone-data",
        "lab-reasons=data.ip4set",
        "--db",
        "runs.db",
        "-f",
        "table",
    ];
    args.extend(["-o", "out/", "-o", "audit.txt.md", "--all-rows"]);
    args.extend(TARGETS);
    let output = run(inside, &args);
    assert_eq!(
        output.status.code(),
        Some(1),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    is_safe("table", &output.stdout);
    is_safe("talk", &output.stderr);
    let mut files = 0;
    for entry in fs::read_dir(inside.join("out")).expect("the set") {
        let path = entry.expect("an entry").path();
        is_safe(path.to_str().expect("a plain name"), &fs::read(&path).expect("a file"));
        files += 1;
    }
    assert!(files >= 9, "{files} files");
    // Nothing is lost in the lossless form.
    let text = fs::read_to_string(inside.join("out/report.json")).expect("a file");
    for wanted in ["\\u001b[31mred \\u001b]0;owned\\u0007", "\\u202edrow", "\\u2028\\u2029"] {
        assert!(text.contains(wanted), "{wanted}");
    }
    // The same run out of the database, and what only the database has.
    let before = program()
        .current_dir(inside)
        .args(["scan", "--lab", "--db", "runs.db", "-f", "none", "-q"])
        .args(TARGETS)
        .output();
    assert_eq!(before.expect("it runs").status.code(), Some(1));
    for (name, args) in [
        ("report.table", &["report", "1", "-f", "table"][..]),
        ("report.jsonl", &["report", "1", "-f", "jsonl"]),
        ("report.json", &["report", "1", "-f", "json"]),
        ("report.csv", &["report", "1", "-f", "csv", "--all-rows"]),
        ("report.md", &["report", "1", "-f", "md"]),
        ("diff.table", &["diff", "1", "2", "-f", "table"]),
        ("diff.json", &["diff", "1", "2", "-f", "json"]),
        ("history.table", &["history", "192.0.2.101", "-f", "table"]),
        ("history.json", &["history", "192.0.2.101", "-f", "json"]),
        ("runs.table", &["runs", "-f", "table"]),
        ("runs.json", &["runs", "-f", "json"]),
    ] {
        let output = run(inside, &[args, &["--db", "runs.db"]].concat());
        assert!(
            !output.stdout.is_empty(),
            "{name}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        is_safe(name, &output.stdout);
        is_safe("talk", &output.stderr);
    }
}

#[test]
fn r15_r16_r17_nothing_acts_in_the_output_of_other_commands() {
    let folder = folder();
    let data = ["--zone-data", "lab-reasons=data.ip4set"];
    for (name, args) in [
        ("audit.table", &["audit", "--lab", "192.0.2.96/28", "-f", "table"][..]),
        ("audit.json", &["audit", "--lab", "192.0.2.96/28", "-f", "json"]),
        ("audit.md", &["audit", "--lab", "192.0.2.96/28", "-f", "md"]),
        ("nagios", &["scan", "--lab", "192.0.2.96/28", "--nagios"]),
    ] {
        let output = run(folder.path(), &[args, &data, &["--db", "none"]].concat());
        is_safe(name, &output.stdout);
        is_safe("talk", &output.stderr);
        if name == "nagios" {
            let line = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(line.lines().count() == 1 && line.matches('|').count() <= 1, "{line}");
        }
    }
    for (name, args) in [
        (
            "check.table",
            &["check", "--lab", "example-breaker.test", "-f", "table"][..],
        ),
        ("check.json", &["check", "--lab", "example-breaker.test", "-f", "json"]),
        ("rdns.table", &["rdns", "--lab", "2001:db8::666", "-f", "table"]),
        ("rdns.jsonl", &["rdns", "--lab", "2001:db8::666", "-f", "jsonl"]),
        ("mx.table", &["mx", "--lab", "example-breaker.test", "-f", "table"]),
        (
            "dmarc.table",
            &["dmarc", "--lab", "example-breaker.test", "-f", "table"],
        ),
        ("dkim.table", &["dkim", "--lab", "example-breaker.test", "-f", "table"]),
        ("dkim.jsonl", &["dkim", "--lab", "example-breaker.test", "-f", "jsonl"]),
        (
            "spf.table",
            &[
                "spf",
                "--lab",
                "example-breaker.test",
                "--ip",
                "192.0.2.1",
                "-f",
                "table",
            ],
        ),
        ("asn.table", &["asn", "--lab", "198.51.100.7", "-f", "table"]),
        (
            "lists",
            &[
                "lists",
                "ls",
                "--only-catalogue",
                "--catalogue",
                "hostile.toml",
                "-f",
                "table",
            ],
        ),
        (
            "lists",
            &[
                "lists",
                "show",
                "hostile",
                "--only-catalogue",
                "--catalogue",
                "hostile.toml",
            ],
        ),
        (
            "lists.json",
            &[
                "lists",
                "ls",
                "--only-catalogue",
                "--catalogue",
                "hostile.toml",
                "-f",
                "json",
            ],
        ),
        ("names", &["scan", "--lab", "@no\x1b[31m\u{202e}\nsuch"]),
        (
            "names",
            &["scan", "--lab", "--catalogue", "no\x1b[31m\u{202e}\nsuch", "192.0.2.1"],
        ),
        (
            "names",
            &["scan", "--lab", "-o", "no\x1b[31m\u{202e}\n/such.csv", "192.0.2.1"],
        ),
        ("names", &["scan", "--config", "no\x1b[31m\u{202e}\nsuch", "192.0.2.1"]),
        ("names", &["runs", "--db", "no\x1b[31m\u{202e}\nsuch"]),
        ("names", &["scan", "--lab", "\x1b[31m\u{202e}\n.example"]),
        ("names", &["scan", "--lab", "--lists", "\x1b[31m\u{202e}", "192.0.2.1"]),
        (
            "names",
            &[
                "scan",
                "--lab",
                "--zone-data",
                "lab-zen=no\x1b[31m\u{202e}\nsuch",
                "192.0.2.1",
            ],
        ),
        (
            "names",
            &["runs", "import", "no\x1b[31m\u{202e}\nsuch", "--db", "new.db"],
        ),
        ("names", &["lists", "lint", "no\x1b[31m\u{202e}\nsuch"]),
    ] {
        let output = run(folder.path(), args);
        assert!(
            !(output.stdout.is_empty() && output.stderr.is_empty()),
            "{args:?} says nothing"
        );
        is_safe(&format!("{args:?} {name}"), &output.stdout);
        is_safe(&format!("{args:?} talk"), &output.stderr);
    }
}

#[test]
fn r15_r16_words_of_a_users_catalogue_do_not_act() {
    let folder = folder();
    let mut args = vec![
        "scan",
        "--only-catalogue",
        "--catalogue",
        "hostile.toml",
        "--zone-data",
        "hostile=data.ip4set",
    ];
    args.extend([
        "--stages",
        "none",
        "--resolver",
        "127.0.0.1:1",
        "--db",
        "none",
        "-o",
        "out/",
        "-f",
        "table",
    ]);
    args.push("192.0.2.96/28");
    let output = run(folder.path(), &args);
    assert_eq!(
        output.status.code(),
        Some(1),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    is_safe("table", &output.stdout);
    is_safe("talk", &output.stderr);
    for entry in fs::read_dir(folder.path().join("out")).expect("the set") {
        let path = entry.expect("an entry").path();
        is_safe(path.to_str().expect("a plain name"), &fs::read(&path).expect("a file"));
    }
}

#[test]
fn r15_a_terminal_gets_our_colours_and_nothing_of_strangers() {
    let folder = folder();
    let words = format!(
        "'{}' scan --lab --zone-data lab-reasons=data.ip4set --db none -q -f table {}",
        assert_cmd::cargo::cargo_bin("reputon").display(),
        TARGETS.join(" ")
    );
    let output = Command::new("script")
        .args(["-q", "-e", "-c", &words, "/dev/null"])
        .current_dir(folder.path())
        .env("TERM", "xterm-256color")
        .stdin(Stdio::null())
        .output()
        .expect("util-linux");
    let mut text = String::from_utf8(output.stdout).expect("UTF-8").replace("\r\n", "\n");
    assert!(text.contains("Listed"), "{text}");
    // Ours: colours, ESC [ digits m.
    let mut plain = String::new();
    while let Some(at) = text.find('\x1b') {
        plain.push_str(&text[..at]);
        let rest = &text[at..];
        let end = rest.find('m').unwrap_or_else(|| panic!("{rest:?}"));
        assert!(
            rest[1..end].starts_with('[')
                && rest[2..end]
                    .bytes()
                    .all(|octet| octet.is_ascii_digit() || octet == b';'),
            "{:?}",
            &rest[..end]
        );
        assert!(!rest[end + 1..].starts_with("red "), "the stranger's red");
        text = rest[end + 1..].to_owned();
    }
    safe("terminal", (plain + &text).as_bytes());
}

const SECRET: &str = "sesame4711open";

fn holds(octets: &[u8], text: &str) -> bool {
    octets
        .to_ascii_lowercase()
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

/// Every file below a folder.
fn files(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => files(&path, found),
            false => found.push((path.display().to_string(), fs::read(&path).expect("a file"))),
        }
    }
}

#[test]
fn r15_keys_are_in_no_output_file_database_or_error() {
    let config = tempfile::NamedTempFile::new().expect("a temporary file");
    fs::write(config.path(), format!("[keys]\nspamhaus = \"{SECRET}\"\n")).expect("written");
    let config = config.path().to_str().expect("a plain name").to_owned();
    let typed = format!("spamhaus={SECRET}");
    let joined = format!("--key=spamhaus={SECRET}");
    for (way, args) in [
        ("typed", vec!["--key", &typed]),
        ("joined", vec![&joined]),
        ("environment", vec![]),
        ("file", vec!["--config", &config]),
    ] {
        let folder = tempfile::tempdir().expect("a place for temporary files");
        let mut command = program();
        if way == "environment" {
            command.env("REPUTON_KEY_SPAMHAUS", SECRET);
        }
        let common = [
            "scan",
            "--lab-catalogue",
            "operator:spamhaus",
            "192.0.2.1",
            "127.0.0.2",
            "example-shop.test",
            "-vv",
        ];
        let out = ["-f", "json", "-o", "out/", "--db", "runs.db"];
        let output = command
            .current_dir(folder.path())
            .args(common)
            .args(out)
            .args(args)
            .output()
            .expect("it runs");
        let talk = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() != Some(2), "{way}: {talk}");
        assert!(holds(&output.stdout, "{key}"), "{way}: the key was used");
        let mut found = vec![
            ("stdout".to_owned(), output.stdout),
            ("stderr".to_owned(), output.stderr),
        ];
        files(folder.path(), &mut found);
        assert!(found.iter().any(|(name, _)| name.ends_with("runs.db")) && found.len() > 8);
        for (name, octets) in found {
            assert!(!holds(&octets, SECRET), "{way}: the key is in {name}");
        }
    }
    for args in [
        &["scan", "--lab", "--key", SECRET, "192.0.2.1"][..],
        &["scan", "--lab", "--key", "nobody=sesame4711open", "192.0.2.1"],
        &[
            "scan",
            "--lab-catalogue",
            "default",
            "--key",
            "spamhaus=sesame4711open!",
            "192.0.2.1",
        ],
        &["scan", "--key=sesame4711open", "--nagios", "192.0.2.1"],
        &["scan", "--notify", "sesame4711open", "192.0.2.1"],
    ] {
        let output = program().args(args).output().expect("it runs");
        assert!(matches!(output.status.code(), Some(2 | 3)), "{args:?}");
        assert!(
            !holds(&output.stdout, SECRET) && !holds(&output.stderr, SECRET),
            "{args:?}: {output:?}"
        );
    }
}

/// What `ps` shows, at work; and what a letter's program is given.
#[test]
fn r15_secrets_are_not_among_the_arguments_that_others_see() {
    let mut lab = program()
        .args([
            "scan",
            "--lab-catalogue",
            "operator:spamhaus",
            "--db",
            "none",
            "-f",
            "none",
            "-",
        ])
        .args([
            "--key",
            "spamhaus=sesame4711open",
            "--notify=http://127.0.0.1:1/sesame4711open",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    // It waits for targets; it has put itself anew when the mark is there.
    let shown = format!("/proc/{}/cmdline", lab.id());
    let seen = (0..2_000).any(|_| {
        let line = fs::read(&shown).expect("it is at work");
        std::thread::sleep(std::time::Duration::from_millis(5));
        holds(&line, "{hidden}") && !holds(&line, SECRET)
    });
    drop(lab.stdin.take());
    let _ = lab.kill();
    lab.wait().expect("it ends");
    assert!(seen, "the arguments show the secrets");
}

#[test]
fn r15_r17_what_is_told_others_is_harmless_and_without_secrets() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let script = format!(
        "#!/bin/sh\nenv > {0}/environment\ncat > {0}/letter\n",
        folder.path().display()
    );
    let sendmail = folder.path().join("sendmail");
    fs::write(&sendmail, script).expect("written");
    fs::set_permissions(&sendmail, fs::Permissions::from_mode(0o755)).expect("a file of our own");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    let url = format!("http://{}/hook/sesame4711open", listener.local_addr().expect("bound"));
    let hook = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut reader = BufReader::new(stream.try_clone().expect("a handle"));
        let (mut line, mut length) = (String::new(), 0);
        while line != "\r\n" {
            line.clear();
            reader.read_line(&mut line).expect("a header");
            if let Some(octets) = line.to_lowercase().strip_prefix("content-length: ") {
                length = octets.trim().parse().expect("a number");
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("a body");
        stream
            .write_all(b"HTTP/1.1 204 Done\r\nContent-Length: 0\r\n\r\n")
            .expect("answered");
        body
    });
    let path = format!(
        "{}:{}",
        folder.path().display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let output = program()
        .current_dir(folder.path())
        .env("PATH", path)
        .env("no_proxy", "127.0.0.1")
        .env("REPUTON_KEY_NOBODY", SECRET)
        .args([
            "scan",
            "--lab",
            "--zone-data",
            "lab-reasons=data.ip4set",
            "--stages",
            "none",
            "-f",
            "none",
            "--db",
            "runs.db",
        ])
        .args([
            "--notify",
            &url,
            "--mail-to",
            "ops@example.org",
            "192.0.2.96/28",
            "example-hostile.test",
        ])
        .output()
        .expect("it runs");
    assert_eq!(
        output.status.code(),
        Some(1),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let body = hook.join().expect("it was told");
    is_safe("hook.json", &body);
    is_safe("letter", &fs::read(folder.path().join("letter")).expect("sent"));
    let environment = fs::read(folder.path().join("environment")).expect("written");
    for octets in [&body, &environment, &output.stdout, &output.stderr] {
        assert!(!holds(octets, SECRET), "{}", String::from_utf8_lossy(octets));
    }
}

/// A database of a stranger, given to `runs import`: its words do not act, its code does not run.
#[test]
fn r15_r17_a_strangers_database_is_data() {
    let folder = tempfile::tempdir().expect("a place for temporary files");
    let scan = [
        "scan",
        "--lab",
        "--stages",
        "none",
        "-f",
        "none",
        "-q",
        "--db",
        "theirs.db",
        "203.0.113.10",
    ];
    assert_eq!(run(folder.path(), &scan).status.code(), Some(1));
    let theirs = rusqlite::Connection::open(folder.path().join("theirs.db")).expect("a database");
    let words = "=x\u{1b}[31m\u{202e}\u{2028}\n</script><script>alert(1)</script>\"} 1";
    theirs.execute("UPDATE runs SET label = ?1", [words]).expect("changed");
    let spoil = "UPDATE facts SET lists = replace(lists, 'The Lab', ?1)";
    let quoted = serde_json::to_string(words).expect("text");
    assert_eq!(theirs.execute(spoil, [quoted.trim_matches('"')]).expect("changed"), 1);
    drop(theirs);
    let import = ["runs", "import", "theirs.db", "--db", "ours.db"];
    let output = run(folder.path(), &import);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    is_safe("talk", &output.stderr);
    for (name, args) in [
        ("runs.table", &["runs", "-f", "table"][..]),
        ("runs.json", &["runs", "-f", "json"]),
        ("report.table", &["report", "-f", "table", "-o", "out/"]),
        ("report.jsonl", &["report", "-f", "jsonl"]),
        ("history.table", &["history", "203.0.113.10", "-f", "table"]),
        ("history.json", &["history", "203.0.113.10", "-f", "json"]),
    ] {
        let output = run(folder.path(), &[args, &["--db", "ours.db"]].concat());
        assert!(
            !output.stdout.is_empty(),
            "{name}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        is_safe(name, &output.stdout);
        is_safe("talk", &output.stderr);
    }
    let mut found = Vec::new();
    files(&folder.path().join("out"), &mut found);
    assert!(found.len() >= 9);
    found.iter().for_each(|(name, octets)| is_safe(name, octets));
    let theirs = rusqlite::Connection::open(folder.path().join("theirs.db")).expect("a database");
    let trigger = "CREATE TRIGGER t AFTER UPDATE ON runs BEGIN DELETE FROM tiles; END";
    theirs.execute_batch(trigger).expect("made");
    drop(theirs);
    for args in [
        &import[..],
        &["runs", "--db", "theirs.db"],
        &["report", "--db", "theirs.db"],
    ] {
        let output = run(folder.path(), args);
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains("views or triggers"));
    }
}
