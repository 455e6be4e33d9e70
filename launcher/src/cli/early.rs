//! What begins before the command line is understood.

use std::ffi::OsString;

use super::verbs;
use crate::spawn::Ahead;

/// What every verb may go on with.
#[derive(Debug)]
pub(super) struct Early {
    /// When this program began ([`crate::timing::now`]).
    pub(super) since: u64,
    /// What was begun of the container that this will be, by its look.
    pub(super) ahead: Option<Ahead>,
}

impl Early {
    /// Notes the time, and begins. Understanding the command line takes half as long as making a network namespace.
    pub(super) fn begin(arguments: &[OsString]) -> Self {
        let since = crate::timing::now();
        let worth = rustix::process::geteuid().is_root() && looks_isolated(arguments);
        Self { since, ahead: worth.then(Ahead::guess).flatten() }
    }
}

/// Whether these words look like a container of an image with a network of its own. Only a guess: who guesses wrongly has
/// made a namespace in vain, or makes it later.
fn looks_isolated(arguments: &[OsString]) -> bool {
    const OTHERWISE: [&str; 6] = ["--net", "--userns", "--bundle", "-b", "--print-plan", "--help"];
    let otherwise = |word: &OsString| {
        OTHERWISE.iter().any(|start| word.as_encoded_bytes().starts_with(start.as_bytes()))
    };
    verbs::is_typed("run", arguments) && !arguments.iter().any(otherwise)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_begun_is_guessed_by_the_words() {
        for (line, expected) in [
            ("paddle run image", true),
            ("paddle --root run run --rm -it image sh", true),
            ("paddle run --net host image", false),
            ("paddle run --network=host image", false),
            ("paddle run --userns image", false),
            ("paddle run -b bundle id", false),
            ("paddle run --print-plan image", false),
            ("paddle ps", false),
            ("paddle exec run", false),
            ("paddle", false),
        ] {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert_eq!(looks_isolated(&words), expected, "{line}");
        }
    }
}
