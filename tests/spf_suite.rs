//! The openspf test suite for RFC 7208: all of its 203 tests, over its own zones.
//!
//! The suite is not part of the repository: `scripts/fetch-spf-suite` fetches it. How a question is answered is an
//! argument of [`run`], so that the same tests can drive a real name server and the real binary.

mod spf;

#[path = "spf/fetched.rs"]
mod fetched;

use reputon::stages::spf::{SpfInput, check_host};
use serde::Deserialize;

use fetched::suite_path;
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
