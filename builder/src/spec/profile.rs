//! `Profile`: what programs opened when they were run, as a file that people read, edit and commit.
//!
//! ```toml
//! version = 1
//!
//! [[program]]
//! path = "/usr/bin/python3.11"
//! opened = ["/usr/lib/python3.11/ssl.py"]
//! listed = ["/usr/lib/python3.11"]
//! missing = ["/usr/lib/python311.zip"]
//! ```
//! Pure data: it knows neither how a run is watched nor what a build makes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use common::report::Diagnostic;
use common::tree::ImagePath;
use serde::{Deserialize, Serialize, Serializer};

/// Files of which every image has its own, or none (docs/recipes.md, "What every image has"), as every
/// machine has: what a run found there says nothing to another.
pub const OWN: &[&str] = &[
    "/etc/passwd",
    "/etc/group",
    "/etc/hosts",
    "/etc/hostname",
    "/etc/resolv.conf",
    "/etc/localtime",
    "/etc/timezone",
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
];

/// Version of the form.
const VERSION: u32 = 1;

/// What programs did, by the path by which each was executed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    /// Every program that was executed; of a script, the script.
    pub programs: BTreeMap<ImagePath, Seen>,
}

/// What one program did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Files that were opened, executed or asked about, and that exist.
    pub opened: BTreeSet<ImagePath>,
    /// Folders whose entries were listed.
    pub listed: BTreeSet<ImagePath>,
    /// Paths where nothing was.
    pub missing: BTreeSet<ImagePath>,
}

/// Why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// The file cannot be read.
    #[error("cannot read profile `{}`", path.display())]
    Read {
        /// The profile.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// It is no profile.
    #[error("cannot understand profile `{}`: {message}", path.display())]
    Syntax {
        /// The profile.
        path: PathBuf,
        /// Line, column and what is wrong there.
        message: String,
    },
}

impl Diagnostic for ProfileError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Read { .. } => Some("`coracle trace -o FILE -- COMMAND` records one".to_owned()),
            Self::Syntax { .. } => Some("docs/trace.md lists every key of a profile".to_owned()),
        }
    }
}

/// The file, one to one.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    #[serde(default)]
    program: Vec<Entry>,
}

/// One `[[program]]` table.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    #[serde(serialize_with = "as_text")]
    path: ImagePath,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty", serialize_with = "as_texts")]
    opened: BTreeSet<ImagePath>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty", serialize_with = "as_texts")]
    listed: BTreeSet<ImagePath>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty", serialize_with = "as_texts")]
    missing: BTreeSet<ImagePath>,
}

/// As it is, not escaped, so that it is read back as what it was.
fn as_text<S: Serializer>(path: &ImagePath, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&String::from_utf8_lossy(path.as_bytes()))
}

fn as_texts<S: Serializer>(paths: &BTreeSet<ImagePath>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(paths.iter().filter_map(text))
}

/// TOML has no other strings than text.
fn text(path: &ImagePath) -> Option<&str> {
    str::from_utf8(path.as_bytes()).ok()
}

impl Profile {
    /// Reads a profile file.
    pub fn read(path: &Path) -> Result<Self, ProfileError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ProfileError::Read { path: path.to_owned(), source })?;
        Self::parse(&text)
            .map_err(|message| ProfileError::Syntax { path: path.to_owned(), message })
    }

    /// Reads profile files, relative ones from `folder`, and merges them.
    pub fn read_all<'p>(
        folder: &Path,
        paths: impl IntoIterator<Item = &'p PathBuf>,
    ) -> Result<Self, ProfileError> {
        let mut all = Self::default();
        for path in paths {
            all.merge(Self::read(&folder.join(path))?);
        }
        Ok(all)
    }

    /// Parses a profile's text; the error names line and column.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: File =
            toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
        if file.version != VERSION {
            let File { version, .. } = file;
            return Err(format!("it is of version {version}; this program knows {VERSION}"));
        }
        let mut profile = Self::default();
        for Entry { path, opened, listed, missing } in file.program {
            profile.seen(path).merge(Seen { opened, listed, missing });
        }
        Ok(profile)
    }

    /// As a file: programs and paths sorted, one path a line. What is no text (UTF-8) cannot be said in it
    /// and is left out.
    pub fn text(&self) -> Result<String, toml::ser::Error> {
        let programs = self.programs.clone().into_iter().filter(|(path, _)| text(path).is_some());
        let program = programs.map(|(path, seen)| {
            let Seen { opened, listed, missing } = seen;
            Entry { path, opened, listed, missing }
        });
        toml::to_string_pretty(&File { version: VERSION, program: program.collect() })
    }

    /// What is known of a program, which becomes known by this.
    pub fn seen(&mut self, program: ImagePath) -> &mut Seen {
        self.programs.entry(program).or_default()
    }

    /// Adds what another run showed.
    pub fn merge(&mut self, other: Self) {
        for (program, seen) in other.programs {
            self.seen(program).merge(seen);
        }
    }
}

impl Seen {
    /// Adds what another run showed. What one run opened is not missing because another did not
    /// find it.
    pub fn merge(&mut self, other: Self) {
        self.opened.extend(other.opened);
        self.listed.extend(other.listed);
        self.missing.extend(other.missing);
        let Self { opened, missing, .. } = self;
        missing.retain(|path| !opened.contains(path));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "version = 1\n\n[[program]]\npath = \"/bin/a\"\nopened = [\"/etc/a\"]\n\
                        missing = [\"/etc/b\"]\n";

    #[test]
    fn what_is_written_is_read_back() {
        let mut profile = Profile::parse(TEXT).unwrap();
        let seen = profile.seen(ImagePath::new("/bin/a").unwrap());
        seen.opened.insert(ImagePath::new("/a \\x2d\n\"\u{e4}").unwrap());
        assert_eq!(Profile::parse(&profile.text().unwrap()).unwrap(), profile);
        let mut more = profile.clone();
        let seen = more.seen(ImagePath::new("/bin/a").unwrap());
        seen.opened.insert(ImagePath::new(b"/no text \xff").unwrap());
        assert_eq!(Profile::parse(&more.text().unwrap()).unwrap(), profile);
    }

    #[test]
    fn runs_merge_and_what_one_found_is_not_missing() {
        let mut profile = Profile::parse(TEXT).unwrap();
        let mut other = Profile::default();
        other.seen(ImagePath::new("/bin/a").unwrap()).opened.extend(ImagePath::new("/etc/b"));
        profile.merge(other);
        let seen = &profile.programs[&ImagePath::new("/bin/a").unwrap()];
        assert_eq!((seen.opened.len(), seen.missing.len()), (2, 0));
    }

    #[test]
    fn errors_name_line_and_key() {
        for (text, fragment) in [
            ("version = 2", "it is of version 2; this program knows 1"),
            ("version = 1\nprograms = []", "line 2"),
            ("version = 1\n[[program]]\npath = \"a\"", "`a` is not an absolute path"),
        ] {
            let message = Profile::parse(text).unwrap_err();
            assert!(message.contains(fragment), "{text}: {message}");
        }
    }
}
