//! The verbs, and the command line that they make together.
//!
//! Describing all of them takes longer than describing and parsing one: so only the verb that was typed is described, and
//! all of them where there is something to be said about them (help, a typing error).

use std::ffi::OsString;
use std::sync::LazyLock;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, error::ErrorKind};

use super::early::Early;
use super::status::of_engines;
use super::{Done, Globals};
use super::{
    checkpoint, create, delete, events, exec, features, images, kill, list, pause, prune, ps, rm,
    rmi, run, spec, start, state, update,
};
use crate::spec::OCI_VERSION;

/// One verb.
pub(super) struct Verb {
    name: &'static str,
    alias: Option<&'static str>,
    describe: fn(Command) -> Command,
    /// Does it.
    pub(super) run: fn(ArgMatches, &Globals, Early) -> Result<Done, clap::Error>,
}

macro_rules! verb {
    ($name:literal, $($alias:literal,)? $arguments:ty, $run:expr) => {
        Verb {
            name: $name,
            alias: [$(Some($alias),)? None][0],
            describe: <$arguments as Args>::augment_args,
            run: |mut matches, globals, _| {
                let arguments = <$arguments as FromArgMatches>::from_arg_matches_mut(&mut matches)?;
                let run: fn($arguments, &Globals) -> Done = $run;
                Ok(run(arguments, globals))
            },
        }
    };
}

/// In the order in which help lists them.
const VERBS: &[Verb] = &[
    Verb {
        name: "run",
        alias: None,
        describe: <run::Arguments as Args>::augment_args,
        run: |mut matches, globals, early| {
            let image_option = run::image_option(&matches);
            let arguments = FromArgMatches::from_arg_matches_mut(&mut matches)?;
            Ok(run::run(arguments, image_option, globals, early))
        },
    },
    verb!("ps", ps::Arguments, |it, globals| ps::run(&it, &globals.places)),
    verb!("rm", rm::Arguments, |it, globals| rm::run(&it, globals)),
    verb!("kill", kill::Arguments, |it, globals| kill::run(&it, globals)),
    Verb {
        name: "create",
        alias: None,
        describe: <create::Arguments as Args>::augment_args,
        run: |mut matches, globals, early| {
            let arguments = FromArgMatches::from_arg_matches_mut(&mut matches)?;
            Ok(of_engines(create::run(arguments, globals, &early)))
        },
    },
    verb!("start", start::Arguments, |it, globals| { of_engines(start::run(&it, globals)) }),
    verb!("state", state::Arguments, |it, globals| state::run(&it, globals)),
    verb!("delete", delete::Arguments, |it, globals| { of_engines(delete::run(&it, globals)) }),
    verb!("list", list::Arguments, |it, globals| list::run(&it, globals)),
    verb!("exec", exec::Arguments, |it, globals| exec::run(it, globals)),
    verb!("pause", pause::Pause, |it, globals| pause::pause(&it, &globals.places)),
    verb!("resume", "unpause", pause::Resume, |it, globals| pause::resume(&it, &globals.places)),
    verb!("update", update::Arguments, |it, globals| {
        of_engines(update::run(&it, &globals.places))
    }),
    verb!("events", events::Arguments, |it, globals| events::run(&it, &globals.places)),
    verb!("features", features::Arguments, |_, _| features::run()),
    verb!("checkpoint", checkpoint::Checkpoint, |it, globals| {
        checkpoint::checkpoint(it, globals)
    }),
    verb!("restore", checkpoint::Restore, |it, globals| {
        of_engines(checkpoint::restore(it, globals))
    }),
    verb!("images", images::Arguments, |it, globals| {
        clear_left_behind(globals);
        images::run(&it, &globals.places)
    }),
    verb!("rmi", rmi::Arguments, |it, globals| {
        clear_left_behind(globals);
        rmi::run(&it, &globals.places)
    }),
    verb!("prune", prune::Arguments, |it, globals| prune::run(&it, &globals.places)),
    verb!("spec", spec::Arguments, |it, _| spec::run(&it)),
];

/// Whatever command comes next clears what a killed one left. One that needs no states does so too, and a place for
/// them that cannot be opened is no error of its own.
fn clear_left_behind(globals: &Globals) {
    globals.places.states().ok();
}

