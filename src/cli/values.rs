//! Values of options: small types that exist only if they are good. Their errors end behind clap's "invalid value … for …".

use std::ffi::OsStr;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Command};

use reputon::stages::{Stages, UnknownStage};
use reputon::store::RunId;
use reputon::targets::{Domain, ParseError, Target, Why};
use reputon::wire::Name;
use reputon::zone::DatasetKind;

/// Longest time that can be asked for: a year.
const DURATION_MAX: Duration = Duration::from_secs(366 * 86_400);

/// Longest time for one try: resolvers give up long before.
const TIMEOUT_MAX: Duration = Duration::from_secs(60);

/// The name of a zone.
pub(crate) fn zone_name(text: &str) -> Result<Name, String> {
    text.parse()
        .map_err(|error| format!("no name of a zone, such as bl.example.org: {error}"))
}

/// `LIST=FILE`, or `LIST=TYPE:FILE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ZoneData {
    pub(crate) list: String,
    /// Its format, if it was named.
    pub(crate) format: Option<DatasetKind>,
    pub(crate) file: PathBuf,
}

impl FromStr for ZoneData {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<ZoneData, &'static str> {
        let (list, file) = text
            .split_once('=')
            .ok_or("write LIST=FILE, such as spamhaus-zen=zen.ip4trie")?;
        let typed = file
            .split_once(':')
            .and_then(|(name, file)| Some((DatasetKind::by_name(name)?, file)));
        let (format, file) = match typed {
            Some((format, file)) => (Some(format), file),
            None => (None, file),
        };
        if list.is_empty() || file.is_empty() {
            return Err("write LIST=FILE, such as spamhaus-zen=zen.ip4trie");
        }
        Ok(ZoneData {
            list: list.to_owned(),
            format,
            file: file.into(),
        })
    }
}

/// `I/N`: the I-th of N shares, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shard {
    pub(crate) number: u32,
    pub(crate) of: u32,
}

impl FromStr for Shard {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Shard, &'static str> {
        let parts = text.split_once('/');
        let parts = parts.and_then(|(number, of)| Some((number.parse().ok()?, of.parse().ok()?)));
        match parts {
            Some((number, of)) if (1..=of).contains(&number) => Ok(Shard { number, of }),
            _ => Err("I/N with I from 1 to N, such as 1/4 to 4/4"),
        }
    }
}

/// Text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// The text, for the one place that needs it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// `OPERATOR=KEY`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) operator: String,
    pub(crate) key: Secret,
}

/// Reads a [`Key`]. Not by `FromStr`: clap would show a bad value, and that may be the key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyParser;

impl TypedValueParser for KeyParser {
    type Value = Key;

    fn parse_ref(&self, command: &Command, _: Option<&Arg>, value: &OsStr) -> Result<Key, clap::Error> {
        let id = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '-';
        let parts = value.to_str().and_then(|text| text.split_once('='));
        match parts.map(|(operator, key)| (operator.trim(), key.trim())) {
            Some((operator, key)) if !operator.is_empty() && operator.chars().all(id) && !key.is_empty() => Ok(Key {
                operator: operator.to_owned(),
                key: Secret(key.to_owned()),
            }),
            _ => {
                let text = "--key takes OPERATOR=KEY, such as spamhaus=abc; operators have lower case letters, digits, dashes\n";
                Err(clap::Error::raw(ErrorKind::ValueValidation, text).with_cmd(command))
            }
        }
    }
}

/// The address of a webhook: `http` or `https`. All but its host is a secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Webhook {
    url: String,
    /// `https://host:port`.
    place: String,
}

impl FromStr for Webhook {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Webhook, &'static str> {
        let wrong = "an address such as https://example.org/hook";
        let uri: ureq::http::Uri = text.parse().map_err(|_| wrong)?;
        let scheme = uri
            .scheme_str()
            .filter(|scheme| ["http", "https"].contains(scheme))
            .ok_or(wrong)?;
        let host = uri.host().filter(|host| !host.is_empty()).ok_or(wrong)?;
        let port = uri.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
        // A number beyond 65535 is none to the parser, and would be left out.
        let behind_host = uri.authority().and_then(|all| all.as_str().rsplit_once(host));
        if behind_host
            .is_none_or(|(_, rest)| !rest.is_empty() && rest.strip_prefix(':').is_none_or(|_| port.is_empty()))
        {
            return Err(wrong);
        }
        Ok(Webhook {
            place: format!("{scheme}://{host}{port}"),
            url: text.to_owned(),
        })
    }
}

/// Reads a [`Webhook`]. clap would show a bad value, and its path may be a token.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WebhookParser;

