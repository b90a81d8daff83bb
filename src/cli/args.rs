//! The commands and their arguments, as typed. A table: to add a command, add a variant and its arguments.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use reputon::store::RunId;
use reputon::wire::Name;

use super::commands::bench::QUERIES_MAX;
use super::commands::smtp_out::MailHost;
use super::config::with_environment;
use super::help;
use super::numbers::{rate, whole, window, workers};
use super::options::{
    AskOptions, CatalogueOptions, DbOptions, ExitOptions, FailOn, KeepOptions, KeyOptions, KnownOptions, LabOptions,
    ListFormat, ListOptions, NotifyOptions, OutputOptions, PaceOptions, PathOptions, SavingOptions, StageOptions,
    TalkOptions, TargetOptions, TextFormat,
};
use super::server::Server;
use super::values::{DomainName, address, loopback, run_number, seconds, zone_name};

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "reputon",
    version,
    about = "Scan addresses, ranges and domains against DNS blocklists, and say what to mend",
    long_about = help::ABOUT,
    after_help = help::SHORT,
    after_long_help = help::LONG,
    max_term_width = 100,
    propagate_version = true,
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,

    #[command(flatten)]
    pub(crate) talk: TalkOptions,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Scan targets: ask the lists, judge, report
    #[command(after_help = help::SCAN, after_long_help = help::SCAN_LONG)]
    Scan(Box<ScanArgs>),

    /// Look at a block before buying it: how much is listed and where, whose names it carries, and whether to take it
    #[command(after_help = help::AUDIT, after_long_help = help::AUDIT_LONG)]
    Audit(Box<AuditArgs>),

    /// Show what a scan would ask of whom, and how long it would take; sends nothing
    #[command(after_help = help::PLAN)]
    Plan(Box<PlanArgs>),

    /// The catalogue of lists: show it, check it, lint and import files
    #[command(args_conflicts_with_subcommands = true, after_help = help::LISTS)]
    Lists(ListsArgs),

    /// One mail server, like a doctor's letter: what mailbox providers look at, and the next three things to do
    #[command(after_help = help::CHECK)]
    Check(Box<CheckArgs>),

    /// The names of addresses, and whether they lead back (PTR, iprev)
    #[command(after_help = help::RDNS)]
    Rdns(AddressArgs),

    /// Where mail for domains goes (MX)
    #[command(after_help = help::MX)]
    Mx(DomainArgs),

    /// Whether a sender policy lets an address send (SPF, RFC 7208)
    #[command(after_help = help::SPF)]
    Spf(SpfArgs),

    /// The signing keys of domains (DKIM, RFC 6376)
    #[command(after_help = help::DKIM)]
    Dkim(DkimArgs),

    /// What domains ask receivers to do (DMARC)
    #[command(after_help = help::DMARC)]
    Dmarc(DomainArgs),

    /// Which network announces addresses (origin AS), and who takes complaints
    #[command(after_help = help::ASN)]
    Asn(AddressArgs),

    /// Can this machine reach port 25 outside? Asked of hosts you name, or of some that take mail for very many
    #[command(after_help = help::SMTP_OUT)]
    SmtpOut(SmtpOutArgs),

    /// The runs that are kept: show them, remove old ones, take those of another database in
    #[command(args_conflicts_with_subcommands = true, after_help = help::RUNS)]
    Runs(RunsArgs),

    /// Report a run that is kept again, in any format, with the scan's exit status
    #[command(after_help = help::REPORT)]
    Report(ReportArgs),

    /// What changed between two runs over the same targets; status 1 if something is newly listed
    #[command(after_help = help::DIFF)]
    Diff(DiffArgs),

    /// Which lists had a target, since when and until when
    History(HistoryArgs),

    /// Serve the embedded world of good, dead, lying and hostile lists on loopback, until stopped
    #[command(after_help = help::LAB)]
    Lab(LabArgs),

    /// Questions a second, against the embedded responder or a server that you name
    #[command(after_help = help::BENCH)]
    Bench(BenchArgs),

    /// The configuration: what is set, and where that comes from
    #[command(after_help = help::CONFIG)]
    Config(ConfigArgs),

    /// Print a shell's completions
    #[command(after_help = help::COMPLETIONS)]
    Completions(CompletionsArgs),

    /// Print the manual page
    #[command(after_help = help::MAN)]
    Man,
}