/// Engines read the first line as `NAME version X`.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let commit = option_env!("CORACLE_COMMIT").unwrap_or("unknown");
    format!("version {}\ncommit: {commit}\nspec: {OCI_VERSION}", env!("CARGO_PKG_VERSION"))
});

/// The verb, by its look alone: what reads like one may be an option's value.
fn typed(arguments: &[OsString]) -> Option<&'static Verb> {
    arguments.iter().skip(1).find_map(|word| VERBS.iter().find(|one| one.is(word)))
}

/// Whether this verb was typed, by its look.
pub(super) fn is_typed(name: &str, arguments: &[OsString]) -> bool {
    typed(arguments).is_some_and(|verb| verb.name == name)
}

/// What was typed: globals, the verb, and its arguments.
pub(super) fn parse(
    arguments: &[OsString],
) -> Result<(Globals, &'static Verb, ArgMatches), clap::Error> {
    let typed = typed(arguments);
    let only = typed.map(|verb| {
        // Taken apart it would be given back in hundreds of pieces, just before the process ends.
        let command = Box::leak(Box::new(command(Some(verb))));
        command.try_get_matches_from_mut(arguments)
    });
    let mut matches = match only {
        Some(Ok(matches)) => matches,
        // What is said about it is to be about all verbs.
        Some(Err(_)) | None => command(None).try_get_matches_from(arguments)?,
    };
    let globals = Globals::from_arg_matches_mut(&mut matches)?;
    let missing = || command(None).error(ErrorKind::MissingSubcommand, "a verb is missing");
    let (name, matches) = matches.remove_subcommand().ok_or_else(missing)?;
    let verb = VERBS.iter().find(|verb| verb.name == name).ok_or_else(missing)?;
    Ok((globals, verb, matches))
}

impl Verb {
    fn is(&self, word: &OsString) -> bool {
        word == self.name || self.alias.is_some_and(|alias| word == alias)
    }
}

/// The command line, of one verb or of all.
pub(super) fn command(only: Option<&Verb>) -> Command {
    let version = Arg::new("version")
        .short('v')
        .long("version")
        .visible_short_alias('V')
        .action(ArgAction::Version)
        .help("Print version");
    // The description of the globals would be taken for the program's, if it came last.
    let command = Globals::augment_args(Command::new("paddle"))
        .arg(version)
        .about("Launches images: unpacks one once and runs it isolated and limited")
        .version(VERSION.as_str())
        .disable_version_flag(true)
        .max_term_width(100)
        .subcommand_required(true)
        .arg_required_else_help(true);
    let described = VERBS.iter().filter(|verb| only.is_none_or(|only| only.name == verb.name));
    described.fold(command, |command, verb| {
        command.subcommand((verb.describe)(Command::new(verb.name)).visible_aliases(verb.alias))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        command(None).debug_assert();
    }

    #[test]
    fn one_verb_alone_is_parsed_as_among_all() {
        let parse = |line: &str| {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            let parsed = parse(&words).map(|(_, verb, matches)| (verb.name, matches));
            parsed.map_err(|error| error.kind())
        };
        for line in [
            "paddle run --rm image ps",
            "paddle --root run run image",
            "paddle --root ps run image",
            "paddle unpause a",
            "paddle kill a 9",
            "paddle --systemd-cgroup create --bundle run id",
        ] {
            let words: Vec<&str> = line.split(' ').collect();
            let all = command(None).try_get_matches_from(&words).unwrap().remove_subcommand();
            let (name, matches) = parse(line).unwrap();
            assert_eq!(Some((name.to_owned(), matches)), all, "{line}");
        }
        for (line, expected) in [
            ("paddle --help", ErrorKind::DisplayHelp),
            ("paddle run --help", ErrorKind::DisplayHelp),
            ("paddle help run", ErrorKind::DisplayHelp),
            ("paddle nothing", ErrorKind::InvalidSubcommand),
            ("paddle start", ErrorKind::MissingRequiredArgument),
            ("paddle", ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand),
        ] {
            assert_eq!(parse(line).map(|(name, _)| name), Err(expected), "{line}");
        }
    }
}