impl TypedValueParser for WebhookParser {
    type Value = Webhook;

    fn parse_ref(&self, command: &Command, _: Option<&Arg>, value: &OsStr) -> Result<Webhook, clap::Error> {
        let webhook = value.to_str().and_then(|text| text.parse().ok());
        webhook.ok_or_else(|| {
            let text = "--notify takes an address such as https://example.org/hook\n";
            clap::Error::raw(ErrorKind::ValueValidation, text).with_cmd(command)
        })
    }
}

impl Webhook {
    /// The whole address, for the one place that needs it.
    pub(crate) fn reveal(&self) -> &str {
        &self.url
    }

    /// A text without the address in it.
    pub(crate) fn redact(&self, text: &str) -> String {
        text.replace(&self.url, &self.place)
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/…", self.place)
    }
}

/// A mail address that can stand in a header as it is: printable ASCII, one `@`, nothing that separates or quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MailAddress(String);

impl FromStr for MailAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<MailAddress, &'static str> {
        let plain = |octet: u8| octet.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&octet);
        let good = |part: &str| !part.is_empty() && part.bytes().all(plain);
        let parts = text.split_once('@');
        // 254: RFC 5321 §4.5.3.1.3, without the brackets. A leading dash would be an option of whoever reads it.
        match parts {
            Some((local, domain)) if good(local) && good(domain) && text.len() <= 254 && !text.starts_with('-') => {
                Ok(MailAddress(text.to_owned()))
            }
            _ => Err("a plain mail address such as ops@example.org"),
        }
    }
}

impl MailAddress {
    /// The address.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A percentage, 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Percent(pub(crate) f64);

impl FromStr for Percent {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Percent, &'static str> {
        let number = text.strip_suffix('%').unwrap_or(text).parse::<f64>().ok();
        let number = number.filter(|number| (0.0..=100.0).contains(number));
        number
            .map(Percent)
            .ok_or("a percentage from 0 to 100, such as 90 or 99.5")
    }
}

/// Why a text is not the one target that a command takes. No such command reads files.
pub(crate) fn not_one(error: &ParseError) -> String {
    match error.why {
        Why::OneLabel => "a name of one label; write it in full, such as mail.example.org".to_owned(),
        Why::Blank => "a name has no blank inside".to_owned(),
        _ => error.to_string(),
    }
}

/// One address.
pub(crate) fn address(text: &str) -> Result<IpAddr, String> {
    let wanted = "wanted is an address such as 192.0.2.7 or 2001:db8::7";
    let why = match (text.parse::<IpAddr>(), text.parse::<Target>()) {
        (Ok(address), _) => return Ok(address),
        (Err(_), Ok(_)) => "a name".into(),
        (Err(_), Err(error)) => match &error.mend {
            Some(mend) if mend.parse::<IpAddr>().is_ok() => return Err(error.to_string()),
            _ => not_one(&error.why.clone().into()),
        },
    };
    Err(format!("{why}; {wanted}"))
}

/// A domain, normalised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DomainName(pub(crate) Domain);

impl FromStr for DomainName {
    type Err = String;

    fn from_str(text: &str) -> Result<DomainName, String> {
        match text.parse::<Target>() {
            Ok(Target::Domain(domain)) => Ok(DomainName(domain)),
            Ok(_) => Err("an address; this command takes domains, such as example.org".into()),
            Err(error) if error.mend.is_some() => Err(not_one(&error)),
            Err(error) => Err(format!("{}; wanted is a domain such as example.org", not_one(&error))),
        }
    }
}

/// Stages separated by commas, `all`, or `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StageList(pub(crate) Stages);

impl FromStr for StageList {
    type Err = String;

    fn from_str(text: &str) -> Result<StageList, String> {
        let mut words = text.split(',').map(str::trim);
        if text.contains(',') && words.clone().any(|word| word == "none") {
            return Err("none stands alone, such as in --stages none".into());
        }
        if words.any(str::is_empty) {
            return Err("a stage, or several with commas between them, such as rdns,mx".into());
        }
        text.parse()
            .map(StageList)
            .map_err(|error: UnknownStage| format!("{error}, such as rdns,mx"))
    }
}

/// What a file holds, by its suffix; longer suffixes first.
const SUFFIXES: [(&str, OutputKind); 10] = [
    (".targets.csv", OutputKind::TargetsCsv),
    (".lists.csv", OutputKind::ListsCsv),
    (".csv", OutputKind::ListingsCsv),
    (".reputon.json", OutputKind::Reputon),
    (".jsonl", OutputKind::Jsonl),
    (".json", OutputKind::Json),
    (".html", OutputKind::Html),
    (".prom", OutputKind::Prometheus),
    (".parquet", OutputKind::Parquet),
    (".md", OutputKind::Markdown),
];

