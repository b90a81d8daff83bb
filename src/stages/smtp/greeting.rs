//! The `smtp` stage: connects to an address, hears what it calls itself, and compares that with its names and addresses.
//!
//! The only place in the stages that opens a socket. A server's name should be its full host name (RFC 5321 §4.1.4,
//! §4.3.1) that has its address and is its PTR name; no server may be refused only because they differ, but filters
//! count it. Runs under tokio, for its timers and sockets.

use std::net::{IpAddr, SocketAddr};

use serde::Serialize;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::dialogue::{Dialogue, Limits, Reply, Step, Trouble, converse};
use crate::exchange::Resolver;
use crate::stages::ask::addresses;
use crate::stages::escape::{escape, quote};
use crate::stages::finding::Finding;
use crate::wire::Name;

/// The stage's name in records and findings.
pub const STAGE: &str = "smtp";

/// Where and how to connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// 25, but for tests.
    pub port: u16,
    /// What we call ourselves in EHLO; none: the address literal of our end (RFC 5321 §4.1.3).
    pub helo: Option<Name>,
    /// How long to wait; for the connection as long as for a reply.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            port: 25,
            helo: None,
            limits: Limits::default(),
        }
    }
}

/// What answers at port 25.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Smtp {
    /// Whether it takes a connection, and mail.
    pub state: State,
    /// The code of the greeting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<u16>,
    /// The greeting, escaped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub banner: Option<String>,
    /// What the server calls itself: in its reply to EHLO, else in its greeting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The keywords of its extensions, escaped.
    pub extensions: Vec<String>,
    /// Whether STARTTLS (RFC 3207) is among them; none if it did not come to that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starttls: Option<bool>,
    /// Whether the name is a PTR name of the address; none if one of them is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_ptr: Option<bool>,
    /// Whether the name has the address; none if that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub has_address: Option<bool>,
    /// Where it ended early.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Step>,
}

/// How a server receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It greets and takes EHLO or HELO.
    Open,
    /// It greets, and the dialogue does not go on.
    Broken,
    /// It says "not now" (4xx).
    Busy,
    /// It says "not you" or "no mail here" (5xx).
    Rejecting,
    /// Nothing listens: the connection is refused.
    Refused,
    /// No connection, or no greeting, in time.
    Silent,
    /// Something listens that does not speak SMTP.
    NotSmtp,
    /// There is no way there from here.
    Unreachable,
}

/// Connects to an address and talks. `ptr` are its PTR names, if they are known.
pub async fn smtp(
    resolver: &dyn Resolver,
    address: IpAddr,
    ptr: Option<&[Name]>,
    options: &Options,
) -> (Smtp, Vec<Finding>) {
    Heard::at(address, options).await.judge(resolver, address, ptr).await
}

/// What was heard at an address: all that is kept of a dialogue, some 5 KB at most.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    smtp: Smtp,
    name: Option<Name>,
    trouble: Option<Trouble>,
}

impl Heard {
    /// Connects to an address and talks.
    pub(super) async fn at(address: IpAddr, options: &Options) -> Heard {
        let dialogue = match connect(address, options).await {
            Ok(stream) => {
                let name = our_name(&stream, options);
                converse(stream, &name, options.limits).await
            }
            Err(trouble) => Dialogue {
                trouble: Some((Step::Connect, trouble)),
                ..Dialogue::default()
            },
        };
        Heard {
            smtp: Smtp::of(&dialogue),
            name: server_name(&dialogue),
            trouble: dialogue.trouble.map(|(_, trouble)| trouble),
        }
    }

    /// Compares what was heard with the names of the address and the addresses of the name.
    pub(super) async fn judge(
        &self,
        resolver: &dyn Resolver,
        address: IpAddr,
        ptr: Option<&[Name]>,
    ) -> (Smtp, Vec<Finding>) {
        let mut smtp = self.smtp.clone();
        if let Some(name) = &self.name {
            smtp.is_ptr = ptr.map(|ptr| ptr.contains(name));
            let found = addresses(resolver, name).await;
            smtp.has_address = match found.list.contains(&address) {
                true => Some(true),
                false if found.unknown.is_some() || found.cut || found.malformed > 0 => None,
                false => Some(false),
            };
        }
        let findings = findings(&smtp, self, address);
        (smtp, findings)
    }
}

/// The one place where a socket is opened.
async fn connect(address: IpAddr, options: &Options) -> Result<TcpStream, Trouble> {
    let peer = SocketAddr::new(address, options.port);
    match timeout(options.limits.reply, TcpStream::connect(peer)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(Trouble::Io(error.kind())),
        Err(_) => Err(Trouble::Silent),
    }
}

