//! Small machines and large inputs, through the real binary: it works, or says clearly what it needs.

use std::io::Write;
use std::process::{Command, Output, Stdio};

const SCAN: &str = "scan --lab --stages none -f json --config none 203.0.113.0/24";

/// Runs the binary by the shell, under limits that are set before; `input` is its standard input.
fn under(limits: &str, arguments: &str, input: impl FnOnce(&mut dyn Write) + Send) -> Output {
    let binary = assert_cmd::cargo::cargo_bin("reputon");
    let mut child = Command::new("sh")
        .args(["-c", &format!("{limits} \"$0\" {arguments}")])
        .arg(binary)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("there is a shell");
    let mut stdin = child.stdin.take().expect("piped");
    std::thread::scope(|scope| {
        scope.spawn(move || input(&mut stdin));
        child.wait_with_output().expect("it ends")
    })
}

fn all_known(output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    let report: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    let lists = report["lists"].as_array().expect("lists");
    assert!(
        !lists.is_empty() && lists.iter().all(|list| list["unknown"] == 0),
        "{said}"
    );
}

#[test]
fn r19_sixty_four_descriptors_are_enough() {
    all_known(&under("ulimit -n 64; exec", SCAN, |_| ()));
}

#[test]
fn r19_too_few_descriptors_are_said_to_be_too_few() {
    let output = under("ulimit -n 20; exec", SCAN, |_| ());
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("at least 32 are needed (ulimit -n)") && !said.contains("panicked"),
        "{said}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn r19_one_processor_is_enough() {
    all_known(&under("exec taskset -c 0", SCAN, |_| ()));
}

/// Allocators set address space aside by the gigabyte, and by half of that and less where it is limited: whatever the limit,
/// room for threads is left.
#[cfg(target_os = "linux")]
#[test]
fn r19_little_address_space_is_enough() {
    for mebibytes in [160, 192, 256, 384, 640, 1_100, 1_300] {
        let limits = format!("ulimit -v {}; exec", mebibytes << 10);
        all_known(&under(&limits, SCAN, |_| ()));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn r19_too_little_address_space_is_said_to_be_too_little() {
    for mebibytes in [64, 80, 100, 159] {
        let output = under(&format!("ulimit -v {}; exec", mebibytes << 10), SCAN, |_| ());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.contains("at least 163840 KiB are needed") && said.lines().count() == 1,
            "{said}"
        );
    }
}

/// The date goes back by an hour each time it is read. The shim stands before the C library's function, for a process
/// cannot have a date of its own, and the machine's is not a test's to set.
#[cfg(target_os = "linux")]
#[test]
fn r22_a_date_that_goes_back_changes_nothing() {
    const SHIM: &str = r"
        #define _GNU_SOURCE
        #include <sys/syscall.h>
        #include <time.h>
        #include <unistd.h>
        static long reads;
        int clock_gettime(clockid_t id, struct timespec *at) {
            long failed = syscall(SYS_clock_gettime, id, at);
            if (id == CLOCK_REALTIME) at->tv_sec -= 3600 * __sync_fetch_and_add(&reads, 1);
            return failed;
        }";
    let folder = tempfile::tempdir().expect("a folder");
    let (source, shim) = (folder.path().join("shim.c"), folder.path().join("shim.so"));
    std::fs::write(&source, SHIM).expect("written");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&shim, &source])
        .status();
    assert!(compiled.expect("the linker of Rust is cc").success());
    let limits = format!("export LD_PRELOAD={}; exec", shim.display());
    let database = format!("{SCAN} --db {}", folder.path().join("runs.db").display());
    for arguments in [&database, &format!("{database} --diff last")] {
        let output = under(&limits, arguments, |_| ());
        all_known(&output);
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let (started, finished) = (report["run"]["started"].as_str(), report["run"]["finished"].as_str());
        assert!(started > finished, "the date went back: {started:?} {finished:?}");
    }
}

/// Lines that are one range in the end take no memory, however many there are.
#[test]
fn r01_a_stream_of_contiguous_and_repeated_lines_is_read_in_bounded_memory() {
    let output = under("ulimit -v 163840; exec", "plan --lab -f json --config none -", |out| {
        let block: String = (0..=255).map(|last| format!("203.0.113.{last}\n")).collect();
        for _ in 0..4_000 {
            out.write_all(block.as_bytes()).expect("it reads on");
        }
    });
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let plan = String::from_utf8_lossy(&output.stdout);
    assert!(plan.contains("256"), "{plan}");
}

/// An input has no bound of its own: more than a gigabyte of comments, and what stands behind them is read.
#[cfg(target_os = "linux")]
#[test]
fn r01_more_than_a_gigabyte_of_comments_is_read_to_its_end() {
    let output = under("ulimit -v 163840; exec", "plan --lab -f json --config none -", |out| {
        let comment = [b"#".as_slice(), &[b'x'; 65_534], b"\n"].concat().repeat(16);
        for _ in 0..1_025 {
            out.write_all(&comment).expect("it reads on");
        }
        out.write_all(b"203.0.113.7\n").expect("it reads on");
    });
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let plan: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(plan["targets"], 1, "{plan}");
}

#[test]
fn r01_what_is_no_list_of_targets_is_left_with_a_reason() {
    for (device, reason) in [
        ("/dev/zero", "no line end in 64 MiB: this is no list of targets"),
        ("/dev/urandom", "10000 bad lines: this is no list of targets"),
    ] {
        let output = under("exec", &format!("plan --lab --config none @{device}"), |_| ());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(reason) && said.lines().count() < 30, "{said}");
    }
}

/// Zone data may come through a pipe, which is read once: also where its format has to be guessed.
#[test]
fn zone_data_comes_through_a_pipe_too() {
    let arguments = "scan 203.0.113.7 --lab --lists lab-zen --zone-data lab-zen=/dev/stdin --db none --stages none --config none -f jsonl";
    let output = under("exec", arguments, |data| {
        data.write_all(b"127.0.0.2\n203.0.113.7\n").expect("it is read");
    });
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let target: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(target["listings"][0]["how"], "local", "{target}");
}

/// What has no end is left where a file of its kind would have ended. Address space is limited, so that a reader without an end
/// would find that instead.
#[cfg(target_os = "linux")]
#[test]
fn r19_files_without_an_end_are_left_with_a_reason() {
    for (arguments, wanted) in [
        ("lists lint /dev/zero", "larger than 4 MiB"),
        ("lists import /dev/zero", "larger than 4 MiB"),
        ("plan --catalogue /dev/zero 192.0.2.1", "larger than 4 MiB"),
        (
            "plan --lab --lists lab-zen --zone-data lab-zen=/dev/zero 192.0.2.1",
            "it is a device and no file",
        ),
    ] {
        let output = under("ulimit -v 1000000; exec", arguments, |_| ());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments}: {said}");
        assert!(said.contains(wanted), "{arguments}: {said}");
    }
}
