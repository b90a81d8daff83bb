//! The configuration file, `reputon.toml`: any option of any command, and operators' keys.
//!
//! ```toml
//! resolver = ["192.0.2.53"]      # for every command that has the option
//! rate = 500
//! [audit]                        # for one command
//! lists = ["all", "!status:unverified"]
//! [keys]
//! spamhaus = "abc"
//! ```
//!
//! Options are written as on the command line, without the dashes before them; inside a name `-` and `_` are the same.
//! What is typed goes before the environment (`REPUTON_<OPTION>`), the environment before the file, a command's own table
//! before the rest of it. The values become defaults of the one table of commands, so that clap reads all three alike.
//!
//! The file is `--config FILE`, else `$REPUTON_CONFIG`, else `reputon/reputon.toml` below `$XDG_CONFIG_HOME` (`~/.config`)
//! if it is there; `none` is no file. Everything wrong with it is an error with file, line and mend. Bound: [`OCTETS_MAX`].

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::cli::talk::talk;
use anyhow::{Context, anyhow, bail};
use clap::builder::FalseyValueParser;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, Command};
use reputon::dnsxl::nearest;
use reputon::report::visible;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Longest file that is read: far more than all options.
const OCTETS_MAX: u64 = 1 << 20;

/// The option that takes keys out of the file. It is hidden, and its values are never shown.
const KEYS: &str = "config-key";

/// Options that are no settings.
const NOT_SETTABLE: [&str; 5] = ["help", "version", "config", "key", KEYS];

/// What the file says, in its order.
#[derive(Debug, Default)]
pub(crate) struct Config {
    /// The file that was read.
    pub(crate) file: Option<PathBuf>,
    pub(crate) settings: Vec<Setting>,
    pub(crate) keys: Vec<FileKey>,
    /// Whether others may read it.
    pub(crate) open: bool,
}

/// One option.
#[derive(Debug)]
pub(crate) struct Setting {
    /// The command that it is for; none: all that have it.
    pub(crate) command: Option<String>,
    /// The option's name, with dashes.
    pub(crate) option: String,
    pub(crate) values: Vec<String>,
    pub(crate) line: usize,
}

/// An operator's key. Shown nowhere, and so without `Debug` of its text.
pub(crate) struct FileKey {
    pub(crate) operator: String,
    key: String,
    pub(crate) line: usize,
}

impl std::fmt::Debug for FileKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FileKey({})", self.operator)
    }
}

/// Where the file would be if nobody names one.
pub(crate) fn usual_place() -> Option<PathBuf> {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let base = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")))?;
    Some(base.join("reputon").join("reputon.toml"))
}

/// The file that these arguments, or else the environment, name.
fn named(arguments: &[OsString]) -> Option<OsString> {
    let mut arguments = arguments.iter().take_while(|argument| *argument != "--");
    let mut named = None;
    while let Some(argument) = arguments.next() {
        if argument == "--config" {
            named = arguments.next().cloned();
        } else if let Some(file) = argument.as_bytes().strip_prefix(b"--config=") {
            named = Some(OsStr::from_bytes(file).to_owned());
        }
    }
    named.or_else(|| std::env::var_os("REPUTON_CONFIG").filter(|file| !file.is_empty()))
}

impl Config {
    /// Reads the file that `arguments` name, or the usual one if it is there. `command` is the table of commands.
    pub(crate) fn load(arguments: &[OsString], command: &Command) -> anyhow::Result<Config> {
        let path = match named(arguments) {
            Some(file) if file == "none" => return Ok(Config::default()),
            Some(file) if file.is_empty() => {
                bail!("--config: no file is named; write --config FILE, or none for no file")
            }
            Some(file) => PathBuf::from(file),
            None => match usual_place().filter(|path| path.exists()) {
                Some(path) => path,
                None => return Ok(Config::default()),
            },
        };
        let shown = shown(&path);
        let file = std::fs::File::open(&path).with_context(|| format!("{shown}: cannot be read"))?;
        let mut octets = Vec::new();
        let open = is_open(&file);
        file.take(OCTETS_MAX + 1)
            .read_to_end(&mut octets)
            .with_context(|| format!("{shown}: cannot be read"))?;
        if octets.len() as u64 > OCTETS_MAX {
            bail!("{shown}: larger than {OCTETS_MAX} octets: not a configuration file");
        }
        let text = String::from_utf8(octets).map_err(|error| {
            let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = 1 + good.iter().filter(|octet| **octet == b'\n').count();
            anyhow!("{shown}:{line}: not UTF-8; save it as UTF-8")
        })?;
        let mut config = read(&shown, &text, command)?;
        config.file = Some(path);
        config.open = open;
        Ok(config)
    }