impl Command {
    /// The catalogue of a command that asks lists.
    pub(crate) fn catalogue(&self) -> Option<&CatalogueOptions> {
        match self {
            Command::Scan(args) => Some(&args.lists.catalogue),
            Command::Audit(args) => Some(&args.scan.lists.catalogue),
            Command::Plan(args) => Some(&args.lists.catalogue),
            Command::Check(args) => Some(&args.lists.catalogue),
            Command::Lists(args) => match &args.command {
                Some(ListsCommand::Check(args)) => Some(&args.catalogue),
                _ => None,
            },
            _ => None,
        }
    }
}

/// `scan`.
#[derive(Debug, Args)]
pub(crate) struct ScanArgs {
    #[command(flatten)]
    pub(crate) targets: TargetOptions,
    #[command(flatten)]
    pub(crate) lists: ListOptions,
    #[command(flatten)]
    pub(crate) savings: SavingOptions,
    #[command(flatten)]
    pub(crate) path: PathOptions,
    #[command(flatten)]
    pub(crate) lab: LabOptions,
    #[command(flatten)]
    pub(crate) stages: StageOptions,
    #[command(flatten)]
    pub(crate) ask: AskOptions,
    #[command(flatten)]
    pub(crate) pace: PaceOptions,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
    #[command(flatten)]
    pub(crate) notify: NotifyOptions,
    #[command(flatten)]
    pub(crate) exit: ExitOptions,
    #[command(flatten)]
    pub(crate) keep: KeepOptions,
}

/// `audit`: a scan with other defaults, and what is asked beside it.
#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    #[command(flatten)]
    pub(crate) scan: ScanArgs,

    /// Ask about the adjoining /24s too, counted apart
    #[arg(long, help_heading = "Targets")]
    pub(crate) neighbours: bool,
}

/// `runs`; without a command it is `ls`.
#[derive(Debug, Args)]
pub(crate) struct RunsArgs {
    #[command(subcommand)]
    pub(crate) command: Option<RunsCommand>,
    #[command(flatten)]
    pub(crate) ls: RunsLsArgs,
}

/// The commands of `runs`.
#[derive(Debug, Subcommand)]
pub(crate) enum RunsCommand {
    /// Every run in a line (what `runs` alone does)
    Ls(RunsLsArgs),
    /// Remove old runs
    Prune(RunsPruneArgs),
    /// Take the runs of other databases in; shards of a run become one run
    Import(RunsImportArgs),
}

/// `runs ls`.
#[derive(Debug, Args)]
pub(crate) struct RunsLsArgs {
    #[command(flatten)]
    pub(crate) db: DbOptions,
    #[command(flatten)]
    pub(crate) format: TextFormat,
}

/// `runs prune`.
#[derive(Debug, Args)]
pub(crate) struct RunsPruneArgs {
    /// How many runs to keep, the newest
    #[arg(long, value_name = "N", value_parser = whole::<usize>(0..=u64::from(u32::MAX), "runs", "30"))]
    pub(crate) keep: usize,
    #[command(flatten)]
    pub(crate) db: DbOptions,
}

/// `runs import`.
#[derive(Debug, Args)]
pub(crate) struct RunsImportArgs {
    /// Run databases
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) db: DbOptions,
}

/// `report`.
#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// A run's number [default: the last one]
    #[arg(value_name = "RUN", value_parser = run_number)]
    pub(crate) run: Option<RunId>,
    #[command(flatten)]
    pub(crate) db: DbOptions,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
    #[command(flatten)]
    pub(crate) exit: ExitOptions,
}