fn our_name(stream: &TcpStream, options: &Options) -> String {
    if let Some(name) = options
        .helo
        .as_ref()
        .filter(|name| crate::stages::domain::plain(name).is_some())
    {
        return name.to_string();
    }
    match stream.local_addr().map(|local| local.ip()) {
        Ok(IpAddr::V4(v4)) => format!("[{v4}]"),
        Ok(IpAddr::V6(v6)) => format!("[IPv6:{v6}]"),
        Err(_) => "[127.0.0.1]".to_owned(),
    }
}

/// What the server calls itself, if that is a full host name.
fn server_name(dialogue: &Dialogue) -> Option<Name> {
    [&dialogue.hello, &dialogue.greeting]
        .into_iter()
        .flatten()
        .find_map(|reply| {
            let name: Name = str::from_utf8(reply.first_word()).ok()?.parse().ok()?;
            let host = name.label_count() >= 2 && name.to_string().parse::<IpAddr>().is_err();
            (reply.code < 300 && host && crate::stages::domain::plain(&name).is_some()).then_some(name)
        })
}

/// Characters of an extension's keyword that are kept.
const KEYWORD_CHARS_MAX: usize = 40;

impl Smtp {
    fn of(dialogue: &Dialogue) -> Smtp {
        let hello = dialogue
            .hello
            .as_ref()
            .filter(|hello| hello.code == 250 && dialogue.extended);
        let keyword = |line: &Vec<u8>| {
            let word = line.split(u8::is_ascii_whitespace).next().unwrap_or_default();
            escape(&word.to_ascii_uppercase(), KEYWORD_CHARS_MAX)
        };
        let extensions: Vec<String> = hello
            .map(|hello| hello.lines.iter().skip(1).map(keyword).collect())
            .unwrap_or_default();
        let starttls = dialogue
            .hello
            .as_ref()
            .map(|_| extensions.iter().any(|extension| extension == "STARTTLS"));
        Smtp {
            state: state(dialogue),
            code: dialogue.greeting.as_ref().map(|greeting| greeting.code),
            banner: dialogue
                .greeting
                .as_ref()
                .map(|greeting| quote(&greeting.lines.join(&b' '))),
            name: server_name(dialogue).map(|name| name.to_string()),
            extensions,
            starttls,
            is_ptr: None,
            has_address: None,
            ended_at: dialogue.trouble.as_ref().map(|(step, _)| *step),
        }
    }
}

fn state(dialogue: &Dialogue) -> State {
    let code = |reply: &Option<Reply>| reply.as_ref().map(|reply| reply.code);
    match (code(&dialogue.greeting), &dialogue.trouble) {
        (Some(400..500), _) => State::Busy,
        (Some(500..600), _) => State::Rejecting,
        (Some(220), None) if code(&dialogue.hello).is_some_and(|code| code < 300) => State::Open,
        (Some(220), _) => State::Broken,
        (_, Some((_, Trouble::Silent))) => State::Silent,
        (_, Some((Step::Connect, Trouble::Io(std::io::ErrorKind::ConnectionRefused)))) => State::Refused,
        (_, Some((Step::Connect, _))) => State::Unreachable,
        _ => State::NotSmtp,
    }
}

fn findings(smtp: &Smtp, heard: &Heard, address: IpAddr) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(about_state(smtp, heard, address));
    if smtp.code != Some(220) {
        return findings;
    }
    match &heard.name {
        Some(name) => findings.extend(about_name(smtp, name, address)),
        None => {
            let banner = smtp.banner.as_deref().unwrap_or_default();
            let text = format!("the server at {address} does not say its full host name: \"{banner}\"");
            let mend = "set the mail server's name to the full host name that its PTR record has";
            findings.push(Finding::warning(STAGE, "smtp_no_name", text).mend(mend));
        }
    }
    if smtp.starttls == Some(false) && smtp.state == State::Open {
        let text = format!("the server at {address} does not offer STARTTLS: mail to it can be read on its way");
        let mend = "give the mail server a certificate and switch TLS on";
        findings.push(Finding::warning(STAGE, "smtp_no_starttls", text).mend(mend));
    }
    findings
}

/// Whether the server's name agrees with the names of its address and has that address.
fn about_name(smtp: &Smtp, name: &Name, address: IpAddr) -> Vec<Finding> {
    let mut findings = Vec::new();
    if smtp.is_ptr == Some(false) {
        let text = format!("the server at {address} calls itself {name}, which is not its PTR name");
        let mend = "let the mail server's name, its PTR record and its address record agree (RFC 5321 §4.1.4)";
        findings.push(Finding::warning(STAGE, "smtp_name_not_ptr", text).mend(mend));
    }
    if smtp.has_address == Some(false) {
        let text = format!("the server at {address} calls itself {name}, which does not have that address");
        let mend = format!("give {name} an address record with {address}");
        findings.push(Finding::warning(STAGE, "smtp_name_not_address", text).mend(mend));
    }
    findings
}