    /// The table of commands with what the file says as defaults.
    pub(crate) fn apply(&self, mut command: Command) -> Command {
        let (general, own): (Vec<&Setting>, Vec<&Setting>) =
            self.settings.iter().partition(|setting| setting.command.is_none());
        for setting in general {
            command = with_default(command, &setting.option, &setting.values);
        }
        for setting in own {
            let name = setting.command.clone().unwrap_or_default();
            command = command.mut_subcommand(name, |one| with_default(one, &setting.option, &setting.values));
        }
        let keys: Vec<String> = self
            .keys
            .iter()
            .map(|key| format!("{}={}", key.operator, key.key))
            .collect();
        match keys.is_empty() {
            true => command,
            false => with_default(command, KEYS, &keys),
        }
    }

    /// Whether there is something in it that others should not read.
    pub(crate) fn has_secrets(&self) -> bool {
        !self.keys.is_empty() || self.settings.iter().any(|setting| setting.option == "notify")
    }

    /// Says which keys are for operators that are none of these.
    pub(crate) fn warn_of_keys(&self, operators: &[&str]) {
        let file = self.file.as_deref().map(shown).unwrap_or_default();
        for key in self
            .keys
            .iter()
            .filter(|key| !operators.contains(&key.operator.as_str()))
        {
            let mend = match nearest(&key.operator, operators.iter().copied()) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => "`reputon lists` shows them; --catalogue adds others".into(),
            };
            talk!(
                "reputon: {file}:{}: no operator \"{}\", its key is not used: {mend}",
                key.line,
                key.operator
            );
        }
    }

    /// Says what others could read.
    pub(crate) fn warn(&self) {
        if let Some(file) = self.file.as_deref().filter(|_| self.open && self.has_secrets()) {
            let file = shown(file);
            talk!("reputon: {file}: it holds secrets, and others can read it: chmod 600 {file}");
        }
    }
}

/// The table of commands with the environment: each option by its own name.
pub(crate) fn with_environment(command: Command) -> Command {
    let command = command.mut_args(|arg| {
        let Some(name) = arg.get_long().filter(|long| !NOT_SETTABLE.contains(long)).map(variable) else {
            return arg;
        };
        let arg = match arg.get_action() {
            ArgAction::SetTrue => arg.value_parser(FalseyValueParser::new()),
            _ => arg,
        };
        arg.env(name).hide_env(true).hide_env_values(true)
    });
    command.mut_subcommands(with_environment)
}

/// The environment variable of an option.
pub(crate) fn variable(option: &str) -> String {
    format!("REPUTON_{option}").to_ascii_uppercase().replace('-', "_")
}

/// Gives an option its default, in this command and in those below it that have the option.
fn with_default(mut command: Command, option: &str, values: &[String]) -> Command {
    let id = find(&command, option).map(|arg| arg.get_id().clone());
    if let Some(id) = id {
        command = command.mut_arg(id, |arg| arg.default_values(values.to_vec()));
    }
    let subcommands: Vec<String> = command.get_subcommands().map(|one| one.get_name().to_owned()).collect();
    // Which lists are asked does not decide which are shown: `lists ls` shows all.
    let shows = |name: &String| option == "lists" && name == "lists";
    let subcommands = subcommands.into_iter().filter(|name| !shows(name));
    subcommands.fold(command, |command, name| {
        command.mut_subcommand(name, |one| with_default(one, option, values))
    })
}

/// An option of this very command.
fn find<'c>(command: &'c Command, option: &str) -> Option<&'c Arg> {
    command.get_arguments().find(|arg| arg.get_long() == Some(option))
}

/// An option of this command or one below it, and the way there.
fn find_below<'c>(command: &'c Command, option: &str) -> Option<(Vec<&'c str>, &'c Arg)> {
    if let Some(arg) = find(command, option) {
        return Some((Vec::new(), arg));
    }
    command.get_subcommands().find_map(|one| {
        let (mut way, arg) = find_below(one, option)?;
        way.insert(0, one.get_name());
        Some((way, arg))
    })
}

/// All options that can be set, of this command and those below it.
pub(crate) fn settable(command: &Command) -> Vec<&Arg> {
    let own = command
        .get_arguments()
        .filter(|arg| arg.get_long().is_some_and(|long| !NOT_SETTABLE.contains(&long)));
    own.chain(command.get_subcommands().flat_map(settable)).collect()
}

