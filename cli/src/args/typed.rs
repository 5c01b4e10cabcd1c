//! Where arguments exclude each other, what the command line says counts before what a variable says. clap counts both
//! alike: a variable that a whole pipeline has would keep every command in it from saying something else.
//!
//! An argument overrules the variables of those that it is declared to conflict with, and not the other way round: `--policy`
//! those of `--fail-on` and `--ignore-unfixed`, which must not do away with the policy of a whole pipeline. In a group,
//! which is of alternatives, each overrules the others.

use std::{collections::BTreeSet, ffi::OsString};

use clap::{
    Arg, ArgAction, ArgMatches, Command, CommandFactory as _, FromArgMatches as _, Id,
    builder::Resettable,
    error::{ContextKind, ContextValue, ErrorKind},
    parser::ValueSource,
};

use super::Cli;
use crate::diagnostics::say;

impl Cli {
    /// Takes the arguments of a process, its own name first.
    ///
    /// # Errors
    /// What clap has against them, or that its help was asked for.
    pub(crate) fn of_process(arguments: &[OsString]) -> Result<Self, clap::Error> {
        let parsed = |command: Command| {
            let mut matches = command.try_get_matches_from(arguments)?;
            signer_without_use(&matches)?;
            Self::from_arg_matches_mut(&mut matches)
        };
        match parsed(Self::command()) {
            Err(error) if error.kind() == ErrorKind::ArgumentConflict => {
                let mut built = Self::command();
                built.build();
                // As far as they can be taken, whatever excludes what.
                let Ok(matches) = Self::command().ignore_errors(true).try_get_matches_from(arguments) else {
                    return Err(error);
                };
                let variables = variables(&built, &matches);
                let mut notes = Vec::new();
                let command = without_overruled(Self::command(), &built, &matches, &mut notes);
                let cli = parsed(command).map_err(|error| naming(error, &variables))?;
                if !cli.global.quiet {
                    notes.iter().for_each(|note| say(note));
                }
                Ok(cli)
            }
            outcome => outcome,
        }
    }
}

/// Whoever types `scan --key` means to sign. A variable is of a whole pipeline, in which only some jobs do; one that says
/// whether to attest is an answer.
fn signer_without_use(matches: &ArgMatches) -> Result<(), clap::Error> {
    let Some(("scan", scan)) = matches.subcommand() else { return Ok(()) };
    let is_silent = !matches!(scan.value_source("attest"), Some(ValueSource::CommandLine | ValueSource::EnvVariable));
    let typed = ["key", "keyless"].into_iter().find(|id| scan.value_source(id) == Some(ValueSource::CommandLine));
    match typed.filter(|_| is_silent) {
        Some(name) => {
            let why = format!("--{name} signs nothing without --attest");
            Err(Cli::command().error(ErrorKind::MissingRequiredArgument, why))
        }
        None => Ok(()),
    }
}

/// The command without the variables that count for nothing: those of arguments that a typed one overrules, which are
/// noted, and of flags that are not set. Groups are known of the built command alone, and only one that is not built can be
/// changed: clap keeps the places of the arguments of the other.
fn without_overruled(command: Command, built: &Command, matches: &ArgMatches, notes: &mut Vec<String>) -> Command {
    let has = |id: &Id, source| matches.value_source(id.as_str()) == Some(source);
    let is_unset = |id: &Id| matches!(matches.try_get_one::<bool>(id.as_str()), Ok(Some(false)));
    let flags = built.get_arguments().filter(|argument| argument.get_env().is_some());
    let flags = flags.filter(|argument| matches!(argument.get_action(), ArgAction::SetTrue));
    let mut silent: BTreeSet<Id> = flags.map(|argument| argument.get_id().clone()).filter(is_unset).collect();
    for (one, other) in overruling(built) {
        let counts = has(&one, ValueSource::CommandLine) && has(&other, ValueSource::EnvVariable);
        if counts && silent.insert(other.clone()) {
            let argument = |id: &Id| built.get_arguments().find(|argument| argument.get_id() == id);
            let variable = argument(&other).and_then(Arg::get_env).unwrap_or_default().to_string_lossy();
            let typed = argument(&one).and_then(Arg::get_long).unwrap_or_default();
            notes.push(format!("note: {variable} does not count: --{typed} was typed"));
        }
    }
    let reset = |command: Command, id| command.mut_arg(id, |argument| argument.env(Resettable::Reset));
    let command = silent.into_iter().fold(command, reset);
    let below = matches.subcommand().and_then(|(name, matches)| Some((name, built.find_subcommand(name)?, matches)));
    match below {
        Some((name, built, matches)) => {
            command.mut_subcommand(name, |command| without_overruled(command, built, matches, notes))
        }
        None => command,
    }
}

/// Arguments, each with one that it overrules.
fn overruling(built: &Command) -> BTreeSet<(Id, Id)> {
    let mut pairs = BTreeSet::new();
    for argument in built.get_arguments() {
        let others = built.get_arg_conflicts_with(argument).into_iter();
        pairs.extend(others.map(|other| (argument.get_id().clone(), other.get_id().clone())));
    }
    for group in built.get_groups().filter(|group| !(*group).clone().is_multiple()) {
        let all = || group.get_args().cloned();
        pairs.extend(all().flat_map(|one| all().map(move |other| (one.clone(), other))));
    }
    pairs.retain(|(one, other)| one != other);
    pairs
}

/// The variables of arguments that exclude others and that nothing overrules: nobody typed them.
fn variables(built: &Command, matches: &ArgMatches) -> Vec<String> {
    let has = |id: &Id, source| matches.value_source(id.as_str()) == Some(source);
    let is_there = |id: &Id| has(id, ValueSource::EnvVariable) || has(id, ValueSource::CommandLine);
    let pairs = overruling(built);
    let excludes =
        |id: &Id| pairs.iter().any(|(one, other)| one == id && is_there(other) || other == id && is_there(one));
    let is_overruled = |id: &Id| pairs.iter().any(|(one, other)| other == id && has(one, ValueSource::CommandLine));
    let of_variables = built.get_arguments().filter(|argument| {
        let id = argument.get_id();
        has(id, ValueSource::EnvVariable) && excludes(id) && !is_overruled(id)
    });
    let names = of_variables.filter_map(|argument| argument.get_env()).map(|name| name.to_string_lossy().into_owned());
    let mut names: Vec<String> = names.collect();
    let below = matches.subcommand().and_then(|(name, matches)| Some((built.find_subcommand(name)?, matches)));
    names.extend(below.into_iter().flat_map(|(built, matches)| variables(built, matches)));
    names
}

/// The error, with the variables that it may be about.
fn naming(mut error: clap::Error, variables: &[String]) -> clap::Error {
    if error.kind() == ErrorKind::ArgumentConflict && !variables.is_empty() {
        let are = if variables.len() == 1 { "is" } else { "are" };
        let text = format!("{} {are} set in the environment", variables.join(" and "));
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![text.into()]));
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In `without_overruled`, a name that clap does not know would be a panic.
    #[test]
    fn pairs_are_known_in_every_command() {
        fn check(command: &Command, seen: &mut usize) {
            *seen += overruling(command).len();
            command.get_subcommands().for_each(|command| check(command, seen));
        }
        let mut command = Cli::command();
        command.build();
        let mut seen = 0;
        check(&command, &mut seen);
        assert!(seen >= 12, "{seen}");
    }
}
