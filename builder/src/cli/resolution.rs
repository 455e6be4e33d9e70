//! What `closure` and `tree` share: where to look, and what to look for.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use common::report::{Diagnostic, ExitCode, warn};
use common::tree::ImagePath;

use super::search::SearchArgs;
use crate::elf::Name;
use crate::report::problems;
use crate::report::tree::Explained;
use crate::resolve::{
    self, Closure, Link, LinkAt, Options, Request, ResolveError, Sysroot,
    closure as resolve_closure,
};
use crate::spec::DEFAULT_PATH;
use crate::spec::search::{Cpus, DlopenPolicy};

/// Options that change where names are found.
#[derive(Debug, Args)]
pub struct ResolutionArgs {
    /// Resolve inside this folder, as if it were `/`
    #[arg(long, value_name = "DIR")]
    pub sysroot: Option<PathBuf>,
    /// Which libraries.
    #[command(flatten)]
    pub search: SearchArgs,
}

/// What a command line asks the resolver.
struct Asked {
    requests: Vec<Request>,
    options: Options,
    /// Links on the way to what was named.
    links: BTreeMap<ImagePath, Link>,
}

/// A closure, and where it is from.
#[derive(Debug)]
pub struct Resolved {
    /// What is loaded.
    pub closure: Closure,
    /// The files that were named, with all folders above them resolved.
    pub programs: Vec<ImagePath>,
    /// The root.
    pub sysroot: Sysroot,
}

/// Why nothing was resolved.
#[derive(Debug, thiserror::Error)]
pub enum ResolutionError {
    /// The root cannot be opened.
    #[error("cannot open the root `{}`", root.display())]
    Sysroot {
        /// The folder.
        root: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A relative path was given and there is no working directory to start from.
    #[error("cannot tell the working directory")]
    WorkingDirectory(#[source] io::Error),
    /// A file cannot be resolved at all.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The executable needs nothing of that name.
    #[error("`{program}` needs no `{what}`")]
    NotNeeded {
        /// What was asked about.
        what: Name,
        /// The executable, escaped.
        program: String,
        /// Names like it that are needed, escaped.
        similar: Vec<String>,
    },
    /// The result cannot be printed.
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
    /// The result cannot be told as JSON.
    #[error("cannot write the tree as JSON")]
    Json(#[source] serde_json::Error),
}

impl Diagnostic for ResolutionError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Sysroot { .. } => Some("--sysroot names a folder that holds a root".to_owned()),
            Self::Resolve(error) => error.hint(),
            Self::NotNeeded { similar, .. } if !similar.is_empty() => {
                Some(format!("it needs {}", similar.join(", ")))
            }
            Self::NotNeeded { .. } => {
                Some("`coracle tree EXE` shows everything that it needs".to_owned())
            }
            Self::WorkingDirectory(_) | Self::Output(_) | Self::Json(_) => None,
        }
    }
}

impl ResolutionArgs {
    /// The closure of the files: paths, or names that stand on PATH.
    pub fn resolve(&self, files: &[OsString]) -> Result<Closure, ResolutionError> {
        self.resolve_in(&self.open()?, files)
    }

    /// As [`Self::resolve`], in the root that [`Self::open`] gave.
    pub fn resolve_in(
        &self,
        sysroot: &Sysroot,
        files: &[OsString],
    ) -> Result<Closure, ResolutionError> {
        let asked = self.asked(sysroot, files)?;
        let mut closure = resolve_closure(&asked.requests, sysroot, &asked.options)?;
        closure.links.extend(asked.links);
        Ok(closure)
    }

    /// The closure of the files, with what it was asked for and found in.
    pub fn resolve_in_root(&self, files: &[OsString]) -> Result<Resolved, ResolutionError> {
        let sysroot = self.open()?;
        let asked = self.asked(&sysroot, files)?;
        let mut closure = resolve_closure(&asked.requests, &sysroot, &asked.options)?;
        closure.links.extend(asked.links);
        let programs = asked.requests.into_iter().filter_map(|request| match request {
            Request::Program(path) => Some(path),
            _ => None,
        });
        Ok(Resolved { closure, programs: programs.collect(), sysroot })
    }

    /// The closure of the files, and why it is as it is.
    pub fn explain(&self, files: &[OsString]) -> Result<Explained, ResolutionError> {
        let sysroot = self.open()?;
        let asked = self.asked(&sysroot, files)?;
        let (mut closure, explanation) =
            resolve::explain(&asked.requests, &sysroot, &asked.options)?;
        closure.links.extend(asked.links);
        Ok(Explained { closure, explanation })
    }

    /// The root in which everything is looked up.
    pub fn open(&self) -> Result<Sysroot, ResolutionError> {
        let root = self.sysroot.clone().unwrap_or_else(|| PathBuf::from("/"));
        Sysroot::open(&root).map_err(|source| ResolutionError::Sysroot { root, source })
    }

    /// What changes the search.
    pub fn options(&self) -> Options {
        self.search.options(Cpus::default(), &DlopenPolicy::default())
    }

    fn asked(&self, sysroot: &Sysroot, files: &[OsString]) -> Result<Asked, ResolutionError> {
        let path = match &self.sysroot {
            Some(_) => None,
            None => std::env::var_os("PATH"),
        };
        let path = path.as_ref().map_or(DEFAULT_PATH.as_bytes(), |path| path.as_bytes());
        let mut requests = Vec::new();
        // `/bin/sh` is there under that name only if `/bin` is.
        let mut links = BTreeMap::new();
        for file in files {
            let file = self.absolute(file)?;
            requests.push(Request::Program(sysroot.locate(&file, path)?));
            if file.contains(&b'/')
                && let Ok(walk) = sysroot.walk(&file)
            {
                let pair = |link: &Arc<LinkAt>| (link.path.clone(), link.target.clone());
                links.extend(walk.links.iter().map(pair));
            }
        }
        let links = links.into_iter().map(|(path, target)| (path, Link { target })).collect();
        Ok(Asked { requests, options: self.options(), links })
    }

    /// A path relative to the working directory becomes absolute; inside another root it starts at
    /// that root.
    pub(super) fn absolute(&self, file: &OsString) -> Result<Vec<u8>, ResolutionError> {
        let file = file.as_bytes();
        if self.sysroot.is_some() || file.starts_with(b"/") || !file.contains(&b'/') {
            return Ok(file.to_vec());
        }
        let here = std::env::current_dir().map_err(ResolutionError::WorkingDirectory)?;
        Ok([here.as_os_str().as_bytes(), b"/", file].concat())
    }
}

/// Writes a result to standard output, tells what the closure lacks on standard error, and says
/// how to end. A reader that has gone away is no failure.
pub fn finish(output: &[u8], closure: &Closure) -> Result<ExitCode, ResolutionError> {
    let mut out = io::stdout().lock();
    match out.write_all(output).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            return Err(ResolutionError::Output(error));
        }
        _ => {}
    }
    for warning in &closure.warnings {
        warn(&warning.to_string());
    }
    // Where standard error is closed there is nobody to tell; the status still does.
    let _told = io::stderr().write_all(problems::text(closure).as_bytes());
    Ok(if closure.is_complete() { ExitCode::Ok } else { ExitCode::Failed })
}