/// A place in the file.
struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    command: &'a Command,
}

fn read(file: &str, text: &str, command: &Command) -> anyhow::Result<Config> {
    let reader = Reader { file, text, command };
    let table = DeTable::parse(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        anyhow::anyhow!("{}: {}", reader.place(offset), visible(error.message()))
    })?;
    let mut config = Config::default();
    for (key, value) in table.get_ref() {
        let name = key.get_ref().replace('_', "-");
        match value.get_ref() {
            DeValue::Table(keys) if name == "keys" => reader.keys(keys, &mut config)?,
            DeValue::Table(own) => {
                let Some(one) = command.find_subcommand(&name) else {
                    let names = command.get_subcommands().map(Command::get_name).chain(["keys"]);
                    return Err(reader.unknown(key, "command", names));
                };
                for (key, value) in own {
                    config.settings.push(reader.setting(one, Some(&name), key, value)?);
                }
            }
            _ => config.settings.push(reader.setting(command, None, key, value)?),
        }
    }
    Ok(config)
}

impl Reader<'_> {
    fn line(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().iter().take(offset);
        before.filter(|octet| **octet == b'\n').count() + 1
    }

    fn place(&self, offset: usize) -> String {
        format!("{}:{}", self.file, self.line(offset))
    }

    fn unknown<'n>(
        &self,
        key: &Spanned<std::borrow::Cow<'_, str>>,
        what: &str,
        names: impl Iterator<Item = &'n str>,
    ) -> anyhow::Error {
        let (place, word) = (self.place(key.span().start), key.get_ref());
        let mend = match nearest(&word.replace('_', "-"), names) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => "`reputon config show` names all".into(),
        };
        anyhow::anyhow!("{place}: no {what} \"{}\": {mend}", visible(word))
    }

    fn setting(
        &self,
        command: &Command,
        own: Option<&str>,
        key: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
    ) -> anyhow::Result<Setting> {
        let option = key.get_ref().replace('_', "-");
        let found = find_below(command, &option).filter(|_| !NOT_SETTABLE.contains(&option.as_str()));
        let Some((way, arg)) = found else {
            if option == "key" {
                bail!(
                    "{}: keys have a table of their own: [keys]",
                    self.place(key.span().start)
                );
            }
            let names = settable(command).into_iter().filter_map(Arg::get_long);
            return Err(self.unknown(key, "option", names));
        };
        let place = self.place(value.span().start);
        let values = values(arg, value.get_ref()).map_err(|why| anyhow::anyhow!("{place}: {option}: {why}"))?;
        if arg.get_action().takes_values() {
            let way = own.into_iter().chain(way);
            self.check(way, &option, &values)
                .map_err(|why| anyhow::anyhow!("{place}: {option}: {why}"))?;
        }
        Ok(Setting {
            command: own.map(str::to_owned),
            option,
            values,
            line: self.line(key.span().start),
        })
    }

    /// Has clap read the values where they will stand. Only what is wrong with the values themselves is an error here.
    fn check<'w>(&self, way: impl Iterator<Item = &'w str>, option: &str, values: &[String]) -> Result<(), String> {
        let mut line: Vec<String> = std::iter::once("reputon").chain(way).map(str::to_owned).collect();
        line.extend(values.iter().map(|value| format!("--{option}={value}")));
        let Err(error) = self.command.clone().try_get_matches_from(line) else {
            return Ok(());
        };
        match error.kind() {
            ErrorKind::InvalidValue | ErrorKind::ValueValidation | ErrorKind::InvalidUtf8 | ErrorKind::NoEquals => {
                let text = error.to_string();
                let first = text.lines().next().unwrap_or_default();
                Err(visible(first.trim_start_matches("error: ")).into_owned())
            }
            _ => Ok(()),
        }
    }

    fn keys(&self, table: &DeTable<'_>, config: &mut Config) -> anyhow::Result<()> {
        for (operator, key) in table {
            let place = self.place(operator.span().start);
            let id = operator.get_ref();
            let plain = |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'-';
            if id.is_empty() || !id.bytes().all(plain) {
                bail!("{place}: operators have lower case letters, digits, dashes");
            }
            // The text itself stays out of the message: it may be the key.
            let DeValue::String(key) = key.get_ref() else {
                bail!("{place}: the key of {id} must be text in quotes");
            };
            if reputon::dnsxl::Key::new(key).is_err() {
                bail!("{place}: this cannot be the key of {id}: keys are made of letters, digits, dashes, underscores");
            }
            config.keys.push(FileKey {
                operator: id.to_string(),
                key: key.to_string(),
                line: self.line(operator.span().start),
            });
        }
        Ok(())
    }
}

