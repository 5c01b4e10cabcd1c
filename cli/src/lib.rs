//! The command line: arguments become settings, settings become calls into the libraries, answers become exit codes.
//!
//! stdout is data, stderr is for people.

mod args;
mod commands;
mod diagnostics;
mod output;
mod places;
mod progress;
mod settings;
mod signing;

use std::process::ExitCode;

use clap::{CommandFactory as _, error::ErrorKind};
use portcullis_policy::ExitStatus;

use crate::args::Cli;

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    match Cli::of_process(&std::env::args_os().collect::<Vec<_>>()) {
        Ok(cli) => {
            let outcome = commands::run(cli);
            diagnostics::conclude(outcome).into()
        }
        Err(error) => {
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            // A closed pipe is no reason to fail a second time.
            _ = error.print();
            if asked { ExitStatus::Pass.into() } else { ExitStatus::Usage.into() }
        }
    }
}

/// The command as clap knows it, for completions, manual pages and the documentation.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const PAGE: &str = include_str!("../../docs/cli.md");
    /// Where the flags of `db update` and its kin are told at length.
    const DATABASE_PAGE: &str = include_str!("../../docs/database.md");
    const CI_PAGE: &str = include_str!("../../docs/ci.md");

    /// Flags with their variables, of a command and all below it.
    fn flags(command: &clap::Command, into: &mut BTreeSet<(String, Option<String>)>) {
        for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
            if let Some(long) = argument.get_long() {
                let variable = argument.get_env().map(|name| name.to_string_lossy().into_owned());
                into.insert((format!("--{long}"), variable));
            }
        }
        command.get_subcommands().for_each(|command| flags(command, into));
    }

    #[test]
    fn every_flag_and_variable_is_on_the_page() {
        let mut all = BTreeSet::new();
        flags(&command(), &mut all);
        let is_between = |letter: char| !(letter.is_ascii_alphanumeric() || "-_".contains(letter));
        let words: BTreeSet<&str> =
            [PAGE, DATABASE_PAGE, CI_PAGE].into_iter().flat_map(|page| page.split(is_between)).collect();
        let missing: Vec<_> = all
            .iter()
            .flat_map(|(flag, variable)| std::iter::once(flag).chain(variable))
            .filter(|name| !words.contains(name.as_str()))
            .collect();
        assert!(missing.is_empty(), "none of docs/cli.md, docs/database.md and docs/ci.md speaks of {missing:?}");
    }

    #[test]
    fn the_page_names_no_flag_that_is_not_there() {
        let mut all = BTreeSet::new();
        flags(&command(), &mut all);
        let known: BTreeSet<&str> = all.iter().map(|(flag, _)| flag.as_str()).collect();
        // The webhook's own flags stand in a section of their own.
        let page = PAGE.split("## The webhook").next().unwrap_or_default();
        let named = page
            .split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '-'))
            .filter(|word| word.starts_with("--") && !word.trim_start_matches('-').is_empty());
        let unknown: BTreeSet<_> =
            named.filter(|word| !known.contains(word) && !["--help", "--version"].contains(word)).collect();
        assert!(unknown.is_empty(), "docs/cli.md speaks of {unknown:?}");
    }

    /// The words of a command as a shell would see them, up to what is the shell's own.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), None);
        for letter in line.chars() {
            match (letter, quoted) {
                ('\'' | '"', None) => quoted = Some(letter),
                (quote, Some(open)) if quote == open => quoted = None,
                ('|' | '>' | '<' | '&' | ';' | '#', None) if word.is_empty() => break,
                (letter, None) if letter.is_whitespace() => words.extend(Some(std::mem::take(&mut word))),
                (letter, _) => word.push(letter),
            }
        }
        words.push(word);
        words.retain(|word| !word.is_empty());
        words
    }

    /// Commands of this program in the blocks of every page, wherever it stands.
    #[test]
    fn commands_of_the_documentation_are_taken() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let folders = ["", "docs", "action", "gitlab-ci"].map(|folder| std::fs::read_dir(root.join(folder)).unwrap());
        let files = folders.into_iter().flatten().map(|entry| entry.unwrap().path());
        let mut seen = 0;
        for path in files.filter(|path| path.extension().is_some_and(|extension| extension == "md")) {
            let page = std::fs::read_to_string(&path).unwrap().replace("\\\n", " ");
            for line in page.lines().filter_map(|line| line.strip_prefix("$ portcullis ")) {
                seen += 1;
                let line = format!("portcullis {line}");
                if let Err(error) = command().try_get_matches_from(words(&line)) {
                    panic!("{}: {line}\n{error}", path.display());
                }
            }
        }
        assert!(seen > 40, "{seen} commands");
    }

    /// What a table of `docs/ci.md` tells of a command must be what `--help` tells, in its order.
    #[test]
    fn tables_of_pipelines_list_every_flag_in_the_order_of_help() {
        let whole = command();
        let sections = [
            ("## `portcullis github REPORT`", &["github"] as &[&str], &[] as &[&str]),
            ("## `portcullis gitlab REPORT`", &["gitlab"], &[]),
            ("`ci watch`, beside `--db`, ", &["ci", "watch"], &["Judgement", "Source", "Cache"]),
            ("`ci wait IMAGE` (", &["ci", "wait"], &["Output"]),
        ];
        for (heading, path, told_elsewhere) in sections {
            let found = path.iter().try_fold(&whole, |command, name| command.find_subcommand(name)).unwrap();
            let is_told = |argument: &&clap::Arg| {
                argument.get_help_heading().is_none_or(|heading| !told_elsewhere.contains(&heading))
            };
            let flags = found.get_arguments().filter(is_told).filter_map(clap::Arg::get_long);
            let flags: Vec<_> = flags.map(|flag| format!("--{flag}")).collect();
            let (_, section) = CI_PAGE.split_once(&format!("\n{heading}")).unwrap();
            let rows =
                section.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
            let cells = rows.filter_map(|row| row.split('|').nth(1));
            let words = cells.flat_map(|cell| cell.split([' ', '`', ',']));
            let told: Vec<_> = words.filter(|word| word.starts_with("--") && word.len() > 3).collect();
            let told: Vec<_> = told.into_iter().filter(|word| !word.ends_with("---")).collect();
            assert_eq!(told, flags, "{heading}");
        }
    }
}
