//! An attacker that sees no query but knows the ports, the server and what is asked about: forged replies with random IDs
//! come from elsewhere and from the server's own address while a scan runs. None gets in, and the alarm is raised.

mod relay;

use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use assert_cmd::cargo::CommandCargoExt;
use rand::RngExt;
use relay::{Faults, Relay};
use reputon::lab::{Lab, LabOptions};
use serde_json::Value;

/// A forged listing with this ID: of an address of 203.0.113.0/24, on one of the lab's lists.
fn forged(id: u16, last: u8, list: &str) -> Vec<u8> {
    let mut message = id.to_be_bytes().to_vec();
    message.extend([0x84, 0, 0, 1, 0, 1, 0, 0, 0, 0]);
    for label in format!("{last}.113.0.203.{list}.lab.test").split('.') {
        message.push(label.len() as u8);
        message.extend(label.as_bytes());
    }
    message.extend([0, 0, 1, 0, 1]);
    message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 2]);
    message
}

/// Scans through the relay while `attack` runs; the report, what was said, and how many replies were forged.
fn scan(relay: &Relay, attackers: &[&UdpSocket]) -> (Value, String, u64) {
    let (mut command, _folder) = relay::scan::command(&[relay.addr()], &["203.0.113.0/24"]);
    command.args(["--timeout", "1", "--window", "20"]);
    let (over, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let output = std::thread::scope(|scope| {
        for attacker in attackers {
            let (over, sent) = (&over, &sent);
            scope.spawn(move || {
                let mut rng = rand::rng();
                while !over.load(Ordering::Relaxed) {
                    let clients = relay.seen().clients.lock().expect("no panic elsewhere").clone();
                    for client in &clients {
                        let list = ["zen", "parents", "reasons", "brute", "wl"][rng.random_range(0..5)];
                        let message = forged(rng.random(), rng.random(), list);
                        sent.fetch_add(u64::from(attacker.send_to(&message, client).is_ok()), Ordering::Relaxed);
                    }
                    // Room for the replies that are none of the attacker's: a flood that fills the queue is another attack.
                    std::thread::sleep(Duration::from_micros(50));
                }
            });
        }
        let output = command.output().expect("it runs");
        over.store(true, Ordering::Relaxed);
        output
    });
    let (report, said) = relay::scan::report(&output);
    (report, said, sent.into_inner())
}

fn relay(lab: &Lab) -> Relay {
    let faults = Faults {
        delay: Duration::from_millis(5),
        ..Faults::NONE
    };
    Relay::before(lab.addr(), faults, 4)
}

fn held(report: &Value, said: &str) {
    let lists = report["lists"].as_array().expect("lists");
    assert!(lists.iter().all(|list| list["unknown"] == 0), "{said}");
}

#[test]
fn r02_r04_forged_replies_never_get_in_and_raise_the_alarm() {
    let lab = Lab::start(LabOptions::default()).expect("loopback can be listened on");
    let (quiet, said, _) = scan(&relay(&lab), &[]);
    held(&quiet, &said);
    assert!(!said.contains("forging"), "{said}");
    let relay = relay(&lab);
    let (report, said, sent) = scan(&relay, &[&relay.front()]);
    assert!(sent > 1_000, "{sent}");
    held(&report, &said);
    assert_eq!(report["targets"], quiet["targets"], "{said}");
    assert!(said.contains("somebody may be forging answers"), "{sent} sent: {said}");
    // The relay is a resolver on loopback, and has TCP.
    assert!(said.contains("queries went over TCP"), "{sent} sent: {said}");
    assert!(
        relay.seen().clients.lock().expect("no panic").len() > 1,
        "more than one source port"
    );
}

#[test]
fn r02_replies_from_another_port_are_nothing_to_the_scan() {
    let lab = Lab::start(LabOptions::default()).expect("loopback can be listened on");
    let (quiet, ..) = scan(&relay(&lab), &[]);
    let elsewhere = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    let (report, said, sent) = scan(&relay(&lab), &[&elsewhere]);
    assert!(sent > 1_000, "{sent}");
    held(&report, &said);
    assert_eq!(report["targets"], quiet["targets"], "{said}");
}

/// A server that sends two lies before each right reply, one with another ID and one about another name.
#[test]
fn r03_lies_before_each_right_reply_change_nothing() {
    let output = Command::cargo_bin("reputon")
        .expect("the binary is built")
        .args([
            "scan",
            "--lab",
            "--lists",
            "f18-scrambled",
            "--stages",
            "none",
            "-f",
            "json",
        ])
        .args(["--db", "none", "--config", "none", "203.0.113.0/24"])
        .stdin(Stdio::null())
        .output()
        .expect("it runs");
    let (report, said) = relay::scan::report(&output);
    let list = &report["lists"][0];
    assert_eq!(
        (&list["listed"], &list["not_listed"]),
        (&2.into(), &254.into()),
        "{list}"
    );
    assert!(said.contains("somebody may be forging answers"), "{said}");
}