/// The values of an option, as they would be typed.
fn values(arg: &Arg, value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let one = |value: &DeValue<'_>| match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) => Ok(number.to_string()),
        DeValue::Float(number) => Ok(number.to_string()),
        _ => Err("text or a number is wanted".to_owned()),
    };
    match (arg.get_action(), value) {
        (ArgAction::SetTrue, DeValue::Boolean(set)) => Ok(vec![set.to_string()]),
        (ArgAction::SetTrue, _) => Err("true or false is wanted".into()),
        (ArgAction::Count, DeValue::Integer(number)) => match number.to_string().parse::<u8>() {
            Ok(number) => Ok(vec![number.to_string()]),
            Err(_) => Err("a small number is wanted".into()),
        },
        // Without a value the default would stand, which is not what the line says.
        (ArgAction::Append, DeValue::Array(values)) if values.is_empty() && !arg.get_default_values().is_empty() => {
            Err("an empty list says nothing; without the line, the default stands".into())
        }
        (ArgAction::Append, DeValue::Array(values)) => values.iter().map(|value| one(value.get_ref())).collect(),
        (_, DeValue::Array(_)) => Err("it takes one value".into()),
        (_, value) => Ok(vec![one(value)?]),
    }
}

/// A file's name may hold anything.
pub(crate) fn shown(path: &Path) -> String {
    reputon::report::visible_octets(OsStr::as_encoded_bytes(path.as_os_str()))
}

