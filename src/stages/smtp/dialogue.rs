//! A short SMTP dialogue as a client (RFC 5321 §3.1, §3.2, §4.1.1): hear the greeting, say EHLO (HELO if that is not
//! known), say QUIT.
//!
//! ```text
//! stream → lines (bounded) → reply (code, lines; bounded, timed as a whole) → Dialogue, or Trouble at a Step
//! ```
//!
//! The server may be hostile: a banner without an end or without a line break, binary, one octet a second. Each reply
//! has one deadline however it drips, the dialogue has another, and [`LINE_OCTETS_MAX`], [`REPLY_LINES_MAX`] and
//! [`TOTAL_OCTETS_MAX`] bound what is read. Nothing is said before the greeting is complete.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::stages::escape::quote;

/// Octets of one line: twice what RFC 5321 §4.5.3.1.5 allows.
pub(super) const LINE_OCTETS_MAX: usize = 1_024;

/// Lines of one reply: no server has as many extensions.
pub(super) const REPLY_LINES_MAX: usize = 64;

/// Octets of the whole dialogue that are read.
pub(super) const TOTAL_OCTETS_MAX: usize = 32 * 1_024;

/// How long the answer to QUIT is waited for: it is only politeness.
const QUIT_WAIT: Duration = Duration::from_secs(2);

/// How long to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For one reply. RFC 5321 §4.5.3.2 gives servers five minutes; mail would wait, a scan does not.
    pub reply: Duration,
    /// For the whole dialogue.
    pub total: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            reply: Duration::from_secs(15),
            total: Duration::from_secs(40),
        }
    }
}

/// One reply of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The three digits.
    pub code: u16,
    /// The text of each line after code and separator, as it came.
    pub lines: Vec<Vec<u8>>,
}

impl Reply {
    /// The first word of the first line: a server's name in a greeting and in the reply to EHLO (RFC 5321 §4.2).
    pub fn first_word(&self) -> &[u8] {
        let line = self.lines.first().map_or([].as_slice(), Vec::as_slice);
        line.split(u8::is_ascii_whitespace)
            .find(|word| !word.is_empty())
            .unwrap_or_default()
    }
}

/// Where in the dialogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// Making the connection.
    Connect,
    /// Waiting for the greeting.
    Greeting,
    /// EHLO and its reply.
    Ehlo,
    /// HELO and its reply.
    Helo,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The time was up.
    Silent,
    /// The server closed the connection.
    Closed,
    /// It does not speak SMTP; the offending text, escaped.
    NotSmtp(String),
    /// It says more than is read.
    TooMuch,
    /// The connection failed.
    Io(std::io::ErrorKind),
}

/// How far it went.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dialogue {
    /// The greeting.
    pub greeting: Option<Reply>,
    /// The reply to EHLO, or to HELO if EHLO was refused.
    pub hello: Option<Reply>,
    /// Whether EHLO was accepted.
    pub extended: bool,
    /// What ended it early, and where.
    pub trouble: Option<(Step, Trouble)>,
}

/// Talks to a server; `name` is what we call ourselves (a host name or an address literal, without white space).
pub async fn converse<S: AsyncRead + AsyncWrite + Unpin>(stream: S, name: &str, limits: Limits) -> Dialogue {
    let mut dialogue = Dialogue::default();
    let mut talk = Talk {
        stream,
        buffer: Vec::new(),
        total: 0,
        wait: limits.reply,
    };
    let mut step = Step::Greeting;
    let run = talk.run(name, &mut dialogue, &mut step);
    let end = timeout(limits.total, run).await.unwrap_or(Err(Trouble::Silent));
    if let Err(trouble) = end {
        dialogue.trouble = Some((step, trouble));
    }
    // Whatever happened, leave as a guest should; a server that is gone does not mind.
    let _ = timeout(QUIT_WAIT.min(limits.reply), talk.quit()).await;
    dialogue
}

