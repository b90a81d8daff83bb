//! The openspf test suite for RFC 7208: all of its 203 tests, over its own zones; once in process, and once through the
//! program, which asks a name server on loopback.
//!
//! The suite is not part of the repository: `scripts/fetch-spf-suite` fetches it.

mod spf;

#[path = "spf/fetched.rs"]
mod fetched;

#[path = "spf/server.rs"]
mod server;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use assert_cmd::Command;
use reputon::stages::spf::{SpfInput, check_host};
use serde::Deserialize;
use serde_json::Value;

use fetched::suite_path;
use server::Server;
use spf::{Zone, ZoneResolver, ready};

/// How many tests there are: fewer would mean that the conversion lost some.
const TESTS: usize = 203;

/// Some tests over one zone.
#[derive(Debug, Deserialize)]
struct Scenario {
    description: String,
    zone: Zone,
    tests: Vec<Test>,
}

#[derive(Debug, Deserialize)]
struct Test {
    name: String,
    helo: String,
    host: String,
    mailfrom: String,
    /// Any of them is right; the first one is preferred.
    results: Vec<String>,
    /// `DEFAULT`: the policy must not have given one.
    explanation: Option<String>,
}

/// What is compared.
struct Answered {
    result: String,
    explanation: Option<String>,
}

/// Asks all tests; gives how many passed and what is wrong with the others.
fn run(scenarios: &[Scenario], ask: impl Fn(&Scenario, &Test) -> Answered) -> (usize, Vec<String>) {
    let mut passed = 0;
    let mut failures = Vec::new();
    for scenario in scenarios {
        for test in &scenario.tests {
            let answered = ask(scenario, test);
            let given = answered.explanation.as_deref().unwrap_or("DEFAULT");
            let explained = test.explanation.as_deref().is_none_or(|wanted| wanted == given);
            if test.results.contains(&answered.result) && explained {
                passed += 1;
                continue;
            }
            failures.push(format!(
                "{} / {}: wanted {:?} {:?}, got {} {:?}",
                scenario.description, test.name, test.results, test.explanation, answered.result, answered.explanation
            ));
        }
    }
    (passed, failures)
}

fn scenarios() -> Vec<Scenario> {
    let text = std::fs::read_to_string(suite_path()).expect("the suite can be read");
    serde_json::from_str(&text).expect("the suite is as the script writes it")
}

#[test]
fn every_test_of_the_openspf_suite_passes_in_process() {
    let (passed, failures) = run(&scenarios(), |scenario, test| {
        let resolver = ZoneResolver::new(&scenario.zone);
        let ip = test.host.parse().expect("a good address");
        let input = SpfInput::new(ip, &test.helo, &test.mailfrom);
        let result = ready(check_host(&resolver, &input));
        Answered {
            result: result.result.to_string(),
            explanation: result.explanation,
        }
    });
    assert!(failures.is_empty(), "{passed} passed, but:\n{}", failures.join("\n"));
    assert_eq!(passed, TESTS);
}

/// How many scenarios are asked at the same time: most of the time is spent waiting for answers that never come.
const AT_ONCE: usize = 8;

/// Asks one question through the program, of a server over the scenario's zone.
fn ask_binary(server: &Server, test: &Test) -> Answered {
    let output = Command::cargo_bin("reputon")
        .expect("the binary is built")
        .args([
            "spf",
            "--format",
            "json",
            "--timeout",
            "0.7",
            "--retries",
            "1",
            "--ip",
            &test.host,
        ])
        .args(["--resolver", &server.addr().to_string()])
        .arg(format!("--helo={}", test.helo))
        .arg(format!("--mail-from={}", test.mailfrom))
        .timeout(Duration::from_secs(60))
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    let record: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{}: {error}: {said}", test.name));
    assert_eq!(output.status.code(), Some(0), "{}: {said}", test.name);
    assert!(
        record["lookups"].as_u64().expect("a number") <= 10,
        "{}: {record}",
        test.name
    );
    Answered {
        result: record["result"].as_str().expect("a word").to_owned(),
        explanation: record["explanation"].as_str().map(ToOwned::to_owned),
    }
}

#[test]
fn every_test_of_the_openspf_suite_passes_through_the_program_over_udp() {
    let all = scenarios();
    let next = AtomicUsize::new(0);
    let results: Vec<(usize, Vec<String>)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                scope.spawn(|| {
                    let mut results = Vec::new();
                    while let Some(scenario) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let server = Server::start(&scenario.zone);
                        results.push(run(std::slice::from_ref(scenario), |_, test| ask_binary(&server, test)));
                    }
                    results
                })
            })
            .collect();
        let joined = workers.into_iter().flat_map(|worker| worker.join().expect("it ends"));
        joined.collect()
    });
    let failures: Vec<String> = results.iter().flat_map(|(_, failures)| failures.clone()).collect();
    let passed: usize = results.iter().map(|(passed, _)| passed).sum();
    assert!(failures.is_empty(), "{passed} passed, but:\n{}", failures.join("\n"));
    assert_eq!(passed, TESTS);
}
