//! Options as some callers of OCI runtimes spell them: with one dash (`-no-subreaper`), as the flag library of Go allows.
//!
//! Only behind a verb of theirs, and only where clap knows an option of that name, so that `-it` of `run` and `exec` stays
//! what it is for people.

use std::ffi::OsString;

use super::verbs;

/// The verbs whose options are not followed by a program's.
const VERBS: [&str; 14] = [
    "create",
    "start",
    "state",
    "delete",
    "kill",
    "list",
    "pause",
    "resume",
    "update",
    "events",
    "features",
    "spec",
    "checkpoint",
    "restore",
];

/// The arguments with every long option spelt with two dashes.
pub(super) fn usual(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = arguments.collect();
    let is_verb = |word: &OsString| VERBS.iter().any(|verb| word == verb);
    // The verb is the first word that is one: a value of a global option that reads like a verb changes nothing but
    // where single dashes are understood.
    let Some(at) = arguments.iter().skip(1).position(is_verb).map(|at| at + 1) else {
        return arguments;
    };
    if !arguments.iter().any(|word| single_dashed(word).is_some()) {
        return arguments;
    }
    let command = verbs::command(None);
    let verb = command.get_subcommands().find(|verb| arguments[at] == verb.get_name());
    let known: Vec<String> = command
        .get_arguments()
        .chain(verb.into_iter().flat_map(clap::Command::get_arguments))
        .filter_map(|argument| argument.get_long().map(str::to_owned))
        .collect();
    let end = arguments.iter().position(|word| word == "--").unwrap_or(arguments.len());
    for word in arguments.iter_mut().take(end).skip(1) {
        let name = single_dashed(word).filter(|name| known.iter().any(|known| known == name));
        if name.is_some() {
            let mut spelt = OsString::from("-");
            spelt.push(&word);
            *word = spelt;
        }
    }
    arguments
}

/// The name in `-name` and `-name=value`, when it is longer than a letter.
fn single_dashed(word: &OsString) -> Option<&str> {
    let name = word.to_str()?.strip_prefix('-').filter(|name| !name.starts_with('-'))?;
    let name = name.split('=').next().unwrap_or(name);
    (name.len() > 1).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_dash_is_enough_for_the_verbs_of_engines() {
        let check = |typed: &str, expected: &str| {
            let words = typed.split(' ').map(OsString::from);
            let spelt: Vec<String> =
                usual(words).into_iter().map(|word| word.into_string().unwrap()).collect();
            assert_eq!(spelt.join(" "), expected);
        };
        check(
            "paddle create -bundle /b -pid-file=/p x",
            "paddle create --bundle /b --pid-file=/p x",
        );
        check("paddle -root /r delete -force x", "paddle --root /r delete --force x");
        check("paddle delete -f x", "paddle delete -f x");
        check("paddle delete -unknown x", "paddle delete -unknown x");
        check("paddle kill -- -force", "paddle kill -- -force");
        check("paddle run -it image -force", "paddle run -it image -force");
    }
}
