//! `paddle run` of a bundle: create and start, and, unless detached, wait and delete.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use common::report::ExitCode;

use super::error::UsageError;
use super::options::{self, Arguments, FromBundle};
use crate::cli::{Done, Globals, Places, status};
use crate::lifecycle::{self, Foreground};
use crate::runtime::ContainerId;
use crate::spawn;
use crate::spec::{Bundle, CONFIG};
use crate::store::{ImageSource, StoreError};
use crate::supervise::Ended;

/// Runs it.
pub(super) fn run(arguments: Arguments, globals: &Globals) -> Done {
    status::of_engines(execute(arguments, globals))
}

fn execute(arguments: Arguments, globals: &Globals) -> Done {
    let Arguments {
        bundle: FromBundle { bundle, detach, keep, making, .. }, image_and_args, ..
    } = arguments;
    let mut words = image_and_args.into_iter().map(options::text);
    let id = words.next().transpose()?.unwrap_or_default();
    let folder = named(bundle, making.config.as_deref())?;
    let id = id.parse().map_err(UsageError::Id)?;
    if let Some(more) = words.next().transpose()? {
        return Err(UsageError::AfterId(more).into());
    }
    let config = making.config.clone();
    let (options, handles) = making.into_parts(globals)?;
    // Its process 1 is this program for a moment in which hooks run.
    spawn::out_of_reach()?;
    let states = globals.places.states()?;
    let bundle = Bundle::load(&folder, config.as_deref())?;
    globals.warn_of_passed_over(&bundle.passed_over);
    let request = lifecycle::Request { id, bundle, options, handles };
    let foreground = if detach { Foreground::No } else { Foreground::Yes { keep } };
    let (ended, hooks) = lifecycle::run(&request, &states, foreground)?;
    globals.warn_of(hooks.as_ref());
    Ok(ended.map_or(ExitCode::Ok.into(), Ended::code))
}

/// The bundle's folder: where none is named, this one, and then it has to be one. Whoever typed an image is told so.
fn named(bundle: Option<PathBuf>, config: Option<&Path>) -> Result<PathBuf, UsageError> {
    let here = PathBuf::from(".");
    let file = here.join(config.unwrap_or(Path::new(CONFIG)));
    match bundle {
        Some(folder) => Ok(folder),
        None if file.exists() => Ok(here),
        None => Err(UsageError::NoBundle { file }),
    }
}

/// Whether `run ID` alone, as other runtimes know it, means the bundle in this folder: there is no image of that name, and
/// the bundle is the caller's own. Somebody else's could be lying in wait for a name that is mistyped.
pub(super) fn is_meant_by(arguments: &Arguments, places: &Places) -> bool {
    let [word] = arguments.image_and_args.as_slice() else { return false };
    if word.to_str().is_none_or(|word| word.parse::<ContainerId>().is_err()) {
        return false;
    }
    if ![Path::new(CONFIG), Path::new(".")].into_iter().all(is_own) {
        return false;
    }
    let found = places.store().ok().map(|store| store.get(&ImageSource::from(word.clone())));
    matches!(found, None | Some(Err(StoreError::NotFound { .. })))
}

/// Whether nobody but the caller (and root) can have made it what it is.
fn is_own(path: &Path) -> bool {
    let own = |metadata: Metadata| {
        let users = [0, rustix::process::geteuid().as_raw()];
        users.contains(&metadata.uid()) && metadata.mode() & 0o022 == 0
    };
    std::fs::symlink_metadata(path).is_ok_and(own)
}
