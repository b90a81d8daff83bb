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
        "0.1",
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
