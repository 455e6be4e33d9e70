//! The words in which findings are told.

use std::collections::HashSet;
use std::fmt;

use common::escape::Escaped;

use super::{Attempt, How, Missing, Reason, Refused, Relation, Warning};
use crate::elf::Name;
use crate::resolve::Clue;

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path => f.write_str("by its path"),
            Self::Rpath { of, .. } => write!(f, "RPATH of {of}"),
            Self::LibraryPath { .. } => f.write_str("library path"),
            Self::Runpath { of, .. } => write!(f, "RUNPATH of {of}"),
            Self::Cache => f.write_str("ld.so.cache"),
            Self::PathFile { .. } => f.write_str("path file"),
            Self::SystemFolder { .. } => f.write_str("system directory"),
        }
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Program => "program",
            Self::Module => "opened at run time",
            Self::Interpreter => "interpreter",
            Self::Preload => "preload",
            Self::Needed => "needed",
            Self::Auxiliary => "auxiliary",
            Self::Filter => "filter",
            Self::Audit => "audit",
        })
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RelativeFolder { list } => write!(
                f,
                "the search path `{list}` has an element that means the working directory; it was \
                 not searched"
            ),
            Self::SystemFoldersGuessed { interpreter } => write!(
                f,
                "the system directories could not be read from `{interpreter}`; usual ones were \
                 searched"
            ),
            Self::BrokenCache => f.write_str(
                "`/etc/ld.so.cache` is broken; the loader ignores it, so it was ignored",
            ),
            Self::PreloadIgnored { name } => write!(
                f,
                "`/etc/ld.so.preload` names `{name}`, which cannot be loaded; the loader ignores it"
            ),
            Self::FeatureAbsent { by, feature, names } => {
                let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
                write!(
                    f,
                    "`{by}` goes without its feature `{}`: {} is not there",
                    Escaped(feature.as_bytes()),
                    names.join(" or ")
                )
            }
            Self::NoSuchFeature { name } => {
                write!(f, "no object has a feature `{}`", Escaped(name.as_bytes()))
            }
        }
    }
}

impl Relation {
    /// One word, as in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Program => "program",
            Self::Module => "module",
            Self::Interpreter => "interpreter",
            Self::Preload => "preload",
            Self::Needed => "needed",
            Self::Auxiliary => "auxiliary",
            Self::Filter => "filter",
            Self::Audit => "audit",
        }
    }

    /// What stands between a missing name and who asks for it.
    fn to_whom(self) -> &'static str {
        match self {
            Self::Program => "which is",
            Self::Module => "opened at run time by",
            Self::Interpreter => "the interpreter of",
            Self::Preload => "to be preloaded into",
            Self::Needed => "needed by",
            Self::Auxiliary => "an auxiliary of",
            Self::Filter => "a filter of",
            Self::Audit => "an auditor of",
        }
    }
}

/// The name and who needs it; then, on a line each, the program if that is another, and every place
/// tried.
impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, needed_by, relation, program, tried, .. } = self;
        let by = needed_by.as_ref().unwrap_or(program);
        write!(f, "`{name}` is missing, {} `{by}`", relation.to_whom())?;
        if by != program {
            write!(f, "\n  in `{program}`, which loads `{by}`")?;
        }
        let mut told = HashSet::new();
        for Attempt { path, how, reason } in tried {
            let line = format!("\n  tried `{path}` ({how}): {reason}");
            if !told.contains(&line) {
                f.write_str(&line)?;
                told.insert(line);
            }
        }
        Ok(())
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, path, needed_by, program, why, .. } = self;
        let by = needed_by.as_ref().unwrap_or(program);
        write!(f, "`{path}` cannot be loaded as `{name}`, needed by `{by}`: {why}")
    }
}

impl Missing {
    /// What the person can do.
    pub fn hint(&self) -> String {
        let name = &self.name;
        if self.relation == Relation::Interpreter {
            return "install the C library that the program was built for, or name its root with \
                    --sysroot"
                .to_owned();
        }
        if let Some(clue) = &self.clue {
            return clue.hint(name);
        }
        if let Some(hint) = self.tried.iter().find_map(|attempt| attempt.hint(name)) {
            return hint;
        }
        if name.has_slash() {
            return format!("install the package that ships {name}");
        }
        format!("install the package that ships {name}, or name its folder with --library-path")
    }
}

impl Clue {
    fn hint(&self, name: &Name) -> String {
        match self {
            Self::Uncached { path, cache } => {
                let cache = if *cache { "is older" } else { "is missing" };
                format!(
                    "`{path}` lies in a folder of /etc/ld.so.conf, which the loader never reads, and \
                     the root's ld.so.cache {cache}: run `ldconfig -r ROOT`, or name its folder with \
                     --library-path"
                )
            }
            Self::OtherArchitecture { path } => other_architecture(path, name),
        }
    }
}

fn other_architecture(path: &Name, name: &Name) -> String {
    format!(
        "`{path}` is for another architecture; install the package that ships {name} for the \
         program's"
    )
}

impl Attempt {
    /// What can be done so that `name` is taken from this place.
    fn hint(&self, name: &Name) -> Option<String> {
        let Self { path, how, reason } = self;
        Some(match reason {
            Reason::Dangling => {
                format!("`{path}` is a link that leads nowhere; install its package again")
            }
            Reason::Denied => format!("`{path}` cannot be read; build as a user who may read it"),
            Reason::Relative => format!(
                "`{path}` means the folder that the program is started in, which an image cannot \
                 promise; link the program with a name, not a path"
            ),
            Reason::OtherClass | Reason::OtherMachine => other_architecture(path, name),
            Reason::Absent if *how == How::Cache => format!(
                "ld.so.cache says `{path}`, which is gone; install its package again, or run \
                 `ldconfig -r ROOT`"
            ),
            _ => return None,
        })
    }
}

impl Refused {
    /// What the person can do.
    pub const HINT: &'static str = "the loader would stop at this file; repair or remove it, or \
                                    put another before it with --library-path";
}
