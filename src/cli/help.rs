//! The prose of `--help` and of the manual page.

/// What several pages show.
macro_rules! examples {
    () => {
        "\
Examples:
  reputon scan 192.0.2.7 mail.example.org
  reputon scan 192.0.2.0/24 -o report.html -o listings.csv
  reputon plan 198.51.100.0/22 --lists all
  reputon scan --lab 192.0.2.0/28             rehearse: nothing leaves the machine
"
    };
}

macro_rules! exit_and_environment {
    () => {
        "\
Exit status:
  0    no listing on a block list of tier --fail-on or harder, and enough was answered
  1    at least one such listing
  2    usage, configuration or I/O error
  3    no such listing, but less than --min-coverage was answered, or a tier A list was not usable
  130  stopped by SIGINT; 143: by SIGTERM; 129: by SIGHUP. What was known by then is reported

Environment:
  REPUTON_KEY_<OPERATOR>  an operator's key, its id in upper case, dashes as underscores
  REPUTON_<OPTION>        any option, likewise: REPUTON_RATE=500. What is typed goes before it, the file behind it
  REPUTON_CONFIG          the configuration file
  NO_COLOR                no colour, even on a terminal"
    };
}

/// What the program is.
pub(crate) const ABOUT: &str = "\
Scan addresses, ranges and domains against DNS blocklists, and say what to mend.

reputon asks many lists about many targets, fast and within the terms of those who run them. It checks lists before it \
believes them: a list that is dead, refuses you, or lists the world gives unknown, never listed and never clean.";

/// Behind the short help of the program.
pub(crate) const SHORT: &str = concat!(
    examples!(),
    "\nSee `reputon scan --help` for all options and `reputon --help` for exit status and environment."
);

/// Behind the long help of the program, and in the manual page.
pub(crate) const LONG: &str = concat!(examples!(), "\n", exit_and_environment!());

/// Behind the help of `scan`.
pub(crate) const SCAN: &str = "\
Examples:
  reputon scan 192.0.2.7                           one address, a table
  reputon scan @hosts.txt -f jsonl                 lines of a file, a JSON object a target
  reputon scan 198.51.100.0/24 --lists 'all,!spamhaus' -o out/
  dig +short mx example.org | awk '{print $2}' | reputon scan -

Exit status: 0 not listed, 1 listed, 2 error, 3 too little was answered. More with --help.";

/// Behind the long help of `scan`.
pub(crate) const SCAN_LONG: &str = concat!(
    "\
Examples:
  reputon scan 192.0.2.7                           one address, a table
  reputon scan @hosts.txt -f jsonl                 lines of a file, a JSON object a target
  reputon scan 198.51.100.0/24 --lists 'all,!spamhaus' -o out/
  reputon scan 192.0.2.7 --lists spamhaus --resolver 192.0.2.53
  reputon scan 192.0.2.7 --route bl.example.test=127.0.0.1:5353
  dig +short mx example.org | awk '{print $2}' | reputon scan -

Tiers:
  A  hard: large receivers reject by it
  B  minor: it counts in scores
  C  policy or informational
  W  an allow list

",
    exit_and_environment!()
);

/// Behind the help of `audit`.
pub(crate) const AUDIT: &str = "\
Examples:
  reputon audit 198.51.100.0/22
  reputon audit 198.51.100.0/24 --neighbours -o audit.html -o audit.md
  reputon audit --lab 203.0.113.0/24               rehearse: nothing leaves the machine";

/// Behind the long help of `audit`.
pub(crate) const AUDIT_LONG: &str = concat!(
    "\
Examples:
  reputon audit 198.51.100.0/22
  reputon audit 198.51.100.0/24 --neighbours -o audit.html -o audit.md
  reputon audit --lab 203.0.113.0/24               rehearse: nothing leaves the machine

What is asked: the default lists, which are those that mail receivers use and whose operators let them be asked; names, \
origin and abuse contacts of each address. --lists and --stages choose others.

Recommendation:
  no verdict  under 90 % of what was planned is known, or a tier A list could not be used
  reject      an address is listed as hijacked space (DROP), or over 5 % are on tier A lists
  caution     any is on a tier A list, over 10 % are on tier B lists, or over 5 % have a name of an earlier tenant
  fair        none of these

",
    exit_and_environment!()
);

/// Behind the help of `plan`.
pub(crate) const PLAN: &str = "\
Examples:
  reputon plan 198.51.100.0/22
  reputon plan @hosts.txt --lists all --format json";

/// Behind the help of `lists`.
pub(crate) const LISTS: &str = "\
Examples:
  reputon lists                                    all lists, a line each
  reputon lists ls --lists kind:domain --format json
  reputon lists show spamhaus-zen
  reputon lists check spamhaus,tag:irc             which of them work from here
  reputon lists lint my-lists.toml";

/// Behind the help of `lists check`.
pub(crate) const LISTS_CHECK: &str = "\
Examples:
  reputon lists check                              the default lists
  reputon lists check spamhaus-zen kind:domain --resolver 192.0.2.53
  reputon lists check --lab-catalogue all          rehearse: nothing leaves the machine

A list works if its test entry is listed with a code that it defines, what must not be listed is not, and it does not
refuse you. Beside that, the test entry of each single code is asked for: which of them there are is no fault.