fn about_state(smtp: &Smtp, heard: &Heard, address: IpAddr) -> Option<Finding> {
    let banner = smtp.banner.as_deref().unwrap_or_default();
    Some(match smtp.state {
        State::Open => return None,
        State::Broken => {
            let trouble = heard
                .trouble
                .as_ref()
                .map_or("it refuses EHLO and HELO".to_owned(), in_words);
            let text = format!("the server at {address} greets, and then {trouble}");
            Finding::warning(STAGE, "smtp_broken", text).mend("look into the mail server's log")
        }
        State::Busy => Finding::warning(
            STAGE,
            "smtp_busy",
            format!("the server at {address} says not now: \"{banner}\""),
        )
        .mend("try again later"),
        State::Rejecting => {
            let text = format!("the server at {address} takes no mail from here: \"{banner}\"");
            Finding::warning(STAGE, "smtp_rejecting", text).mend("ask its operator, if mail should be taken")
        }
        State::Refused => {
            let text = format!("nothing listens at port 25 of {address}");
            Finding::info(STAGE, "smtp_refused", text)
                .mend("start a mail server there only if the address is to receive mail")
        }
        State::Silent => {
            let text = format!("port 25 of {address} does not answer");
            let mend = "check that this machine may use port 25 at all; many networks block it";
            Finding::info(STAGE, "smtp_silent", text).mend(mend)
        }
        State::NotSmtp => {
            let trouble = heard
                .trouble
                .as_ref()
                .map_or("it greets with an odd code".to_owned(), in_words);
            let text = format!("what answers at port 25 of {address} is no mail server: {trouble}");
            Finding::warning(STAGE, "smtp_not_smtp", text).mend("find out what listens there")
        }
        State::Unreachable => {
            let trouble = heard
                .trouble
                .as_ref()
                .map_or(String::new(), |trouble| format!(": {}", in_words(trouble)));
            Finding::info(
                STAGE,
                "smtp_unreachable",
                format!("{address} cannot be reached from here{trouble}"),
            )
        }
    })
}

