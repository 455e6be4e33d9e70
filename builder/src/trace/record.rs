//! `Record`: everything that a run showed, as it was.
//!
//! Decides what the end of a call says about a path. Refuses to know what of it is worth keeping.

use std::collections::BTreeSet;

use common::tree::ImagePath;
use rustix::io::Errno;

use crate::spec::profile::{Profile, Seen};

/// Everything that a run showed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// What each program opened, listed and missed.
    pub profile: Profile,
    /// What the run itself made or wrote; of a folder, all that is below it is meant.
    pub made: BTreeSet<ImagePath>,
    /// What a person should know: what was not seen.
    pub notes: BTreeSet<String>,
}

/// What is asked of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    /// Whether it is there, or what is in it.
    Look,
    /// Its end is only known from how it was opened.
    Open {
        /// It is emptied, made, or opened for writing only.
        writes: bool,
    },
    /// It is executed; what comes of it is an event of its own.
    Execute,
    /// It is made or changed.
    Make,
    /// A server behind this socket is spoken to.
    Speak,
    /// It becomes the root.
    Root,
}

impl Record {
    /// Whether the end of a call can tell nothing that is not known.
    pub(super) fn knows(&self, program: &ImagePath, path: &ImagePath, asked: Question) -> bool {
        match asked {
            Question::Look | Question::Open { writes: false } => {
                self.profile.programs.get(program).is_some_and(|seen| seen.opened.contains(path))
            }
            Question::Open { writes: true } | Question::Make => self.made.contains(path),
            Question::Execute | Question::Speak | Question::Root => false,
        }
    }

    /// What a call said of a path in the end.
    pub(super) fn answer(
        &mut self,
        program: &ImagePath,
        path: ImagePath,
        asked: Question,
        said: Result<u64, Errno>,
    ) {
        match (asked, said) {
            (Question::Make | Question::Open { writes: true }, Ok(_)) => {
                self.made.insert(path);
            }
            // EINVAL is what readlink says of what is no link.
            (Question::Look | Question::Open { .. }, Ok(_) | Err(Errno::INVAL)) => {
                self.seen(program).opened(path);
            }
            // A server of the run itself is no surprise.
            (Question::Speak, Ok(_)) if !self.made.contains(&path) => {
                self.notes.insert(format!(
                    "`{program}` spoke to whoever listens at `{path}`; an image has nobody there"
                ));
            }
            // That it is already there is an answer, too.
            (Question::Open { .. }, Err(Errno::EXIST)) => self.seen(program).opened(path),
            (_, Err(Errno::NOENT | Errno::NOTDIR)) => self.seen(program).missed(path),
            _ => {}
        }
    }

    /// A folder was listed.
    pub(super) fn list(&mut self, program: &ImagePath, folder: ImagePath) {
        self.seen(program).listed.insert(folder);
    }

    /// A program was executed.
    pub(super) fn execute(&mut self, program: ImagePath) {
        self.profile.seen(program);
    }

    fn seen(&mut self, program: &ImagePath) -> &mut Seen {
        self.profile.seen(program.clone())
    }
}

impl Seen {
    fn opened(&mut self, path: ImagePath) {
        self.missing.remove(&path);
        self.opened.insert(path);
    }

    fn missed(&mut self, path: ImagePath) {
        if !self.opened.contains(&path) {
            self.missing.insert(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_call_says_what_is_there() {
        let program = ImagePath::new("/bin/p").unwrap();
        let look = Question::Look;
        let open = |writes| Question::Open { writes };
        for (asked, said, (opened, missing, made)) in [
            (look, Ok(0), (1, 0, 0)),
            (look, Err(Errno::INVAL), (1, 0, 0)),
            (look, Err(Errno::NOENT), (0, 1, 0)),
            (look, Err(Errno::NOTDIR), (0, 1, 0)),
            (look, Err(Errno::ACCESS), (0, 0, 0)),
            (open(false), Ok(3), (1, 0, 0)),
            (open(true), Ok(3), (0, 0, 1)),
            (open(true), Err(Errno::EXIST), (1, 0, 0)),
            (open(true), Err(Errno::NOENT), (0, 1, 0)),
            (Question::Make, Ok(0), (0, 0, 1)),
            (Question::Make, Err(Errno::EXIST), (0, 0, 0)),
            (Question::Execute, Err(Errno::NOENT), (0, 1, 0)),
            (Question::Speak, Err(Errno::NOENT), (0, 1, 0)),
            (Question::Speak, Err(Errno::CONNREFUSED), (0, 0, 0)),
            (Question::Speak, Ok(0), (0, 0, 0)),
        ] {
            let mut record = Record::default();
            let path = ImagePath::new("/x").unwrap();
            record.answer(&program, path.clone(), asked, said);
            let seen = record.profile.seen(program.clone()).clone();
            let counts = (seen.opened.len(), seen.missing.len(), record.made.len());
            assert_eq!(counts, (opened, missing, made), "{asked:?} {said:?}");
            let settled = counts.0 + counts.2 > 0 && !matches!(said, Err(Errno::EXIST));
            assert_eq!(record.knows(&program, &path, asked), settled, "{asked:?} {said:?}");
        }
    }

    #[test]
    fn what_was_found_later_is_not_missing() {
        let (program, path) = (ImagePath::new("/p").unwrap(), ImagePath::new("/x").unwrap());
        let mut record = Record::default();
        record.answer(&program, path.clone(), Question::Look, Err(Errno::NOENT));
        record.answer(&program, path.clone(), Question::Look, Ok(0));
        record.answer(&program, path, Question::Look, Err(Errno::NOENT));
        let seen = &record.profile.programs[&program];
        assert_eq!((seen.opened.len(), seen.missing.len()), (1, 0));
    }
}
