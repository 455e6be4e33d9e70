//! `Outcome`: what the steps of a check came to, as process 1 of the sandbox tells it. Bounded: an image
//! decides what it prints, not how much of it is kept.

use std::collections::BTreeSet;
use std::fmt;

use common::tree::ImagePath;
use serde::{Deserialize, Serialize};

use super::OURS;
use crate::spec::profile::Profile;
use crate::trace::Record;

/// All that was tried.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Peers and steps in order, up to the first that failed.
    pub steps: Vec<Tried>,
    /// How many were not tried, as one before them failed.
    #[serde(default)]
    pub untried: usize,
    /// What was seen of it, where the kernel allowed to watch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Seen>,
    /// Why nothing was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unwatched: Option<String>,
}

/// Bytes of paths that are told; a large application has some hundred thousand.
const MOST_SEEN: usize = 16 << 20;

/// What the image's programs did with files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// What each opened, listed and missed, as a profile's text.
    profile: String,
    /// What they made or wrote.
    made: BTreeSet<ImagePath>,
    /// What was not seen.
    pub notes: BTreeSet<String>,
}

impl Seen {
    /// The record, without this program's own part; `None` if it is longer than any that makes sense.
    pub(super) fn of(record: &Record) -> Option<Self> {
        let Record { profile, made, notes, .. } = record;
        let mut profile = profile.clone();
        profile.programs.retain(|path, _| !path.as_bytes().starts_with(OURS.as_bytes()));
        let (profile, made) = (profile.text().unwrap_or_default(), made.clone());
        let made_bytes: usize = made.iter().map(|path| path.as_bytes().len()).sum();
        let is_sensible = profile.len() + made_bytes <= MOST_SEEN;
        is_sensible.then(|| Self { profile, made, notes: notes.clone() })
    }

    /// As a record again; an error if it is none.
    pub(super) fn record(&self) -> Result<Record, String> {
        let profile = Profile::parse(&self.profile)?;
        let (made, notes) = (self.made.clone(), self.notes.clone());
        Ok(Record { profile, made, notes })
    }
}

impl Outcome {
    /// Whether nothing has failed so far.
    pub fn holds(&self) -> bool {
        self.steps.iter().all(|step| step.problem.is_none())
    }
}

/// One peer that was started, or one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// What it was, on one line.
    pub what: String,
    /// How long it took, in milliseconds.
    pub millis: u64,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
    /// Of one that failed, the ends of what was printed meanwhile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logs: Vec<Log>,
}

/// The end of what a program printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// Whose, and which stream.
    pub of: String,
    /// The text.
    pub text: String,
    /// Bytes before it that are not shown.
    pub before: u64,
}

/// A stream that a program prints to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Printed {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// What a server answered.
    Answer,
}

/// Why a step failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "problem", rename_all = "kebab-case")]
pub enum Problem {
    /// The exit status is another one.
    Status {
        /// That of the recipe.
        expected: u8,
        /// The program's own, or 128+n.
        got: u8,
    },
    /// The output is another one.
    Differs {
        /// That of the recipe, shortened.
        expected: String,
        /// What was printed, shortened.
        got: String,
        /// The line on which they part, from 1.
        line: usize,
    },
    /// A piece is not in the output.
    Lacks {
        /// Where it is not.
        stream: Printed,
        /// The piece.
        piece: String,
        /// What an answer has, shortened; what a program printed is in its log.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        got: Option<String>,
    },
    /// More was printed than can be compared.
    TooMuch {
        /// Where.
        stream: Printed,
        /// Bytes that would have been kept.
        limit: u64,
    },
    /// The time was over.
    Time {
        /// What was waited for.
        waiting: Waiting,
    },
    /// A server ended before anybody stopped it.
    Ended {
        /// The server.
        server: String,
        /// Its status.
        status: u8,
    },
    /// A server that was stopped ended as if it had failed.
    Stopped {
        /// Its status.
        status: u8,
    },
    /// The step could not be begun.
    NotBegun {
        /// Why.
        why: String,
    },
}

/// What took too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "for", content = "port", rename_all = "kebab-case")]
pub enum Waiting {
    /// The end of a program.
    End,
    /// Somebody who accepts connections there.
    Port(u16),
    /// An answer from there.
    Answer(u16),
}

impl fmt::Display for Printed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stdout => "standard output",
            Self::Stderr => "standard error",
            Self::Answer => "the answer",
        })
    }
}

/// On several lines, of which the first says it all. Nothing in it is escaped.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status { expected, got } => {
                write!(f, "expected status {expected}, got {}", Status(*got))
            }
            Self::Differs { expected, got, line } => write!(
                f,
                "standard output differs from line {line}\nexpected: {expected:?}\ngot:      {got:?}"
            ),
            Self::Lacks { stream, piece, got } => {
                write!(f, "{stream} lacks {piece:?}")?;
                got.as_ref().map_or(Ok(()), |got| write!(f, "\ngot:      {got:?}"))
            }
            Self::TooMuch { stream, limit } => {
                write!(f, "{stream} has more than {limit} bytes, which cannot be compared")
            }
            Self::Time { waiting: Waiting::End } => {
                f.write_str("it had not ended when the time of the check was over")
            }
            Self::Time { waiting: Waiting::Port(port) } => {
                write!(f, "nothing accepted connections on port {port} in the time of the check")
            }
            Self::Time { waiting: Waiting::Answer(port) } => {
                write!(f, "port {port} did not answer in the time of the check")
            }
            Self::Ended { server, status } => {
                write!(f, "`{server}` ended by itself, with {}", Status(*status))
            }
            Self::Stopped { status } => {
                write!(f, "it was asked to end, and ended with {}", Status(*status))
            }
            Self::NotBegun { why } => f.write_str(why),
        }
    }
}

/// A status in words: what is above 128 was most probably a signal.
struct Status(u8);

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status {}", self.0)?;
        let signal = self.0.checked_sub(128).map(i32::from);
        match signal.and_then(|number| nix::sys::signal::Signal::try_from(number).ok()) {
            Some(signal) => write!(f, " ({signal})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_says_what_was_expected_and_what_came() {
        let text = |text: &str| text.to_owned();
        for (problem, words) in [
            (
                Problem::Status { expected: 0, got: 139 },
                "expected status 0, got status 139 (SIGSEGV)",
            ),
            (
                Problem::Differs { expected: text("a\n"), got: text("b\n"), line: 1 },
                "standard output differs from line 1\nexpected: \"a\\n\"\ngot:      \"b\\n\"",
            ),
            (
                Problem::Lacks { stream: Printed::Answer, piece: text("x"), got: Some(text("")) },
                "the answer lacks \"x\"\ngot:      \"\"",
            ),
            (
                Problem::Ended { server: text("db"), status: 1 },
                "`db` ended by itself, with status 1",
            ),
        ] {
            assert_eq!(problem.to_string(), words);
            let json = serde_json::to_string(&problem).unwrap();
            assert_eq!(serde_json::from_str::<Problem>(&json).unwrap(), problem, "{json}");
        }
    }
}
