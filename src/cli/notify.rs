//! Telling somebody that something changed: JSON to a webhook, a letter through the local `sendmail`. Both say the same:
//! what is new, what was cleared, what became unknown, since the last run of the same targets whose news got through.
//!
//! Nothing is sent where nothing changed. Bounds: [`TRIES`] tries of `--notify-timeout` each with growing pauses between them,
//! [`MAIL_MAX`] for the letter, [`CHANGES_TOLD`] changes of a kind. A failure is told and never costs the run's reports:
//! they are written before. The address of a webhook is a secret (its path holds a token more often than not): only its
//! host is ever shown.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use reputon::dossier::{Change, Difference};
use reputon::report::{RunRecord, to_json, visible};
use reputon::verdict::Tallied;
use serde_json::{Value, json};

use super::options::NotifyOptions;
use super::values::{MailAddress, Webhook};

/// Tries of a webhook: about a minute in all, of which a cron job can afford one.
const TRIES: u32 = 4;

/// The pause after the first try, as a part of the time that a try may take: a second by default. Each further one is
/// twice as long.
const PAUSE_PART: u32 = 10;

/// How long `sendmail` may take to queue a letter.
const MAIL_MAX: Duration = Duration::from_secs(30);

/// How often it is looked whether it has ended.
const LOOK: Duration = Duration::from_millis(50);

/// Changes of a kind in a message: what a person reads, and a chat takes.
const CHANGES_TOLD: usize = 100;

/// What is to be told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct News<'a> {
    pub(crate) run: &'a RunRecord,
    pub(crate) tallied: &'a Tallied,
    /// What changed. On a first run everything that is listed is new.
    pub(crate) changes: &'a Difference,
    /// Whether there is no earlier run to compare with.
    pub(crate) first: bool,
}

/// Tells whoever is to be told; nothing if nothing changed.
///
/// # Errors
/// If one of them could not be told. The others are told all the same.
pub(crate) fn notify(options: &NotifyOptions, news: &News<'_>) -> anyhow::Result<()> {
    if news.changes.is_empty() {
        return Ok(());
    }
    let mut result = Ok(());
    for webhook in &options.notify {
        result = result.and(post(webhook, options.notify_timeout, &message(news)));
    }
    if !options.mail_to.is_empty() {
        result = result.and(mail(&options.mail_to, news));
    }
    result
}

/// The message for a webhook.
fn message(news: &News<'_>) -> Value {
    let News {
        run, tallied, changes, ..
    } = news;
    let some = |changes: &[Change]| -> Value {
        let told: Vec<&Change> = changes.iter().take(CHANGES_TOLD).collect();
        serde_json::to_value(told).expect("changes are plain JSON")
    };
    let [a, b, c, other] = tallied.hit;
    let since = match news.first {
        true => Value::Null,
        false => json!({"run": changes.since, "started": changes.since_started}),
    };
    // The changes are told below, as many as somebody reads.
    let run = RunRecord {
        diff: None,
        ..(*run).clone()
    };
    json!({
        "type": "change",
        "text": summary(news), // the member that chats show
        "since": since,
        "run": run,
        "listed": {"targets": a + b + c + other, "tier_a": a, "tier_b": b, "tier_c": c + other},
        "coverage": tallied.coverage,
        "counts": changes.counts,
        "newly_listed": some(&changes.newly_listed),
        "cleared": some(&changes.cleared),
        "code_changed": some(&changes.code_changed),
        "became_unknown": some(&changes.became_unknown),
        "lists": changes.lists.iter().take(CHANGES_TOLD).collect::<Vec<_>>(),
    })
}

/// One line of numbers: nothing from the network gets into it.
fn summary(news: &News<'_>) -> String {
    let counts = news.changes.counts;
    match news.first {
        true => format!("reputon: first run, {} listed", counts.newly_listed),
        false if counts == Default::default() => format!("reputon: {} lists changed", news.changes.lists.len()),
        false => format!("reputon: {counts}"),
    }
}

/// Posts to a webhook; again after a pause if it fails in a way that may pass.
fn post(webhook: &Webhook, timeout: Duration, message: &Value) -> anyhow::Result<()> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(timeout))
        .http_status_as_error(false)
        .max_redirects(0) // another place was not named by the user
        .user_agent(concat!("reputon/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();
    let body = to_json(message);
    let mut pause = timeout / PAUSE_PART;
    let mut why = String::new();
    for round in 1..=TRIES {
        let sent = agent
            .post(webhook.reveal())
            .content_type("application/json")
            .send(&body);
        match sent.map(|answer| answer.status().as_u16()) {
            Ok(200..300) => return Ok(()),
            Ok(status) => {
                why = format!("it answered {status}");
                // It understood and does not want it: asking again is no use.
                if (300..500).contains(&status) && status != 408 && status != 429 {
                    break;
                }
            }
            Err(error) => why = webhook.redact(&error.to_string()),
        }
        if round < TRIES {
            thread::sleep(pause);
            pause *= 2;
        }
    }
    bail!("--notify: {webhook} did not take the message: {}", visible(&why))
}

/// Sends a letter.
fn mail(to: &[MailAddress], news: &News<'_>) -> anyhow::Result<()> {
    let program = sendmail()
        .context("--mail-to: there is no `sendmail` on this machine: install a mail server, or use --notify")?;
    let mut command = Command::new(&program);
    // Keys are nobody else's business.
    let ours = std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("REPUTON_"));
    ours.for_each(|(name, _)| _ = command.env_remove(name));
    let mut child = command
        .args(["-t", "-oi"]) // recipients from the letter; a line with a point does not end it
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("--mail-to: {} cannot be started", program.display()))?;
    let mut stdin = child.stdin.take().expect("it is piped");
    // It may end without reading: then its status tells.
    let _ = stdin.write_all(letter(to, news).as_bytes());
    drop(stdin);
    match wait(&mut child)? {
        Some(status) if status.success() => Ok(()),
        Some(status) => bail!("--mail-to: {} did not take the letter: {status}", program.display()),
        None => bail!(
            "--mail-to: {} did not end within {} s",
            program.display(),
            MAIL_MAX.as_secs()
        ),
    }
}

