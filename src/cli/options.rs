//! Options that several commands share, in the groups that `--help` shows, as typed.

use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};

use super::numbers::{rate, seed, whole, window, workers};
use super::server::{Route, Server};
use super::values::{
    Key, KeyParser, MailAddress, Output, Percent, Shard, StageList, Webhook, WebhookParser, ZoneData, duration, seconds,
};

/// What is to be looked at.
#[derive(Debug, Args)]
#[command(next_help_heading = "Targets")]
pub(crate) struct TargetOptions {
    /// Addresses, prefixes, ranges, domains, @FILE, or - for standard input
    ///
    /// 192.0.2.7, 192.0.2.0/24, 192.0.2.10-192.0.2.99, 2001:db8::1, 2001:db8::/120, mail.example.org. @FILE and - have one
    /// target a line; # starts a comment. Without targets, standard input is read unless it is a terminal. One run holds
    /// 10,000,000 separate targets, which take some 35 octets of memory each; a range of any size is one.
    #[arg(value_name = "TARGET", help_heading = "Targets")]
    pub(crate) targets: Vec<String>,

    /// Ask for one address of each IPv6 /64, so that prefixes down to /48 can be scanned
    #[arg(long, value_name = "BITS", value_parser = ["64"])]
    pub(crate) ip6_unit: Option<String>,
}

/// Which catalogue.
#[derive(Debug, Args)]
#[command(next_help_heading = "Lists")]
pub(crate) struct CatalogueOptions {
    /// A catalogue file or folder that adds to the built-in lists or overrides them; repeatable
    #[arg(long, value_name = "FILE|DIR")]
    pub(crate) catalogue: Vec<PathBuf>,

    /// Leave the built-in lists out: only those of --catalogue
    #[arg(long, requires = "catalogue")]
    pub(crate) only_catalogue: bool,
}

/// Keys of operators.
#[derive(Debug, Args)]
#[command(next_help_heading = "Lists")]
pub(crate) struct KeyOptions {
    /// An operator's key; repeatable. Others on this machine can see it: better in the environment, as REPUTON_KEY_SPAMHAUS
    #[arg(long, value_name = "OPERATOR=KEY", value_parser = KeyParser)]
    pub(crate) key: Vec<Key>,

    /// The keys of the configuration file
    #[arg(long, value_name = "OPERATOR=KEY", value_parser = KeyParser, hide = true, hide_default_value = true)]
    pub(crate) config_key: Vec<Key>,
}

/// Which lists.
#[derive(Debug, Args)]
#[command(next_help_heading = "Lists")]
pub(crate) struct ListOptions {
    /// Which lists to ask: default, all, an id, an operator, tag:NAME, kind:ip4|ip6|domain; !SEL leaves out
    #[arg(long, value_name = "SEL", value_delimiter = ',', default_value = "default")]
    pub(crate) lists: Vec<String>,

    #[command(flatten)]
    pub(crate) catalogue: CatalogueOptions,

    #[command(flatten)]
    pub(crate) keys: KeyOptions,
}

/// What need not be asked.
#[derive(Debug, Args)]
#[command(next_help_heading = "Plan")]
pub(crate) struct KnownOptions {
    /// Ask every list itself, even where the answer of a list that contains it tells
    #[arg(long)]
    pub(crate) no_fold: bool,

    /// Evaluate this list from a local rbldnsd file or plain list of prefixes, and never ask it; repeatable
    ///
    /// The format is told by the file's suffix (.ip4set, .ip4trie, .dnset, .combined, …) or its lines; TYPE:FILE names it.
    /// Several files for one list are its data together. Data without an entry for IPv4, IPv6 or domains tells nothing of such
    /// targets: about those the list is asked.
    #[arg(long, value_name = "LIST=FILE")]
    pub(crate) zone_data: Vec<ZoneData>,
}

/// What need not be asked, or not by this run.
#[derive(Debug, Args)]
#[command(next_help_heading = "Plan")]
pub(crate) struct SavingOptions {
    #[command(flatten)]
    pub(crate) known: KnownOptions,

    /// Only the I-th of N equal shares of the targets; all N together are the whole
    #[arg(long, value_name = "I/N")]
    pub(crate) shard: Option<Shard>,
}

/// Whom to ask.
#[derive(Debug, Args)]
#[command(next_help_heading = "Servers")]
pub(crate) struct PathOptions {
    /// A resolver to ask, port 53 unless given; repeatable [default: the system's]
    ///
    /// A link-local address has its interface behind it: fe80::1%eth0, or [fe80::1%eth0]:5353.
    #[arg(long, value_name = "ADDR[:PORT]")]
    pub(crate) resolver: Vec<Server>,

    /// Ask each list's own name servers, found through the resolvers. Those with private addresses are not asked
    #[arg(long)]
    pub(crate) direct: bool,

