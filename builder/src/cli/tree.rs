//! `coracle tree`: who needs whom, how each was found, and what it shadows.

use std::ffi::OsString;

use clap::Args;
use common::report::ExitCode;

use super::resolution::{ResolutionArgs, ResolutionError, finish};
use crate::report::tree;

/// Show who needs whom, how each library was found, and what it shadows
///
/// Below each object stands what it needs, and in brackets the rule that found it: RPATH or RUNPATH
/// of an object, the library path, ld.so.cache, a system directory. What is loaded already is named
/// again without its own needs. Below a name stand the places that were passed over because
/// something of that name there does not fit, and the files that would have been found if this one were
/// not; for a missing one every place that was tried.
///
/// Example: coracle tree --dot curl | dot -Tsvg > curl.svg
#[derive(Debug, Args)]
pub struct TreeArgs {
    /// Programs, scripts or libraries: paths, or names found on PATH (inside the root with --sysroot)
    #[arg(required = true, value_name = "WHAT")]
    pub files: Vec<OsString>,
    /// How much is shown.
    #[command(flatten)]
    pub style: StyleArgs,
    /// Print JSON: everything, whatever the options above say
    #[arg(long, conflicts_with = "dot")]
    pub json: bool,
    /// Print a graph for Graphviz
    #[arg(long)]
    pub dot: bool,
    /// Where to look.
    #[command(flatten)]
    pub resolution: ResolutionArgs,
}

/// How much of the text is shown.
#[derive(Debug, Args)]
pub struct StyleArgs {
    /// Show only this many levels below each program
    #[arg(short, long, value_name = "N")]
    pub depth: Option<usize>,
    /// Show also the places that were tried and had nothing of the name
    #[arg(short, long)]
    pub verbose: bool,
    /// Show what an object needs wherever it is needed, not only where it is loaded
    #[arg(short, long)]
    pub all: bool,
}

/// Runs the verb.
pub fn run(args: &TreeArgs) -> Result<ExitCode, ResolutionError> {
    let explained = args.resolution.explain(&args.files)?;
    let output = if args.json {
        tree::json(&explained).map_err(ResolutionError::Json)? + "\n"
    } else if args.dot {
        tree::dot(&explained)
    } else {
        let StyleArgs { depth, verbose, all } = args.style;
        tree::text(&explained, tree::Style { depth, verbose, repeat: all })
    };
    finish(output.as_bytes(), &explained.closure)
}
