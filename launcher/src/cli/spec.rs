//! `paddle spec`: a specification to start from.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::Args;
use common::report::{Diagnostic, ExitCode};

use super::Done;
use crate::spec;

/// Write a config.json to start from, for the root file system in `rootfs` beside it.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The folder of the bundle
    #[arg(short, long, value_name = "FOLDER", default_value = ".")]
    bundle: PathBuf,
    /// For an ordinary user, who is root inside
    #[arg(long)]
    rootless: bool,
}

/// The file cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write `{}`", path.display())]
struct SpecFileError {
    path: PathBuf,
    source: io::Error,
}

impl Diagnostic for SpecFileError {
    fn hint(&self) -> Option<String> {
        (self.source.kind() == io::ErrorKind::AlreadyExists)
            .then(|| "remove it first, or name another folder with --bundle".to_owned())
    }
}

/// Writes it, unless there is one.
pub(super) fn run(arguments: &Arguments) -> Done {
    let path = arguments.bundle.join("config.json");
    let ids = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let written = || -> io::Result<()> {
        let text = spec::example(arguments.rootless.then_some(ids), has_cgroup2())?;
        OpenOptions::new().write(true).create_new(true).open(&path)?.write_all(text.as_bytes())
    };
    written().map_err(|source| SpecFileError { path: path.clone(), source })?;
    Ok(ExitCode::Ok.into())
}

/// Whether version 2 of cgroups is all that the host has.
fn has_cgroup2() -> bool {
    const CGROUP2: i64 = 0x6367_7270;
    rustix::fs::statfs("/sys/fs/cgroup").is_ok_and(|mounted| mounted.f_type == CGROUP2)
}