/// `diff`.
#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// Two runs, the earlier first; or one, to compare with the one before it [default: the last one]
    #[arg(value_name = "RUN", value_parser = run_number, num_args = 0..=2)]
    pub(crate) runs: Vec<RunId>,
    #[command(flatten)]
    pub(crate) db: DbOptions,
    #[command(flatten)]
    pub(crate) format: TextFormat,
    /// Exit with 1 for new listings of this tier or a harder one
    #[arg(long, value_name = "TIER", default_value = "B", ignore_case = true)]
    pub(crate) fail_on: FailOn,
}

/// `history`.
#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// An address or a domain
    #[arg(value_name = "TARGET")]
    pub(crate) target: String,
    #[command(flatten)]
    pub(crate) db: DbOptions,
    #[command(flatten)]
    pub(crate) format: TextFormat,
}

/// `plan`.
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) targets: TargetOptions,
    #[command(flatten)]
    pub(crate) lists: ListOptions,
    #[command(flatten)]
    pub(crate) savings: SavingOptions,
    #[command(flatten)]
    pub(crate) path: PathOptions,
    #[command(flatten)]
    pub(crate) lab: LabOptions,
    #[command(flatten)]
    pub(crate) stages: StageOptions,
    #[command(flatten)]
    pub(crate) ask: AskOptions,
    #[command(flatten)]
    pub(crate) pace: PaceOptions,
    #[command(flatten)]
    pub(crate) db: DbOptions,
    #[command(flatten)]
    pub(crate) format: TextFormat,
}

/// `lists`; without a command it is `ls`.
#[derive(Debug, Args)]
pub(crate) struct ListsArgs {
    #[command(subcommand)]
    pub(crate) command: Option<ListsCommand>,
    #[command(flatten)]
    pub(crate) ls: ListsLsArgs,
}

/// The commands of `lists`.
#[derive(Debug, Subcommand)]
pub(crate) enum ListsCommand {
    /// Every list in a line (what `lists` alone does)
    Ls(ListsLsArgs),
    /// All that is known of some lists: terms, codes, removal, sources
    Show(ListsShowArgs),
    /// Ask lists for their test entries now, and say which of them work
    #[command(after_help = help::LISTS_CHECK)]
    Check(Box<ListsCheckArgs>),
    /// Check catalogue files, or folders of them; sends nothing
    Lint(FilesArgs),
    /// Turn another program's configuration into a catalogue file on standard output
    Import(FileArgs),
}

/// `lists ls`.
#[derive(Debug, Args)]
pub(crate) struct ListsLsArgs {
    /// Which lists to show, as for scan
    #[arg(
        long,
        value_name = "SEL",
        value_delimiter = ',',
        default_value = "all",
        help_heading = "Lists"
    )]
    pub(crate) lists: Vec<String>,
    #[command(flatten)]
    pub(crate) catalogue: CatalogueOptions,
    #[command(flatten)]
    pub(crate) format: ListFormat,
}

/// `lists show`.
#[derive(Debug, Args)]
pub(crate) struct ListsShowArgs {
    /// Ids of lists, such as spamhaus-zen
    #[arg(value_name = "ID", required = true)]
    pub(crate) ids: Vec<String>,
    #[command(flatten)]
    pub(crate) catalogue: CatalogueOptions,
    #[command(flatten)]
    pub(crate) format: TextFormat,
}

/// `lists check`.
#[derive(Debug, Args)]
pub(crate) struct ListsCheckArgs {
    /// Which lists to check, as for scan
    #[arg(
        value_name = "SEL",
        value_delimiter = ',',
        default_value = "default",
        help_heading = "Lists"
    )]
    pub(crate) lists: Vec<String>,
    #[command(flatten)]
    pub(crate) catalogue: CatalogueOptions,
    #[command(flatten)]
    pub(crate) keys: KeyOptions,
    #[command(flatten)]
    pub(crate) path: PathOptions,
    #[command(flatten)]
    pub(crate) lab: LabOptions,
    #[command(flatten)]
    pub(crate) ask: AskOptions,
    /// Queries a second in all; 0: no limit. Operators' own limits hold all the same
    #[arg(long, value_name = "QPS", default_value_t = 2000, help_heading = "Pace", value_parser = rate())]
    pub(crate) rate: u32,
    #[command(flatten)]
    pub(crate) db: DbOptions,
    #[command(flatten)]
    pub(crate) format: ListFormat,
}

