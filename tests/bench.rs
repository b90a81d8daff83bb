//! `reputon bench` against the embedded responder: every question is answered, and what is said adds up.

use assert_cmd::Command;
use serde_json::Value;

fn bench(arguments: &[&str]) -> Value {
    let output = Command::cargo_bin("reputon")
        .expect("the binary is built")
        .args(["bench", "--queries", "5000", "--format", "json"])
        .args(arguments)
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("one object")
}

#[test]
fn the_embedded_responder_is_asked_with_and_without_trains() {
    for arguments in [&[][..], &["--no-gso"]] {
        let record = bench(arguments);
        assert_eq!((&record["answered"], &record["embedded"]), (&5000.into(), &true.into()));
        let sent = record["sent"].as_u64().expect("a count");
        assert_eq!(sent - record["sent_again"].as_u64().expect("a count"), 5000);
        assert!(record["cpu_ns_per_query"].as_f64().expect("a number") > 0.0);
    }
}

#[test]
fn a_server_that_is_not_there_is_exit_3() {
    let gone = std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback");
    let address = gone.local_addr().expect("bound").to_string();
    let mut command = Command::cargo_bin("reputon").expect("the binary is built");
    let arguments = [
        "bench",
        &address,
        "--queries",
        "5",
        "--timeout",
        "0.1",
        "--retries",
        "0",
        "--format",
        "table",
    ];
    command.args(arguments).assert().code(3);
}