/// What an output file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OutputKind {
    ListingsCsv,
    TargetsCsv,
    ListsCsv,
    Json,
    Jsonl,
    Html,
    Reputon,
    Prometheus,
    Parquet,
    Markdown,
    /// A folder: the whole set.
    Folder,
}

/// A file or folder to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) path: PathBuf,
    pub(crate) kind: OutputKind,
}

impl FromStr for Output {
    type Err = String;

    fn from_str(text: &str) -> Result<Output, String> {
        if text == "-" {
            return Err("standard output is chosen with --format, such as --format csv".into());
        }
        let lower = text.to_ascii_lowercase();
        let suffix = SUFFIXES.iter().find(|(suffix, _)| lower.ends_with(suffix));
        let folder = text.ends_with('/') || (!text.is_empty() && Path::new(text).extension().is_none());
        let kind = match suffix {
            _ if folder => OutputKind::Folder,
            Some((_, kind)) => *kind,
            None => {
                let known: Vec<&str> = SUFFIXES.iter().map(|(suffix, _)| *suffix).collect();
                return Err(format!(
                    "the suffix says the format, such as in report.html: {}; a folder ends in /",
                    known.join(", ")
                ));
            }
        };
        let path = PathBuf::from(text);
        Ok(Output { path, kind })
    }
}

/// The number of a run.
pub(crate) fn run_number(text: &str) -> Result<RunId, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number
        .map(RunId)
        .ok_or_else(|| "a run's number, such as 12; `reputon runs` shows them".to_owned())
}

/// A length of time: `90s`, `10m`, `2h`, `1d`, `1h30m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "a length of time, such as 90s, 10m, 2h, 1h30m".to_owned();
    let mut rest = text;
    let mut seconds = 0u64;
    while !rest.is_empty() {
        let digits = rest.find(|char: char| !char.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        let unit = match rest.as_bytes()[digits] {
            b's' => 1,
            b'm' => 60,
            b'h' => 3_600,
            b'd' => 86_400,
            _ => return Err(wrong()),
        };
        seconds = seconds.saturating_add(number.saturating_mul(unit));
        rest = &rest[digits + 1..];
    }
    let duration = Duration::from_secs(seconds);
    match duration {
        Duration::ZERO => Err(wrong()),
        long if long > DURATION_MAX => Err("a year at most".into()),
        _ => Ok(duration),
    }
}

/// Seconds, fractions too: `3`, `0.5`.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.strip_suffix('s').unwrap_or(text).parse::<f64>().ok();
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let good = duration.filter(|duration| (Duration::from_millis(1)..=TIMEOUT_MAX).contains(duration));
    good.ok_or_else(|| "seconds from 0.001 to 60, such as 3 or 0.5".into())
}

