//! A real browser without a screen, driven over WebDriver (W3C): Chromium through its own chromedriver on a free loopback
//! port. Ended by process id when the guard is dropped (also by a panic).
//!
//! A browser that is not installed is none: `None` (see `installed`).

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of this")]

#[path = "../installed/mod.rs"]
mod installed;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use installed::program;
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long the browser may take for one command: a loaded machine of two cores starts it in seconds.
const COMMAND_MAX: Duration = Duration::from_secs(120);

/// A running browser with one window.
pub struct Browser {
    driver: Child,
    agent: ureq::Agent,
    session: String,
    _profile: TempDir,
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends the browser that it started; then the driver itself, by its id.
        let _ = self.agent.delete(&self.session).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

impl Browser {
    /// Starts it. `more` are further arguments of Chromium.
    pub fn start(more: &[&str]) -> Option<Browser> {
        let (driver, chromium) = (program("chromedriver")?, program("chromium")?);
        let mut driver = Command::new(driver)
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a program that was found can be started");
        let said = BufReader::new(driver.stdout.take().expect("it is piped"));
        let port = said
            .lines()
            .map_while(Result::ok)
            .find_map(|line| {
                Some(
                    line.split_once("successfully on port ")?
                        .1
                        .trim_end_matches('.')
                        .to_owned(),
                )
            })
            .expect("chromedriver says its port");
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(COMMAND_MAX))
            .build();
        let profile = tempfile::tempdir().expect("a temporary directory");
        let mut args = vec![
            "--headless".to_owned(),
            "--no-sandbox".into(),
            "--disable-gpu".into(),
            "--disable-quic".into(),
            "--disable-dev-shm-usage".into(),
            "--no-first-run".into(),
            "--disable-background-networking".into(),
            "--disable-component-update".into(),
            "--disable-sync".into(),
            "--window-size=1280,1600".into(),
            format!("--user-data-dir={}", profile.path().display()),
        ];
        args.extend(more.iter().map(|argument| (*argument).to_owned()));
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"binary": chromium, "args": args},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }}});
        let mut browser = Browser {
            driver,
            agent: config.into(),
            session: format!("http://127.0.0.1:{port}/session"),
            _profile: profile,
        };
        let session = browser.post("", &wanted);
        let id = session["sessionId"].as_str().unwrap_or_else(|| panic!("{session}"));
        browser.session = format!("{}/{id}", browser.session);
        Some(browser)
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let url = format!("{}{path}", self.session);
        let sent = self
            .agent
            .post(&url)
            .content_type("application/json")
            .send(body.to_string());
        let text = sent
            .and_then(|mut answer| answer.body_mut().with_config().limit(64 << 20).read_to_string())
            .unwrap_or_else(|error| panic!("{path}: {error}"));
        let answer: Value = serde_json::from_str(&text).expect("WebDriver answers in JSON");
        answer["value"].clone()
    }

    /// Opens a file. What the console and the network heard before is forgotten: the browser starts on a page of its own.
    pub fn open(&self, page: &Path) {
        self.post("/url", &json!({"url": "about:blank"}));
        self.console();
        self.requests();
        let answer = self.post("/url", &json!({"url": format!("file://{}", page.display())}));
        assert!(answer.is_null(), "{answer}");
    }

    /// Runs a script in the page and gives what it returns. An exception is a panic.
    pub fn run(&self, script: &str) -> Value {
        let value = self.post("/execute/sync", &json!({"script": script, "args": []}));
        assert!(value.get("error").is_none(), "{script}: {value}");
        value
    }

    /// Presses keys where the focus is: `\u{e015}` is the arrow down, `\u{e007}` Enter (WebDriver §17.4.2).
    pub fn press(&self, keys: &str) {
        let strokes: Vec<Value> = keys
            .chars()
            .flat_map(|key| {
                [
                    json!({"type": "keyDown", "value": key.to_string()}),
                    json!({"type": "keyUp", "value": key.to_string()}),
                ]
            })
            .collect();
        self.post(
            "/actions",
            &json!({"actions": [{"type": "key", "id": "keys", "actions": strokes}]}),
        );
    }

    /// Moves the pointer to a place in the window, and clicks there if told.
    pub fn point(&self, (x, y): (f64, f64), click: bool) {
        let mut steps = vec![json!({"type": "pointerMove", "duration": 0, "x": x as i64, "y": y as i64})];
        if click {
            steps.push(json!({"type": "pointerDown", "button": 0}));
            steps.push(json!({"type": "pointerUp", "button": 0}));
        }
        self.post(
            "/actions",
            &json!({"actions": [{"type": "pointer", "id": "mouse", "actions": steps}]}),
        );
    }

    /// Shows pages as on a screen this wide, or on paper.
    pub fn show_as(&self, width: u32, medium: &str) {
        let devtools = |command: &str, params: Value| {
            let answer = self.post("/goog/cdp/execute", &json!({"cmd": command, "params": params}));
            assert!(answer.get("error").is_none(), "{command}: {answer}");
        };
        devtools(
            "Emulation.setDeviceMetricsOverride",
            json!({"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 600}),
        );
        devtools("Emulation.setEmulatedMedia", json!({"media": medium}));
    }

    /// Everything that the console was told since the last time: errors, breaches of the content policy.
    pub fn console(&self) -> Vec<String> {
        let entries = self.post("/se/log", &json!({"type": "browser"}));
        let entries = entries.as_array().cloned().unwrap_or_default();
        entries
            .iter()
            .map(|entry| format!("{}: {}", entry["level"], entry["message"]))
            .collect()
    }

    /// The addresses of everything that was requested since the last time.
    pub fn requests(&self) -> Vec<String> {
        let entries = self.post("/se/log", &json!({"type": "performance"}));
        let entries = entries.as_array().cloned().unwrap_or_default();
        let messages = entries.iter().filter_map(|entry| {
            let message: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
            let message = &message["message"];
            let sent =
                message["method"] == "Network.requestWillBeSent" || message["method"] == "Network.webSocketCreated";
            let url = message["params"]["request"]["url"]
                .as_str()
                .or(message["params"]["url"].as_str());
            sent.then(|| url.unwrap_or_default().to_owned())
        });
        messages.collect()
    }

    /// Prints the page; how long the PDF is, in base64.
    pub fn print(&self) -> usize {
        let pdf = self.post("/print", &json!({}));
        pdf.as_str().map_or(0, str::len)
    }
}
