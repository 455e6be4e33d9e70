//! `coracle closure`: every path that a program needs, for scripts.

use std::ffi::OsString;

use clap::Args;
use common::report::ExitCode;

use super::resolution::{ResolutionArgs, ResolutionError, finish};
use crate::resolve::Closure;

/// Print every path that a program needs, one per line
///
/// Printed are the files (program, interpreter, libraries, scripts) and every symbolic link that leads to
/// them, links of folders (`/lib -> usr/lib`) included: copying exactly these paths, links as links,
/// gives a root in which the program is loaded as it is here. Sorted, so that a link stands before
/// what lies below it.
///
/// What is missing or refused goes to standard error, with who needs it and every place that was
/// tried; the rest is still printed, and the status is 1.
///
/// Example: coracle closure -0 bash | tar -c --null --no-recursion -T - > root.tar
#[derive(Debug, Args)]
pub struct ClosureArgs {
    /// Programs, scripts or libraries: paths, or names found on PATH (inside the root with --sysroot)
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<OsString>,
    /// End each path with a NUL byte instead of a newline, and escape nothing
    #[arg(short = '0', long)]
    pub null: bool,
    /// Where to look.
    #[command(flatten)]
    pub resolution: ResolutionArgs,
}

/// Runs the verb.
pub fn run(args: &ClosureArgs) -> Result<ExitCode, ResolutionError> {
    let closure = args.resolution.resolve(&args.files)?;
    finish(&list(&closure, args.null), &closure)
}

fn list(closure: &Closure, null: bool) -> Vec<u8> {
    let mut list = Vec::new();
    for path in closure.paths() {
        if null {
            list.extend_from_slice(path.as_bytes());
            list.push(0);
        } else {
            list.extend_from_slice(path.to_string().as_bytes());
            list.push(b'\n');
        }
    }
    list
}