/// An address with a port, on loopback.
pub(crate) fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text
        .parse()
        .map_err(|_| "an address and a port, such as 127.0.0.1:5353 or [::1]:5353")?;
    if !address.ip().is_loopback() {
        return Err("loopback only, such as 127.0.0.1:5353 or [::1]:5353".into());
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use reputon::stages::Stage;

    use super::*;

    #[test]
    fn webhooks_hide_all_but_their_host() {
        let hook: Webhook = "https://user:pw@hooks.example.org:8443/T0/secret?token=x"
            .parse()
            .expect("good");
        assert_eq!(hook.to_string(), "https://hooks.example.org:8443/…");
        assert_eq!(format!("{hook:?}"), "https://hooks.example.org:8443/…");
        assert_eq!(
            hook.redact(&format!("no {}", hook.reveal())),
            "no https://hooks.example.org:8443"
        );
        for text in [
            "",
            "hooks.example.org",
            "ftp://example.org/",
            "https:///x",
            "file:///etc/passwd",
            "http://example.org:99999/",
            "http://example.org:/",
        ] {
            assert!(text.parse::<Webhook>().is_err(), "{text}");
        }
    }

    #[test]
    fn mail_addresses_cannot_leave_their_header() {
        assert!("ops+dnsbl@example.org".parse::<MailAddress>().is_ok());
        for text in [
            "",
            "ops",
            "@example.org",
            "ops@",
            "a@b@c",
            "ops@example.org\nBcc: x@example.org",
            "ops@example.org, x@example.org",
            "-oQ/tmp@example.org",
            "Ops <ops@example.org>",
            "o\"ps@example.org",
        ] {
            assert!(text.parse::<MailAddress>().is_err(), "{text}");
        }
    }

    #[test]
    fn zone_data_is_a_list_and_a_file_with_or_without_its_format() {
        let read = |text: &str| text.parse::<ZoneData>().map(|data| (data.list, data.format, data.file));
        assert_eq!(
            read("zen=ip4trie:a:b.txt"),
            Ok(("zen".into(), Some(DatasetKind::Ip4Trie), "a:b.txt".into()))
        );
        assert_eq!(read("zen=c:zen"), Ok(("zen".into(), None, "c:zen".into())));
        for text in ["zen", "=x", "zen=", "zen=ip4set:"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn shards_are_counted_from_one() {
        assert_eq!("4/4".parse(), Ok(Shard { number: 4, of: 4 }));
        for text in ["", "1", "0/4", "5/4", "1/0", "-1/4", "a/b"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }

    #[test]
    fn durations_have_units() {
        for (text, seconds) in [("90s", 90), ("10m", 600), ("2h", 7200), ("1d", 86_400), ("1h30m", 5400)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in [
            "",
            "90",
            "s",
            "1.5h",
            "-1s",
            "10 m",
            "0s",
            "1é",
            "99999999999999999999s",
            "400d",
            "9999999999999999d",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert_eq!(seconds("0.25"), Ok(Duration::from_millis(250)));
        for text in ["", "0", "-1", "nan", "inf", "1e9", "61"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn addresses_are_addresses_and_say_what_was_meant() {
        assert_eq!(address("192.0.2.7"), Ok(IpAddr::from([192, 0, 2, 7])));
        for (text, error) in [
            ("", "empty; wanted is an address such as 192.0.2.7 or 2001:db8::7"),
            (
                "mail.example.org",
                "a name; wanted is an address such as 192.0.2.7 or 2001:db8::7",
            ),
            (
                "192.0.2.0/24",
                "more than one target; wanted is an address such as 192.0.2.7 or 2001:db8::7",
            ),
            (
                "fe80::1%eth0",
                "an address with an interface has no reputation; did you mean fe80::1?",
            ),
            (
                "192.0.2.7:25",
                "not an IPv6 address, and a name has no colon; did you mean 192.0.2.7?",
            ),
        ] {
            assert_eq!(address(text), Err(error.into()), "{text:?}");
        }
    }

    #[test]
    fn who_takes_one_target_is_not_told_of_files() {
        let error = |text: &str| not_one(&text.parse::<Target>().expect_err(text));
        assert_eq!(
            error("-"),
            "a name of one label; write it in full, such as mail.example.org"
        );
        assert_eq!(error("a b.test"), "a name has no blank inside");
        assert_eq!(
            error("user@example.org"),
            "a name has no '@'; did you mean example.org?"
        );
        let domain = "mailhost".parse::<DomainName>().expect_err("one label");
        assert!(!domain.contains("@FILE"), "{domain}");
    }

    #[test]
    fn stages_are_known_once_and_none_stands_alone() {
        let both = Stages::NONE.with(Stage::Mx).with(Stage::Spf);
        assert_eq!("mx,spf,mx".parse(), Ok(StageList(both)));
        assert_eq!("none".parse(), Ok(StageList(Stages::NONE)));
        assert_eq!("all".parse(), Ok(StageList(Stages::default())));
        for text in ["", "mx,", "mx,none", "ptr"] {
            assert!(text.parse::<StageList>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_longest_suffix_says_the_format() {
        for (text, kind) in [
            ("a.csv", OutputKind::ListingsCsv),
            ("a.TARGETS.csv", OutputKind::TargetsCsv),
            ("a.lists.csv", OutputKind::ListsCsv),
            ("a.reputon.json", OutputKind::Reputon),
            ("a.json", OutputKind::Json),
            ("a.jsonl", OutputKind::Jsonl),
            ("out", OutputKind::Folder),
            ("out.html/", OutputKind::Folder),
            ("out.d/report", OutputKind::Folder),
        ] {
            assert_eq!(text.parse::<Output>().map(|output| output.kind), Ok(kind), "{text}");
        }
        for text in ["-", "", "a.xlsx", "a.csv.gz"] {
            assert!(text.parse::<Output>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_loopback_is_served() {
        assert!(loopback("127.0.0.2:5353").is_ok() && loopback("[::1]:0").is_ok());
        assert!(loopback("0.0.0.0:53").is_err() && loopback("192.0.2.1:53").is_err() && loopback("127.0.0.1").is_err());
    }

    #[test]
    fn percentages_stay_inside() {
        assert_eq!("99.5%".parse(), Ok(Percent(99.5)));
        assert!(
            "101".parse::<Percent>().is_err() && "-1".parse::<Percent>().is_err() && "nan".parse::<Percent>().is_err()
        );
    }
}
