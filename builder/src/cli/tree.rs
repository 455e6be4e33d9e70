//! `coracle tree`: who needs whom, and how each was found.

use std::ffi::OsString;

use clap::Args;
use common::report::ExitCode;

use super::resolution::{ResolutionArgs, ResolutionError, finish};
use crate::report::tree;

/// Show who needs whom, and how each library was found
///
/// Below each object stands what it needs, and in brackets the rule that found it: RPATH or RUNPATH
/// of an object, the library path, ld.so.cache, a system directory. What is loaded already is named
/// again without its own needs.
#[derive(Debug, Args)]
pub struct TreeArgs {
    /// Programs, scripts or libraries: paths, or names found on PATH (inside the root with --sysroot)
    #[arg(required = true, value_name = "WHAT")]
    pub files: Vec<OsString>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Where to look.
    #[command(flatten)]
    pub resolution: ResolutionArgs,
}

/// Runs the verb.
pub fn run(args: &TreeArgs) -> Result<ExitCode, ResolutionError> {
    let closure = args.resolution.resolve(&args.files)?;
    let output = if args.json {
        tree::json(&closure).map_err(ResolutionError::Json)? + "\n"
    } else {
        tree::text(&closure)
    };
    finish(output.as_bytes(), &closure)
}