/// Waits for the end, but not for ever.
fn wait(child: &mut Child) -> anyhow::Result<Option<std::process::ExitStatus>> {
    let mut left = MAIL_MAX;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if left.is_zero() {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(LOOK);
        left = left.saturating_sub(LOOK);
    }
}

/// The program, where mail servers put it.
fn sendmail() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/lib".into()]);
    places.map(|place| place.join("sendmail")).find(|file| file.is_file())
}

/// The letter, header and body. Addresses were checked when they were read, and everything else in the header is ours;
/// in the body, text from the network is made visible and has no line of its own.
fn letter(to: &[MailAddress], news: &News<'_>) -> String {
    let to: Vec<&str> = to.iter().map(MailAddress::as_str).collect();
    let mut letter = format!(
        "To: {}\nSubject: {}\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\
         Content-Transfer-Encoding: 8bit\nAuto-Submitted: auto-generated\n\n",
        to.join(",\n "),
        summary(news)
    );
    let News {
        run, tallied, changes, ..
    } = news;
    let mut line = |text: String| {
        let shown: String = visible(&text).chars().take(900).collect(); // RFC 5322 §2.1.1: under 998 octets if ASCII
        letter.push_str(&shown);
        letter.push('\n');
    };
    let kinds = [
        ("Newly listed", changes.counts.newly_listed, &changes.newly_listed),
        ("Cleared", changes.counts.cleared, &changes.cleared),
        (
            "Listed by another code",
            changes.counts.code_changed,
            &changes.code_changed,
        ),
        (
            "Became unknown (not cleared)",
            changes.counts.became_unknown,
            &changes.became_unknown,
        ),
    ];
    for (title, count, changes) in kinds.into_iter().filter(|(_, count, _)| *count > 0) {
        line(format!("{title}: {count}"));
        for change in changes.iter().take(CHANGES_TOLD) {
            let (target, list, tier) = (&change.target, &change.list, change.tier.as_str());
            line(format!(
                "  {target}  {list} (tier {tier}): {} -> {}",
                change.before, change.after
            ));
        }
        if count > CHANGES_TOLD as u64 {
            line(format!("  and {} more", count - CHANGES_TOLD as u64));
        }
        line(String::new());
    }
    for change in changes.lists.iter().take(CHANGES_TOLD) {
        line(format!(
            "List {}: {}",
            change.list,
            change.what.as_str().replace('_', " ")
        ));
    }
    line(format!(
        "{} targets, {} of {} answers known ({:.1} %).",
        tallied.targets,
        run.answered,
        run.planned,
        100.0 * tallied.coverage
    ));
    if !news.first {
        line(format!(
            "Compared with run {} of {}.",
            changes.since, changes.since_started
        ));
    }
    letter
}

#[cfg(test)]
mod tests {
    use reputon::dnsxl::{Role, Tier};
    use reputon::dossier::ChangeKind;

    use super::*;

    #[test]
    fn a_letter_has_one_header_whatever_is_in_it() {
        let mut changes = Difference::default();
        changes.add(
            ChangeKind::NewlyListed,
            Change {
                target: "evil\nBcc: all@example.org\n\n.example".into(),
                list: "alpha\r\nX: y".into(),
                operator: "Alpha".into(),
                role: Role::Block,
                tier: Tier::A,
                before: "not_listed".into(),
                after: "listed".into(),
                codes_before: Vec::new(),
                codes: Vec::new(),
            },
        );
        let moment = jiff::Timestamp::from_second(1_795_435_200).expect("a moment of 2026");
        let run = RunRecord {
            started: moment,
            finished: moment,
            version: String::new(),
            catalogue: String::new(),
            resolvers: Vec::new(),
            targets: 1,
            planned: 1,
            asked: 1,
            answered: 1,
            retried: 0,
            folded: 0,
            pruned: 0,
            unproved: 0,
            complete: 1.0,
            queries: Default::default(),
            diff: None,
        };
        let tallied = Tallied {
            targets: 1,
            unreached: 0,
            hit: [1, 0, 0, 0],
            planned: 1,
            answered: 1,
            coverage: 1.0,
            hard: Vec::new(),
            soft: Vec::new(),
        };
        let news = News {
            run: &run,
            tallied: &tallied,
            changes: &changes,
            first: false,
        };
        let to = [
            "ops@example.org".parse().expect("good"),
            "noc@example.org".parse().expect("good"),
        ];
        let letter = letter(&to, &news);
        let (header, body) = letter.split_once("\n\n").expect("a header and a body");
        assert!(
            header.starts_with("To: ops@example.org,\n noc@example.org\nSubject: reputon: 1 newly listed,"),
            "{header}"
        );
        assert_eq!(header.lines().count(), 7);
        assert!(
            !body
                .lines()
                .any(|line| line.starts_with("Bcc") || line.starts_with("X:")),
            "{body}"
        );
        assert!(body.contains("evil\\x0aBcc"), "{body}");
        let message = message(&news);
        assert_eq!(
            message["newly_listed"][0]["target"], "evil\nBcc: all@example.org\n\n.example",
            "JSON loses nothing"
        );
        assert_eq!(
            message["text"],
            "reputon: 1 newly listed, 0 cleared, 0 by another code, 0 became unknown"
        );
    }
}