/// Files to read.
#[derive(Debug, Args)]
pub(crate) struct FilesArgs {
    /// The files, or folders of *.toml files
    #[arg(value_name = "FILE|DIR", required = true)]
    pub(crate) files: Vec<PathBuf>,
}

/// A file to read.
#[derive(Debug, Args)]
pub(crate) struct FileArgs {
    /// The file
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

/// `check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// A mail server's name or address, or a domain that has mail
    #[arg(value_name = "HOST|IP|DOMAIN")]
    pub(crate) subject: String,
    #[command(flatten)]
    pub(crate) lists: ListOptions,
    #[command(flatten)]
    pub(crate) path: PathOptions,
    #[command(flatten)]
    pub(crate) known: KnownOptions,
    #[command(flatten)]
    pub(crate) lab: LabOptions,
    /// A DKIM selector that the domain signs with, beside common ones; repeatable
    #[arg(long, value_name = "NAME", help_heading = "Stages")]
    pub(crate) dkim_selector: Vec<String>,
    /// Connect to port 25 of the addresses and exchangers to hear how they greet; never done unless asked for
    #[arg(long, help_heading = "Stages")]
    pub(crate) smtp: bool,
    #[command(flatten)]
    pub(crate) ask: AskOptions,
    #[command(flatten)]
    pub(crate) pace: PaceOptions,
    #[command(flatten)]
    pub(crate) db: DbOptions,
    #[command(flatten)]
    pub(crate) format: TextFormat,
    #[command(flatten)]
    pub(crate) exit: ExitOptions,
}

/// A stage that takes addresses.
#[derive(Debug, Args)]
pub(crate) struct AddressArgs {
    /// Addresses, IPv4 or IPv6
    #[arg(value_name = "ADDRESS", required = true, value_parser = address)]
    pub(crate) addresses: Vec<IpAddr>,
    #[command(flatten)]
    pub(crate) stage: StageArgs,
}

/// A stage that takes domains.
#[derive(Debug, Args)]
pub(crate) struct DomainArgs {
    /// Domains
    #[arg(value_name = "DOMAIN", required = true)]
    pub(crate) domains: Vec<DomainName>,
    #[command(flatten)]
    pub(crate) stage: StageArgs,
}

/// `spf`.
#[derive(Debug, Args)]
#[group(id = "identity", required = true, multiple = true, args = ["helo", "mail_from"])]
pub(crate) struct SpfArgs {
    /// The address that sends
    #[arg(long, value_name = "IP", value_parser = address)]
    pub(crate) ip: IpAddr,
    /// The name it gives in HELO or EHLO
    #[arg(long, value_name = "NAME")]
    pub(crate) helo: Option<String>,
    /// The envelope sender; empty for bounces, which are checked by the HELO name
    #[arg(long, value_name = "ADDR")]
    pub(crate) mail_from: Option<String>,
    #[command(flatten)]
    pub(crate) stage: StageArgs,
}

/// `dkim`.
#[derive(Debug, Args)]
pub(crate) struct DkimArgs {
    /// Domains
    #[arg(value_name = "DOMAIN", required = true)]
    pub(crate) domains: Vec<DomainName>,
    /// A selector to look for; repeatable. Without one, those that large senders use
    #[arg(long, value_name = "NAME")]
    pub(crate) dkim_selector: Vec<String>,
    #[command(flatten)]
    pub(crate) stage: StageArgs,
}

/// What all stage commands take.
#[derive(Debug, Args)]
pub(crate) struct StageArgs {
    #[command(flatten)]
    pub(crate) path: PathOptions,
    /// Ask the embedded world inside this process: nothing leaves the machine
    #[arg(long, conflicts_with_all = ["resolver", "route"], help_heading = "Servers")]
    pub(crate) lab: bool,
    #[command(flatten)]
    pub(crate) ask: AskOptions,
    #[command(flatten)]
    pub(crate) format: TextFormat,
}