    /// Ask this server for this zone and what is below it; repeatable
    #[arg(long, value_name = "ZONE=ADDR:PORT")]
    pub(crate) route: Vec<Route>,
}

/// Rehearsal.
#[derive(Debug, Args)]
#[command(next_help_heading = "Servers")]
pub(crate) struct LabOptions {
    /// Ask an embedded world inside this process, and its lists only: nothing leaves the machine
    #[arg(long, conflicts_with_all = ["resolver", "route", "direct"])]
    pub(crate) lab: bool,

    /// Rehearse these built-in lists offline: the embedded world answers for them
    #[arg(long, value_name = "SEL", value_delimiter = ',', conflicts_with_all = ["resolver", "route", "direct"])]
    pub(crate) lab_catalogue: Vec<String>,
}

/// What else to look at.
#[derive(Debug, Args)]
#[command(next_help_heading = "Stages")]
pub(crate) struct StageOptions {
    /// What to look at beside the lists: rdns, mx, spf, dkim, dmarc, mta-sts, tls-rpt, bimi, asn, abuse, smtp; all (but
    /// smtp), or none
    #[arg(long, value_name = "STAGES", default_value = "all")]
    pub(crate) stages: StageList,

    /// A DKIM selector that the domains sign with, beside common ones; repeatable
    #[arg(long, value_name = "NAME")]
    pub(crate) dkim_selector: Vec<String>,

    /// Connect to port 25 of addresses, and of the exchangers of domains, to read their banner: each once; never done unless
    /// asked for
    #[arg(long)]
    pub(crate) smtp: bool,
}

/// How one question is asked.
#[derive(Debug, Args)]
#[command(next_help_heading = "Pace")]
pub(crate) struct AskOptions {
    /// How long one try may take, in seconds; fractions too
    #[arg(long, value_name = "SECS", default_value = "3", value_parser = seconds)]
    pub(crate) timeout: Duration,

    /// How many more tries
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = whole::<u8>(0..=20, "more tries", "3"))]
    pub(crate) retries: u8,
}

/// How fast, how long, in which order.
#[derive(Debug, Args)]
#[command(next_help_heading = "Pace")]
pub(crate) struct PaceOptions {
    /// Queries a second in all; 0: no limit. Operators' own limits hold all the same
    #[arg(long, value_name = "QPS", default_value_t = 2000, value_parser = rate())]
    pub(crate) rate: u32,

    /// Most queries in flight to one server [default: it adapts]
    #[arg(long, value_name = "N", value_parser = window())]
    pub(crate) window: Option<u16>,

    /// Ask once for a /24 where the answer shows that nothing in it is listed (RFC 8020). With --direct or --route only, and
    /// only of servers that prove it by the list's test entry; where one proves false later, all that rested on it is asked
    /// and comes again with "revision": 2
    #[arg(long)]
    pub(crate) prune: bool,

    /// Threads that ask, where only servers of this machine or its network are asked and no rate, limit, --prune or stage
    /// holds for all [default: as many as are busy, where all servers are on this machine and no --window is given]
    #[arg(long, value_name = "N", value_parser = workers())]
    pub(crate) workers: Option<NonZero<u8>>,

    /// Send every query in a packet of its own, to servers on this machine or network too (no UDP GSO)
    #[arg(long)]
    pub(crate) no_gso: bool,

    /// Ask beyond operators' rates and daily limits: only where you have their word
    #[arg(long)]
    pub(crate) ignore_budgets: bool,

    /// Trust lists without checking their health first
    #[arg(long)]
    pub(crate) skip_health: bool,

    /// Stop asking after this time and report what is known: 90s, 10m, 2h
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) max_time: Option<Duration>,

    /// Order the questions by this number, to repeat a run's order
    #[arg(long, value_name = "N", value_parser = seed())]
    pub(crate) seed: Option<u64>,
}

/// What to write where.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputOptions {
    /// What goes to standard output [default: table on a terminal, else jsonl]
    #[arg(short, long, value_name = "FORMAT")]
    pub(crate) format: Option<ScanFormat>,

    /// Write a file, its format by its suffix; repeatable. A folder gets the whole set
    ///
    /// .csv listings, .targets.csv, .lists.csv, .json, .jsonl, .html, .reputon.json, .prom, .parquet, .md; without a suffix, or
    /// with a final slash, it is a folder.
    #[arg(short, long, value_name = "PATH")]
    pub(crate) output: Vec<Output>,

    /// Rows for what is not listed, too, in the CSV of listings and in Parquet
    #[arg(long)]
    pub(crate) all_rows: bool,
}

