//! Where arguments exclude each other, what the command line says counts before what a variable says. clap counts both
//! alike: a variable that a whole pipeline has would keep every command in it from saying something else.

use std::{collections::BTreeSet, ffi::OsString};

use clap::{
    ArgAction, ArgMatches, Command, CommandFactory as _, FromArgMatches as _, Id,
    builder::Resettable,
    error::{ContextKind, ContextValue, ErrorKind},
    parser::ValueSource,
};

use super::Cli;

impl Cli {
    /// Takes the arguments of a process, its own name first.
    ///
    /// # Errors
    /// What clap has against them, or that its help was asked for.
    pub(crate) fn of_process(arguments: &[OsString]) -> Result<Self, clap::Error> {
        let parsed = |command: Command| {
            let mut matches = command.try_get_matches_from(arguments)?;
            Self::from_arg_matches_mut(&mut matches)
        };
        match parsed(Self::command()) {
            Err(error) if error.kind() == ErrorKind::ArgumentConflict => {
                let mut built = Self::command();
                built.build();
                // As far as they can be taken, whatever excludes what.
                let Ok(matches) = built.clone().ignore_errors(true).try_get_matches_from(arguments) else {
                    return Err(error);
                };
                let variables = variables(&built, &matches);
                let command = without_overruled(Self::command(), &built, &matches);
                parsed(command).map_err(|error| naming(error, &variables))
            }
            outcome => outcome,
        }
    }
}

/// The command without the variables that count for nothing: those of arguments that a typed one excludes, and of flags
/// that are not set. Groups are known of the built command alone, and only one that is not built can be changed: clap keeps
/// the places of the arguments of the other.
fn without_overruled(command: Command, built: &Command, matches: &ArgMatches) -> Command {
    let source = |id: &Id| matches.value_source(id.as_str());
    let is_typed = |id: &Id| source(id) == Some(ValueSource::CommandLine);
    let is_unset = |id: &Id| matches!(matches.try_get_one::<bool>(id.as_str()), Ok(Some(false)));
    let mut overruled = exclusive(built)
        .into_iter()
        .filter_map(|(one, other)| {
            (is_typed(&one) && source(&other) == Some(ValueSource::EnvVariable)).then_some(other)
        })
        .collect::<BTreeSet<_>>();
    let flags = command.get_arguments().filter(|argument| matches!(argument.get_action(), ArgAction::SetTrue));
    overruled.extend(flags.map(|argument| argument.get_id().clone()).filter(is_unset));
    let silent = |command: Command, id| command.mut_arg(id, |argument| argument.env(Resettable::Reset));
    let command = overruled.into_iter().fold(command, silent);
    let below = matches.subcommand().and_then(|(name, matches)| Some((name, built.find_subcommand(name)?, matches)));
    match below {
        Some((name, built, matches)) => {
            command.mut_subcommand(name, |command| without_overruled(command, built, matches))
        }
        None => command,
    }
}

/// Pairs of arguments that exclude each other, each in both orders.
fn exclusive(command: &Command) -> BTreeSet<(Id, Id)> {
    let mut pairs = BTreeSet::new();
    let mut pair = |one: &Id, other: &Id| {
        if one != other {
            pairs.extend([(one.clone(), other.clone()), (other.clone(), one.clone())]);
        }
    };
    for argument in command.get_arguments() {
        for other in command.get_arg_conflicts_with(argument) {
            pair(argument.get_id(), other.get_id());
        }
    }
    for group in command.get_groups().filter(|group| !(*group).clone().is_multiple()) {
        group.get_args().for_each(|one| group.get_args().for_each(|other| pair(one, other)));
    }
    pairs
}

/// The variables of arguments that exclude each other, where nothing that is typed decides between them.
fn variables(built: &Command, matches: &ArgMatches) -> Vec<String> {
    let has = |id: &Id, source| matches.value_source(id.as_str()) == Some(source);
    let pairs = exclusive(built);
    let excludes = |id: &Id, source| pairs.iter().any(|(one, other)| one == id && has(other, source));
    let of_variables = built.get_arguments().filter(|argument| {
        let id = argument.get_id();
        has(id, ValueSource::EnvVariable)
            && excludes(id, ValueSource::EnvVariable)
            && !excludes(id, ValueSource::CommandLine)
    });
    let names = of_variables.filter_map(|argument| argument.get_env()).map(|name| name.to_string_lossy().into_owned());
    let mut names: Vec<String> = names.collect();
    let below = matches.subcommand().and_then(|(name, matches)| Some((built.find_subcommand(name)?, matches)));
    names.extend(below.into_iter().flat_map(|(built, matches)| variables(built, matches)));
    names
}

/// The error, with the variables that it may be about: nobody typed them.
fn naming(mut error: clap::Error, variables: &[String]) -> clap::Error {
    if error.kind() == ErrorKind::ArgumentConflict && !variables.is_empty() {
        let text = format!("{} are set in the environment", variables.join(" and "));
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
            *seen += exclusive(command).len();
            command.get_subcommands().for_each(|command| check(command, seen));
        }
        let mut command = Cli::command();
        command.build();
        let mut seen = 0;
        check(&command, &mut seen);
        assert!(seen >= 16, "{seen}");
    }
}