fn in_words(trouble: &Trouble) -> String {
    match trouble {
        Trouble::Silent => "it is silent".to_owned(),
        Trouble::Closed => "it closes the connection".to_owned(),
        Trouble::NotSmtp(text) => format!("it says \"{text}\""),
        Trouble::TooMuch => "it says more than any mail server".to_owned(),
        Trouble::Io(kind) => kind.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::stages::testing::{World, codes, ip, name};

    /// What a server does with its connection, after which it closes.
    enum Act {
        Say(&'static [u8]),
        Hear,
        /// One octet of it every few milliseconds, for ever.
        Drip(&'static [u8]),
        /// This for ever.
        Flood(&'static [u8]),
        Wait,
    }

    /// A server on loopback that plays one script, and what it heard.
    async fn serve(listener: TcpListener, acts: Vec<Act>) -> String {
        let (mut stream, _) = listener.accept().await.expect("a client");
        let mut heard = Vec::new();
        for act in acts {
            match act {
                Act::Say(text) => stream.write_all(text).await.expect("the client listens"),
                Act::Hear => {
                    let mut buffer = [0; 512];
                    let read = stream.read(&mut buffer).await.unwrap_or(0);
                    heard.extend_from_slice(&buffer[..read]);
                }
                Act::Drip(text) => {
                    for octet in text.iter().cycle() {
                        if stream.write_all(&[*octet]).await.is_err() {
                            break;
                        }
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                }
                Act::Flood(text) => while stream.write_all(text).await.is_ok() {},
                Act::Wait => tokio::time::sleep(Duration::from_millis(400)).await,
            }
        }
        String::from_utf8_lossy(&heard).into_owned()
    }

    async fn run(world: &World, acts: Vec<Act>) -> (Smtp, Vec<Finding>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let options = Options {
            port: listener.local_addr().expect("bound").port(),
            helo: Some(name("me.example.net")),
            limits: Limits {
                reply: Duration::from_millis(150),
                total: Duration::from_millis(300),
            },
        };
        let server = tokio::spawn(serve(listener, acts));
        let ptr = [name("mx.example.org")];
        let started = std::time::Instant::now();
        let (smtp, findings) = smtp(world, ip("127.0.0.1"), Some(&ptr), &options).await;
        assert!(started.elapsed() < Duration::from_secs(2), "bounded in time");
        // Endless scripts end when the client is gone.
        let heard = server.await.expect("the script ends");
        (smtp, findings, heard)
    }

    #[tokio::test]
    async fn a_good_server_is_heard_and_left_politely() {
        let world = World::new().a("mx.example.org", "127.0.0.1");
        let acts = vec![
            Act::Say(b"220-mx.example.org ESMTP\r\n220 no spam\r\n"),
            Act::Hear,
            Act::Say(b"250-MX.example.org hello\r\n250-PIPELINING\r\n250-starttls\r\n250 SIZE 1000\r\n"),
            Act::Hear,
            Act::Say(b"221 bye\r\n"),
        ];
        let (smtp, findings, heard) = run(&world, acts).await;
        assert_eq!(
            (smtp.state, smtp.starttls, smtp.is_ptr, smtp.has_address),
            (State::Open, Some(true), Some(true), Some(true))
        );
        assert_eq!(smtp.extensions, ["PIPELINING", "STARTTLS", "SIZE"]);
        assert_eq!(heard, "EHLO me.example.net\r\nQUIT\r\n");
        assert!(findings.is_empty(), "{findings:?}");
    }

    #[tokio::test]
    async fn names_that_do_not_agree_and_missing_tls_are_told() {
        let hello = |greeting, hello| vec![Act::Say(greeting), Act::Hear, Act::Say(hello), Act::Hear];
        let world = World::new().a("other.example.org", "192.0.2.1");
        let (smtp, findings, _) = run(
            &world,
            hello(b"220 other.example.org\r\n", b"250 other.example.org\r\n"),
        )
        .await;
        assert_eq!(smtp.name.as_deref(), Some("other.example.org"));
        assert_eq!(
            codes(&findings),
            ["smtp_name_not_ptr", "smtp_name_not_address", "smtp_no_starttls"]
        );
        let (_, findings, _) = run(
            &world,
            hello(b"220 localhost \x1b[2J\r\n", b"250-localhost\r\n250 STARTTLS\r\n"),
        )
        .await;
        assert_eq!(codes(&findings), ["smtp_no_name"]);
        assert!(findings[0].text.contains("\\x1b"));
    }

    #[tokio::test]
    async fn busy_and_rejecting_servers_are_not_broken() {
        let world = World::new();
        let (smtp, findings, heard) = run(&world, vec![Act::Say(b"554 no\r\n"), Act::Hear]).await;
        assert_eq!(
            (smtp.state, codes(&findings), heard.as_str()),
            (State::Rejecting, vec!["smtp_rejecting"], "QUIT\r\n")
        );
        let (smtp, findings, _) = run(&world, vec![Act::Say(b"421 later\r\n"), Act::Hear]).await;
        assert_eq!((smtp.state, codes(&findings)), (State::Busy, vec!["smtp_busy"]));
        let (smtp, findings, _) = run(&world, vec![Act::Say(b"220 mx.example.org\r\n"), Act::Hear]).await;
        assert_eq!((smtp.state, codes(&findings)[0]), (State::Broken, "smtp_broken"));
    }

    #[tokio::test]
    async fn hostile_servers_are_left_in_time() {
        let world = World::new();
        for (acts, state) in [
            (vec![Act::Flood(b"220-endless banner line\r\n")], State::NotSmtp),
            (vec![Act::Flood(b"220 no line end ")], State::NotSmtp),
            (vec![Act::Flood(b"\x00\xff\xfe\x01")], State::NotSmtp),
            (vec![Act::Say(b"SSH-2.0-OpenSSH\r\n")], State::NotSmtp),
            (vec![Act::Say(b"HTTP/1.0 400 Bad\r\n")], State::NotSmtp),
            (vec![], State::NotSmtp),
            (vec![Act::Drip(b"220-x\r\n")], State::Silent),
            (vec![Act::Wait], State::Silent),
        ] {
            let (smtp, findings, _) = run(&world, acts).await;
            assert_eq!(smtp.state, state, "{findings:?}");
            assert_eq!(findings.len(), 1);
            assert!(findings[0].text.chars().all(|character| !character.is_control()));
        }
    }

    #[tokio::test]
    async fn a_closed_port_is_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let options = Options {
            port: listener.local_addr().expect("bound").port(),
            ..Options::default()
        };
        drop(listener);
        let (smtp, findings) = smtp(&World::new(), ip("127.0.0.1"), None, &options).await;
        assert_eq!((smtp.state, codes(&findings)), (State::Refused, vec!["smtp_refused"]));
    }
}
