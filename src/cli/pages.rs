//! Completions and the manual page, from the one table of `args`.

use std::io;

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;

use super::args::command;

/// A shell's completions.
pub(crate) fn completions(shell: Shell) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_complete::generate(shell, &mut command(), "reputon", &mut page);
    Ok(page)
}

/// The manual page: the program, then each command with its options.
pub(crate) fn man() -> io::Result<Vec<u8>> {
    let mut command = command();
    command.build();
    let mut title = Vec::new();
    let main = Man::new(command.clone()).manual("User commands");
    main.render_title(&mut title)?;
    let mut page = String::from_utf8_lossy(&title).into_owned();
    page += &text(|out| main.render_name_section(out))?;
    page += &body(&main)?;
    for subcommand in visible(&command) {
        command_section(&mut page, "reputon", subcommand)?;
    }
    page += &notes(&command);
    Ok(page.into_bytes())
}

fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command
        .get_subcommands()
        .filter(|subcommand| !subcommand.is_hide_set() && subcommand.get_name() != "help")
}

/// A command and the commands below it, each a section with subsections. The depth is that of the table: two.
fn command_section(page: &mut String, above: &str, command: &Command) -> io::Result<()> {
    let name = format!("{above} {}", command.get_name());
    let parts = body(&Man::new(command.clone()))? + &notes(command);
    *page += &format!(".SH \"{}\"\n{}", name.to_uppercase(), parts.replace(".SH ", ".SS "));
    for subcommand in visible(command) {
        command_section(page, &name, subcommand)?;
    }
    Ok(())
}

fn body(man: &Man) -> io::Result<String> {
    text(|out| {
        man.render_synopsis_section(out)?;
        man.render_description_section(out)?;
        man.render_options_section(out)
    })
}

/// What clap_mangen renders, without the preamble that it repeats before each section.
fn text(render: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> io::Result<String> {
    let mut octets = Vec::new();
    render(&mut octets)?;
    let text = String::from_utf8_lossy(&octets);
    let lines = text
        .lines()
        .filter(|line| !line.starts_with(".ie ") && !line.starts_with(".el "));
    Ok(lines.map(|line| format!("{line}\n")).collect())
}

/// What stands behind the help: its lines as they are, not filled as clap_mangen would.
fn notes(command: &Command) -> String {
    let Some(help) = command.get_after_long_help().or(command.get_after_help()) else {
        return String::new();
    };
    let mut notes = String::from(".SH NOTES\n.nf\n");
    for line in help.to_string().lines() {
        let line = line.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
        notes += &format!("\\&{line}\n");
    }
    notes + ".fi\n"
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    /// The long options of a command and those below it, but what is hidden.
    fn options(command: &Command) -> Vec<String> {
        let own = command
            .get_arguments()
            .filter(|arg| !arg.is_hide_set())
            .filter_map(|arg| arg.get_long().map(str::to_owned));
        let below = command.get_subcommands().filter(|below| !below.is_hide_set());
        own.chain(below.flat_map(options)).collect()
    }

    #[test]
    fn the_manual_and_the_completions_name_every_option() {
        let man = String::from_utf8(man().expect("in memory")).expect("text");
        let man = man.replace('\\', "");
        let all = options(&command());
        assert!(all.len() > 25);
        for option in &all {
            assert!(man.contains(&format!("--{option}")), "{option} in the manual");
        }
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let page = String::from_utf8(completions(shell).expect("in memory")).expect("text");
            for option in &all {
                assert!(page.contains(option.as_str()), "{option} in {shell}");
            }
        }
        for shell in Shell::value_variants() {
            assert!(!completions(*shell).expect("in memory").is_empty());
        }
    }

    #[test]
    fn the_manual_is_one_page_with_a_section_for_each_command() {
        let man = String::from_utf8(man().expect("in memory")).expect("text");
        assert!(man.contains(".SH \"REPUTON SCAN\"") && man.contains(".SH \"REPUTON LISTS SHOW\""));
        assert_eq!(man.matches(".TH ").count(), 1);
    }
}