struct Talk<S> {
    stream: S,
    /// Octets read and not used yet: less than a line and a read.
    buffer: Vec<u8>,
    total: usize,
    wait: Duration,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Talk<S> {
    async fn run(&mut self, name: &str, dialogue: &mut Dialogue, step: &mut Step) -> Result<(), Trouble> {
        let greeting = self.reply().await?;
        let welcome = greeting.code == 220;
        dialogue.greeting = Some(greeting);
        if !welcome {
            return Ok(());
        }
        *step = Step::Ehlo;
        let hello = self.command(&format!("EHLO {name}")).await?;
        dialogue.extended = hello.code == 250;
        let known = !(500..=504).contains(&hello.code);
        dialogue.hello = Some(hello);
        if !known {
            *step = Step::Helo;
            dialogue.hello = Some(self.command(&format!("HELO {name}")).await?);
        }
        Ok(())
    }

    async fn command(&mut self, line: &str) -> Result<Reply, Trouble> {
        let send = async {
            self.stream.write_all(format!("{line}\r\n").as_bytes()).await?;
            self.stream.flush().await
        };
        timeout(self.wait, send)
            .await
            .map_err(|_| Trouble::Silent)?
            .map_err(io_trouble)?;
        self.reply().await
    }

    async fn quit(&mut self) {
        if self.stream.write_all(b"QUIT\r\n").await.is_ok() && self.stream.flush().await.is_ok() {
            let _ = self.read_reply().await;
        }
        let _ = self.stream.shutdown().await;
    }

    /// One reply, with one deadline for all of it.
    async fn reply(&mut self) -> Result<Reply, Trouble> {
        let wait = self.wait;
        timeout(wait, self.read_reply()).await.unwrap_or(Err(Trouble::Silent))
    }

    async fn read_reply(&mut self) -> Result<Reply, Trouble> {
        let mut reply: Option<Reply> = None;
        for _ in 0..REPLY_LINES_MAX {
            let line = self.read_line().await?;
            let (code, last, text) = read_code(&line).ok_or_else(|| Trouble::NotSmtp(quote(&line)))?;
            let reply = reply.get_or_insert(Reply {
                code,
                lines: Vec::new(),
            });
            if reply.code != code {
                return Err(Trouble::NotSmtp(quote(&line)));
            }
            reply.lines.push(text.to_vec());
            if last {
                return Ok(reply.clone());
            }
        }
        Err(Trouble::TooMuch)
    }

    /// One line without its end. A bare LF is taken as an end, as mail clients do.
    async fn read_line(&mut self) -> Result<Vec<u8>, Trouble> {
        loop {
            if let Some(end) = self.buffer.iter().position(|&octet| octet == b'\n') {
                let mut line: Vec<u8> = self.buffer.drain(..=end).collect();
                line.pop();
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return if line.len() > LINE_OCTETS_MAX {
                    Err(Trouble::TooMuch)
                } else {
                    Ok(line)
                };
            }
            if self.buffer.len() > LINE_OCTETS_MAX {
                return Err(self.endless_line());
            }
            let mut chunk = [0; 512];
            let read = self.stream.read(&mut chunk).await.map_err(io_trouble)?;
            if read == 0 {
                return Err(if self.buffer.is_empty() {
                    Trouble::Closed
                } else {
                    Trouble::NotSmtp(quote(&self.buffer))
                });
            }
            self.total += read;
            if self.total > TOTAL_OCTETS_MAX {
                return Err(Trouble::TooMuch);
            }
            self.buffer.extend_from_slice(&chunk[..read]);
        }
    }

    /// What a line without an end is: too much SMTP, or something else.
    fn endless_line(&self) -> Trouble {
        if read_code(&self.buffer).is_some() {
            Trouble::TooMuch
        } else {
            Trouble::NotSmtp(quote(&self.buffer))
        }
    }
}

/// Code, whether it is the last line, and the text (RFC 5321 §4.2). A code alone is a last line.
fn read_code(line: &[u8]) -> Option<(u16, bool, &[u8])> {
    let digits = line.get(..3).filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
    let code = digits
        .iter()
        .fold(0u16, |code, digit| code * 10 + u16::from(digit - b'0'));
    let last = match line.get(3) {
        None | Some(b' ') => true,
        Some(b'-') => false,
        Some(_) => return None,
    };
    (200..600)
        .contains(&code)
        .then(|| (code, last, line.get(4..).unwrap_or_default()))
}

fn io_trouble(error: std::io::Error) -> Trouble {
    match error.kind() {
        std::io::ErrorKind::ConnectionReset
        | std::io::ErrorKind::BrokenPipe
        | std::io::ErrorKind::ConnectionAborted => Trouble::Closed,
        kind => Trouble::Io(kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_as_the_rfc_writes_them() {
        assert_eq!(read_code(b"220 a b"), Some((220, true, b"a b".as_slice())));
        assert_eq!(read_code(b"250-STARTTLS"), Some((250, false, b"STARTTLS".as_slice())));
        assert_eq!(read_code(b"250"), Some((250, true, b"".as_slice())));
        for line in [
            b"".as_slice(),
            b"22",
            b"2200",
            b"220_x",
            b"SSH-2.0",
            b"999 x",
            b"100 x",
            b"\xff\xff\xff ",
        ] {
            assert_eq!(read_code(line), None, "{line:?}");
        }
    }

    async fn talk(script: Vec<u8>) -> Dialogue {
        let (client, mut server) = tokio::io::duplex(1 << 16);
        let serve = async {
            server.write_all(&script).await.expect("a wide pipe");
            let mut heard = Vec::new();
            let _ = timeout(Duration::from_millis(200), server.read_to_end(&mut heard)).await;
        };
        let limits = Limits {
            reply: Duration::from_millis(50),
            total: Duration::from_millis(100),
        };
        tokio::join!(converse(client, "me.example", limits), serve).0
    }

    #[tokio::test]
    async fn replies_of_several_lines_are_put_together() {
        let dialogue =
            talk(b"220-mx.example ESMTP\r\n220 hello\r\n250-mx.example\r\n250 STARTTLS\r\n221 bye\r\n".to_vec()).await;
        assert_eq!(dialogue.trouble, None);
        assert_eq!(
            dialogue.greeting.as_ref().map(Reply::first_word),
            Some(b"mx.example".as_slice())
        );
        assert_eq!(dialogue.hello.map(|hello| hello.lines.len()), Some(2));
        assert!(dialogue.extended);
    }

    #[tokio::test]
    async fn helo_follows_where_ehlo_is_not_known() {
        let dialogue = talk(b"220 old.example\r\n502 what?\r\n250 old.example\r\n".to_vec()).await;
        assert!(!dialogue.extended);
        assert_eq!(dialogue.hello.map(|hello| hello.code), Some(250));
    }

    #[tokio::test]
    async fn a_reply_whose_codes_differ_is_not_smtp() {
        let dialogue = talk(b"220-a\r\n554 b\r\n".to_vec()).await;
        assert!(matches!(dialogue.trouble, Some((Step::Greeting, Trouble::NotSmtp(_)))));
    }

    #[tokio::test]
    async fn a_reply_without_end_is_cut() {
        let dialogue = talk(b"220-x\r\n".repeat(REPLY_LINES_MAX + 1)).await;
        assert_eq!(dialogue.trouble, Some((Step::Greeting, Trouble::TooMuch)));
    }

    #[test]
    fn any_octets_can_be_heard() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime");
        let config = proptest::test_runner::Config::with_cases(64);
        proptest::proptest!(config, |(script: Vec<u8>)| {
            let limits = Limits { reply: Duration::from_millis(1), total: Duration::from_millis(2) };
            let stream = tokio::io::join(std::io::Cursor::new(script), tokio::io::sink());
            let dialogue = runtime.block_on(converse(stream, "me.example", limits));
            proptest::prop_assert!(dialogue.greeting.is_some() || dialogue.trouble.is_some());
        });
    }
}