/// Whether others than the owner may read the file.
fn is_open(file: &std::fs::File) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.metadata()
            .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o044 != 0)
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::command;

    fn error(text: &str) -> String {
        read("reputon.toml", text, &command()).expect_err(text).to_string()
    }

    fn matches(text: &str, line: &str) -> clap::ArgMatches {
        let config = read("reputon.toml", text, &command()).expect("a good file");
        let parsed = config.apply(command()).try_get_matches_from(line.split_whitespace());
        parsed.expect("a good line")
    }

    #[test]
    fn a_file_is_named_in_octets_and_not_by_nothing() {
        let name = OsStr::from_bytes(b"\xff.toml");
        let joined = OsStr::from_bytes(b"--config=\xff.toml");
        for typed in [vec![joined], vec![OsStr::new("--config"), name]] {
            let typed: Vec<OsString> = typed.into_iter().map(OsStr::to_owned).collect();
            assert_eq!(named(&typed).as_deref(), Some(name));
        }
        let error = Config::load(&["--config=".into()], &command())
            .expect_err("no file")
            .to_string();
        assert!(error.starts_with("--config: no file is named"), "{error}");
    }

    #[test]
    fn every_option_can_be_set_and_what_is_typed_goes_first() {
        let file = "rate = 500\nresolver = ['192.0.2.53', '192.0.2.54:5353']\nall_rows = true\ntimeout = 0.5\n\
                    [audit]\nrate = 7\n[keys]\nspamhaus = 'hunter2'\n";
        let scan = |line: &str| matches(file, line).subcommand().expect("a command").1.clone();
        assert_eq!(scan("reputon scan x").get_one::<u32>("rate"), Some(&500));
        assert_eq!(scan("reputon scan x --rate 9").get_one::<u32>("rate"), Some(&9));
        assert_eq!(scan("reputon audit x").get_one::<u32>("rate"), Some(&7));
        assert!(scan("reputon scan x").get_flag("all_rows"));
        assert_eq!(scan("reputon scan x").get_raw("resolver").expect("set").count(), 2);
        assert_eq!(
            scan("reputon scan x --resolver ::1")
                .get_raw("resolver")
                .expect("set")
                .count(),
            1
        );
        // What stands in the file is no conflict with what is typed.
        assert!(scan("reputon scan x --lab").get_flag("lab"));
        assert_eq!(
            scan("reputon mx example.org").get_raw("resolver").expect("set").count(),
            2
        );
    }

    /// A value that an option takes, by what its help calls it.
    fn sample(arg: &Arg) -> String {
        let possible = arg.get_possible_values();
        if let Some(first) = possible.first() {
            return format!("'{}'", first.get_name());
        }
        let name = arg
            .get_value_names()
            .and_then(|names| names.first())
            .map(|name| name.as_str());
        match (arg.get_long().unwrap_or_default(), name.unwrap_or_default()) {
            (_, "SECS" | "N" | "QPS" | "PCT" | "BITS") => "1".into(),
            (_, "DURATION") => "'5m'".into(),
            (_, "I/N") => "'1/2'".into(),
            (_, "IP" | "ADDRESS") => "'192.0.2.53'".into(),
            (_, "ADDR[:PORT]" | "ADDR:PORT") => "'127.0.0.1:53'".into(),
            (_, "ZONE=ADDR:PORT") => "'bl.example.test=192.0.2.53:53'".into(),
            (_, "LIST=FILE") => "'some-list=some.file'".into(),
            (_, "URL") => "'https://hooks.example.test/x'".into(),
            (option, _) if option.contains("mail") => "'ops@example.test'".into(),
            ("output", _) => "'x.csv'".into(),
            ("stages", _) => "'rdns,mx'".into(),
            ("diff", _) => "'last'".into(),
            _ => "'default'".into(),
        }
    }

    /// Walks the one table of commands: each option of each command, those of commands below others too, is taken from the
    /// file, for that command and for all, and is then its default there.
    #[test]
    fn each_option_of_each_command_can_be_set() {
        let table = command();
        let mut walked = 0;
        for one in table.get_subcommands() {
            for arg in settable(one).into_iter().filter(|arg| !arg.is_hide_set()) {
                let option = arg.get_long().expect("it is settable");
                let value = match (arg.get_action(), sample(arg)) {
                    (ArgAction::SetTrue, _) => "true".into(),
                    (ArgAction::Count, _) => "1".into(),
                    (ArgAction::Append, value) => format!("[{value}]"),
                    (_, value) => value,
                };
                for text in [
                    format!("[{}]\n{option} = {value}", one.get_name()),
                    format!("{option} = {value}"),
                ] {
                    let config = read("reputon.toml", &text, &table);
                    let config = config.unwrap_or_else(|error| panic!("{text}: {error}"));
                    // Which lists are asked does not decide which are shown.
                    if config.settings[0].command.is_none() && (one.get_name(), option) == ("lists", "lists") {
                        continue;
                    }
                    let applied = config.apply(command());
                    let found = applied
                        .find_subcommand(one.get_name())
                        .and_then(|one| find_below(one, option));
                    let (_, set) = found.unwrap_or_else(|| panic!("{text}: it is nowhere"));
                    let values: Vec<&OsStr> = set.get_default_values().iter().map(|value| value.as_os_str()).collect();
                    let wanted: Vec<&OsStr> = config.settings[0].values.iter().map(OsStr::new).collect();
                    assert_eq!(values, wanted, "{text}");
                    walked += 1;
                }
            }
        }
        assert!(walked > 200, "{walked}");
    }

    #[test]
    fn errors_name_line_key_and_mend() {
        assert_eq!(
            error("\nrat = 5"),
            "reputon.toml:2: no option \"rat\": did you mean \"rate\"?"
        );
        assert_eq!(
            error("[scann]\nrate = 5"),
            "reputon.toml:1: no command \"scann\": did you mean \"scan\"?"
        );
        assert_eq!(
            error("[lab]\nrate = 5"),
            "reputon.toml:2: no option \"rate\": `reputon config show` names all"
        );
        assert!(error("rate = 'x'").starts_with("reputon.toml:1: rate: invalid value 'x' for '--rate <QPS>'"));
        assert_eq!(error("rate = [1, 2]"), "reputon.toml:1: rate: it takes one value");
        assert_eq!(error("lab = 1"), "reputon.toml:1: lab: true or false is wanted");
        assert_eq!(
            error("lists = []"),
            "reputon.toml:1: lists: an empty list says nothing; without the line, the default stands"
        );
        assert!(error("rate = ").starts_with("reputon.toml:1: "));
        assert_eq!(
            error("key = 'spamhaus=hunter2'"),
            "reputon.toml:1: keys have a table of their own: [keys]"
        );
    }

    #[test]
    fn a_key_is_in_no_message() {
        for text in [
            "[keys]\nspamhaus = 'hunter2 !'",
            "[keys]\nspamhaus = ['hunter2']",
            "[keys]\nSPAM = 'hunter2'",
        ] {
            let error = error(text);
            assert!(
                error.starts_with("reputon.toml:2: ") && !error.contains("hunter2"),
                "{error}"
            );
        }
        let config = read("reputon.toml", "[keys]\nspamhaus = 'hunter2'", &command()).expect("good");
        assert!(!format!("{config:?}").contains("hunter2"));
        let mut with_keys = config.apply(command());
        let scan = with_keys.find_subcommand_mut("scan").expect("there");
        assert!(!scan.render_long_help().to_string().contains("hunter2"));
    }
}