/// `smtp-out`.
#[derive(Debug, Args)]
pub(crate) struct SmtpOutArgs {
    /// Mail servers to try, port 25 unless given [default: some that take mail for very many]
    #[arg(value_name = "HOST[:PORT]")]
    pub(crate) hosts: Vec<MailHost>,
    /// How long to wait for a server, in seconds; fractions too
    #[arg(long, value_name = "SECS", default_value = "10", value_parser = seconds)]
    pub(crate) wait: Duration,
    #[command(flatten)]
    pub(crate) stage: StageArgs,
}

/// `lab`.
#[derive(Debug, Args)]
pub(crate) struct LabArgs {
    /// Where to listen, UDP and TCP; loopback only. Port 0 takes a free one and prints it
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:0", value_parser = loopback)]
    pub(crate) listen: SocketAddr,
    /// Answer for these built-in lists too; with --catalogue alone, for all lists of those files
    #[arg(long, value_name = "SEL", value_delimiter = ',')]
    pub(crate) lab_catalogue: Vec<String>,
    #[command(flatten)]
    pub(crate) catalogue: CatalogueOptions,
    #[command(flatten)]
    pub(crate) keys: KeyOptions,
}

/// `bench`.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// A server to ask instead of the embedded responder; outside this machine it is asked little and slowly by default
    #[arg(value_name = "ADDR[:PORT]")]
    pub(crate) server: Option<Server>,
    /// The zone of the names that are asked
    #[arg(long, value_name = "NAME", default_value = "bl.bench.test", value_parser = zone_name)]
    pub(crate) zone: Name,
    /// How many names [default: 131072 on this machine, else 500]
    #[arg(long, value_name = "N", value_parser = whole::<u32>(1..=u64::from(QUERIES_MAX), "names", "1000"))]
    pub(crate) queries: Option<u32>,
    /// Queries a second; 0: no limit [default: no limit on this machine, else 50]
    #[arg(long, value_name = "QPS", help_heading = "Pace", value_parser = rate())]
    pub(crate) rate: Option<u32>,
    /// Most queries in flight [default: 1000 on this machine, else it adapts]
    #[arg(long, value_name = "N", help_heading = "Pace", value_parser = window())]
    pub(crate) window: Option<u16>,
    /// Threads that ask, of a server on this machine or its network and without a rate
    #[arg(long, value_name = "N", help_heading = "Pace", default_value = "1", value_parser = workers())]
    pub(crate) workers: NonZero<u8>,
    /// Send every query in a packet of its own, to servers on this machine or network too (no UDP GSO)
    #[arg(long, help_heading = "Pace")]
    pub(crate) no_gso: bool,
    #[command(flatten)]
    pub(crate) ask: AskOptions,
    #[command(flatten)]
    pub(crate) format: TextFormat,
}

/// `config`.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) command: ConfigCommand,
}

/// The commands of `config`.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Every option, its value, and where that comes from; keys are masked
    Show(ConfigShowArgs),
}

/// `config show`.
#[derive(Debug, Args)]
pub(crate) struct ConfigShowArgs {
    #[command(flatten)]
    pub(crate) format: TextFormat,
}

/// `completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: Shell,
}

/// The stages of an audit: what a buyer asks about addresses.
const AUDIT_STAGES: &str = "rdns,asn,abuse";

/// The one table of commands, with an audit's own defaults and the environment.
pub(crate) fn command() -> clap::Command {
    let command = Cli::command().mut_subcommand("audit", |audit| {
        audit.mut_arg("stages", |stages| stages.default_value(AUDIT_STAGES))
    });
    with_environment(hearing_negative(command))
}

/// The table of commands, in which `--rate -1` is a wrong rate and no option of its own.
fn hearing_negative(command: clap::Command) -> clap::Command {
    let hearing = |arg: clap::Arg| match arg.get_long().is_some() && arg.get_action().takes_values() {
        true => arg.allow_negative_numbers(true),
        false => arg,
    };
    command.mut_args(hearing).mut_subcommands(hearing_negative)
}

#[cfg(test)]
#[path = "args_tests.rs"]
mod tests;