Exit status:
  0    every list that was asked works
  3    one at least does not, or none could be asked
  2    usage, configuration or I/O error";
/// The exit status of commands that ask one thing.
macro_rules! known_or_not {
    () => {
        "\nExit status: 0 all is known, 3 something is not, 2 error."
    };
}

/// Behind the help of `check`.
pub(crate) const CHECK: &str = "\
A name with MX records is taken as a domain: its mail servers' addresses are looked at. One without is a host.

Examples:
  reputon check mail.example.org
  reputon check 192.0.2.7 --smtp
  reputon check example.org --dkim-selector s2026 --format json
  reputon check mail.example-shop.test --lab       rehearse: nothing leaves the machine

Exit status: as scan, by the lists alone: 0 not listed, 1 listed, 2 error, 3 too little was answered.";

/// Behind the help of `rdns`.
pub(crate) const RDNS: &str = concat!(
    "\
Examples:
  reputon rdns 192.0.2.7 2001:db8::7
  reputon rdns 192.0.2.7 --format json --resolver 192.0.2.53
  reputon rdns 203.0.113.25 --lab                  ask the embedded world
",
    known_or_not!()
);

/// Behind the help of `mx`.
pub(crate) const MX: &str = concat!(
    "\
Examples:
  reputon mx example.org
  reputon mx example.org --format json
",
    known_or_not!()
);

/// Behind the help of `spf`.
pub(crate) const SPF: &str = "\
Examples:
  reputon spf --ip 192.0.2.7 --mail-from user@example.org --helo mail.example.org
  reputon spf --ip 2001:db8::7 --helo mail.example.org --format json

Exit status: 0 there is a result, whichever of the seven it is; 3 the resolver is not to be believed; 2 error.";

/// Behind the help of `dkim`.
pub(crate) const DKIM: &str = concat!(
    "\
Examples:
  reputon dkim example.org --dkim-selector s2026
  reputon dkim example.org                         selectors that large senders use: guesses
",
    known_or_not!()
);

/// Behind the help of `dmarc`.
pub(crate) const DMARC: &str = concat!(
    "\
Examples:
  reputon dmarc example.org mail.example.org
  reputon dmarc example.org --format json
",
    known_or_not!()
);

/// Behind the help of `asn`.
pub(crate) const ASN: &str = concat!(
    "\
Examples:
  reputon asn 192.0.2.7
  reputon asn 192.0.2.7 --format json
",
    known_or_not!()
);

/// Behind the help of `smtp-out`.
pub(crate) const SMTP_OUT: &str = "\
Connects to one host after another until one greets, and leaves with QUIT. No mail is sent.
Without a host: gmail-smtp-in.l.google.com, mx1.mail.icloud.com, mx-aol.mail.gm0.yahoodns.net.

Examples:
  reputon smtp-out
  reputon smtp-out mx.example.org
  reputon smtp-out 192.0.2.25:25 --format json

Exit status: 0 port 25 can be reached, 1 it cannot, 2 error, 3 no host could be tried.";

/// Behind the help of `runs`.
pub(crate) const RUNS: &str = "\
States: whole; open (it ended, and questions are left: over budget, or stopped); running; interrupted. The last two are
gone on with by `scan --resume`.

Examples:
  reputon runs
  reputon runs prune --keep 30
  reputon runs import shard1.db shard2.db --db whole.db";

/// Behind the help of `report`.
pub(crate) const REPORT: &str = "\
Examples:
  reputon report                                   the last run again
  reputon report 12 -f none -o report.html -o listings.csv";

/// Behind the help of `diff`.
pub(crate) const DIFF: &str = "\
What cannot be learnt any more became unknown; it never counts as cleared. What the earlier run did not know
is compared with what the last run before it knew, unless two runs are named.

Exit status: 1 if a target is newly listed on a block list of tier --fail-on or harder, 2 for errors, else 0.

Examples:
  reputon diff                                     the last run and the one before it over the same targets
  reputon diff 12 15 --format json";

/// Behind the help of `lab`.
pub(crate) const LAB: &str = "\
Examples:
  reputon lab --listen 127.0.0.1:5353 --lab-catalogue default
  reputon scan 192.0.2.7 --resolver 127.0.0.1:5353";

/// Behind the help of `bench`.
pub(crate) const BENCH: &str = "\
Examples:
  reputon bench
  reputon bench 127.0.0.1 --format json";

/// Behind the help of `config`.
pub(crate) const CONFIG: &str = "\
Examples:
  reputon config show
  reputon config show --config ./reputon.toml --format json

The file is reputon/reputon.toml in $XDG_CONFIG_HOME or ~/.config. It holds options by their names, tables for single \
commands, and keys:
  rate = 500
  resolver = [\"192.0.2.53\"]
  [audit]
  lists = [\"default\", \"!spamhaus\"]
  [keys]
  spamhaus = \"…\"";

/// Behind the help of `completions`.
pub(crate) const COMPLETIONS: &str = "\
Examples:
  reputon completions bash > ~/.local/share/bash-completion/completions/reputon
  reputon completions zsh > ~/.zfunc/_reputon
  reputon completions fish > ~/.config/fish/completions/reputon.fish";

/// Behind the help of `man`.
pub(crate) const MAN: &str = "\
Examples:
  reputon man > ~/.local/share/man/man1/reputon.1
  reputon man | man -l -";