/// Whom to tell.
#[derive(Debug, Args)]
#[command(next_help_heading = "Monitoring")]
pub(crate) struct NotifyOptions {
    /// Be a Nagios plugin: one line with performance data, and exit status 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN
    #[arg(long, conflicts_with = "format")]
    pub(crate) nagios: bool,

    /// Post JSON to this address when something changed since the last run of the same targets; repeatable
    ///
    /// Others on this machine can see it: better in the environment, as REPUTON_NOTIFY, or in the configuration file.
    /// It is tried four times; reports are written before.
    #[arg(long, value_name = "URL", value_parser = WebhookParser, hide_env_values = true, hide_default_value = true)]
    pub(crate) notify: Vec<Webhook>,

    /// How long one try of --notify may take, in seconds; fractions too
    #[arg(long, value_name = "SECS", default_value = "10", value_parser = seconds)]
    pub(crate) notify_timeout: Duration,

    /// Mail this address through the local sendmail when something changed; repeatable
    #[arg(long, value_name = "ADDR")]
    pub(crate) mail_to: Vec<MailAddress>,
}

/// Which run database.
#[derive(Debug, Args)]
#[command(next_help_heading = "History")]
pub(crate) struct DbOptions {
    /// The file that runs are kept in, or none [default: reputon/runs.db in the XDG state directory; none with --lab]
    #[arg(long, value_name = "FILE|none", env = "REPUTON_DB")]
    pub(crate) db: Option<PathBuf>,
}

/// What a scan has to do with earlier ones.
#[derive(Debug, Args)]
#[command(next_help_heading = "History")]
pub(crate) struct KeepOptions {
    #[command(flatten)]
    pub(crate) db: DbOptions,

    /// Go on with the last run of the same targets where it was cut off, or start one
    ///
    /// Everything that is known is reported again, on standard output too, the finished targets first. A run that is whole
    /// is only reported. Another plan or catalogue is an error; paths, pace and outputs may change.
    #[arg(long)]
    pub(crate) resume: bool,

    /// Report what changed since the last run of the same targets; where that knew nothing, since one that did
    #[arg(long, value_name = "last", value_parser = ["last"])]
    pub(crate) diff: Option<String>,
}

/// What the exit status says.
#[derive(Debug, Args)]
#[command(next_help_heading = "Exit status")]
pub(crate) struct ExitOptions {
    /// Exit with 3 if less than this share of the planned questions was answered
    #[arg(long, value_name = "PCT", default_value = "90")]
    pub(crate) min_coverage: Percent,

    /// Exit with 1 for listings of this tier or a harder one
    #[arg(long, value_name = "TIER", default_value = "B", ignore_case = true)]
    pub(crate) fail_on: FailOn,
}

impl NotifyOptions {
    /// Whether somebody is to be told of changes.
    pub(crate) fn is_wanted(&self) -> bool {
        !self.notify.is_empty() || !self.mail_to.is_empty()
    }
}

/// How much to say on standard error.
#[derive(Debug, Args)]
pub(crate) struct TalkOptions {
    /// The configuration file; none: no file [default: reputon/reputon.toml in $XDG_CONFIG_HOME or ~/.config]
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,

    /// Say nothing but errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Say more; twice: much more
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// Table or JSON.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct TextFormat {
    /// What goes to standard output: a table, or JSON on one line [default: table on a terminal, else json]
    #[arg(short, long, value_name = "FORMAT")]
    pub(crate) format: Option<TextChoice>,
}

/// As a scan writes to standard output, without its stream.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct ListFormat {
    /// What goes to standard output [default: table on a terminal, else json]
    #[arg(short, long, value_name = "FORMAT")]
    pub(crate) format: Option<ListsChoice>,
}

/// What a scan writes to standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScanFormat {
    /// For people
    Table,
    /// A JSON object a line, as targets are done
    Jsonl,
    /// One JSON document at the end
    Json,
    /// Listings as CSV
    Csv,
    /// Markdown
    Md,
    /// Nothing
    None,
}

/// What a small command writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TextChoice {
    /// For people
    Table,
    /// A JSON object on one line
    #[value(alias = "jsonl")]
    Json,
}

/// What `lists ls` writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListsChoice {
    /// For people
    Table,
    /// A JSON array
    Json,
    /// CSV
    Csv,
}

/// The softest tier whose listings make the exit status 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    /// Hard: large receivers reject by it
    #[value(name = "A")]
    A,
    /// Minor: it counts in scores
    #[value(name = "B")]
    B,
    /// Policy or informational
    #[value(name = "C")]
    C,
}

impl FailOn {
    /// The tier.
    pub(crate) fn tier(self) -> reputon::dnsxl::Tier {
        match self {
            FailOn::A => reputon::dnsxl::Tier::A,
            FailOn::B => reputon::dnsxl::Tier::B,
            FailOn::C => reputon::dnsxl::Tier::C,
        }
    }
}
