//! `coracle why`: of a file in an image, and of a library of an executable.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStrExt as _;

use common::escape::Escaped;
use common::tree::ImagePath;
use serde_json::{Value, json};

use super::resolution::{ResolutionArgs, ResolutionError};
use super::subject::{Subject, subject};
use super::{Failure, StoreOption, output};
use crate::Error;
use crate::elf::Name;
use crate::image::ImageError;
use crate::image::provenance::{self, Chain, Provenance};
use crate::image::read::Opened;
use crate::plan::chains::Total;
use crate::report::why::{self, Asked};

/// Say why a file is in an image, or why an executable needs it: the shortest chain of reasons to
/// what was asked for, then the others
///
/// An executable is a path (with a slash in it) of an ELF program or script, or a name on PATH that is no
/// image of the store; no image of it is needed. What is loaded already counts: everybody who needs
/// a library is told.
///
/// Example: coracle why curl libz.so.1
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// An image (a name in the store, an OCI archive, an OCI folder) or an executable
    #[arg(value_name = "IMAGE|EXE")]
    subject: OsString,
    /// A path, or a name: that of a file, of a soname, or that something asks for
    #[arg(value_name = "PATH|NAME")]
    what: OsString,
    /// Print all chains, not only the ten shortest (at most 10000; the others are counted)
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    store: StoreOption,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    /// Where an executable is looked for.
    #[command(flatten)]
    resolution: ResolutionArgs,
}

/// Chains shown unless all are asked for, and then.
const FEW: usize = 10;
const MANY: usize = 10_000;

pub(super) fn run(arguments: &Arguments, out: &mut impl Write) -> Result<(), Failure> {
    // Without a place for a store, files are still there to be read.
    let store = arguments.store.path().ok();
    let root = arguments.resolution.sysroot.as_deref();
    match subject(&arguments.subject, store.as_deref(), root)? {
        Subject::Image(image) => of_image(arguments, &image, out),
        Subject::Executable => of_executable(arguments, out),
    }
}

impl Arguments {
    fn limit(&self) -> usize {
        if self.all { MANY } else { FEW }
    }

    fn shown(&self) -> String {
        Escaped(self.what.as_bytes()).to_string()
    }
}

fn of_executable(arguments: &Arguments, out: &mut impl Write) -> Result<(), Failure> {
    let resolved =
        arguments.resolution.resolve_in_root(std::slice::from_ref(&arguments.subject))?;
    let what = Name::from(arguments.resolution.absolute(&arguments.what)?);
    let asked = Asked {
        closure: &resolved.closure,
        sysroot: &resolved.sysroot,
        programs: &resolved.programs,
    };
    let answers = why::why(&asked, &what, arguments.limit());
    if answers.is_empty() {
        let similar = why::similar(&resolved.closure, &what);
        let program = Escaped(arguments.subject.as_bytes()).to_string();
        return Err(ResolutionError::NotNeeded { what, program, similar }.into());
    }
    if arguments.json {
        return output::json(out, &json!({ "what": arguments.shown(), "found": answers }));
    }
    for answer in &answers {
        write!(out, "{}", why::text(answer)).map_err(Failure::Print)?;
    }
    Ok(())
}

fn of_image(arguments: &Arguments, image: &Opened, out: &mut impl Write) -> Result<(), Failure> {
    let provenance = image.provenance()?;
    let paths = paths(&provenance, arguments);
    if paths.is_empty() {
        return Err(Error::Image(ImageError::NoPath(arguments.shown())).into());
    }
    if arguments.json {
        let found: Vec<Value> =
            paths.iter().map(|path| value(&provenance, path, arguments.limit())).collect();
        return output::json(out, &json!({ "what": arguments.shown(), "found": found }));
    }
    paths.iter().try_for_each(|path| text(out, &provenance, path, arguments.limit()))
}

/// The entries that were named. `/lib/x` is asked for, and `/usr/lib/x` is what is there.
fn paths<'p>(provenance: &'p Provenance, arguments: &Arguments) -> Vec<&'p str> {
    let what = arguments.what.as_bytes();
    // What cannot be a path of an image is not in it.
    let path = ImagePath::root().join(what).ok();
    let entry = path.and_then(|path| provenance.follow(&path.to_string(), false));
    match entry {
        Some(entry) => vec![entry],
        None if what.contains(&b'/') => Vec::new(),
        None => provenance.called(&arguments.shown()),
    }
}

fn value(provenance: &Provenance, path: &str, limit: usize) -> Value {
    let (chains, total) = provenance.chains(path, limit);
    let (total, exact) = number(total);
    json!({
        "path": path, "entry": provenance.entries.get(path), "chains": chains, "total": total,
        "exact": exact, "holds": provenance.reached_through(path, 3),
    })
}

fn number(total: Total) -> (u64, bool) {
    match total {
        Total::Exactly(number) => (number, true),
        Total::AtLeast(number) => (number, false),
    }
}

fn text(
    out: &mut impl Write,
    provenance: &Provenance,
    path: &str,
    limit: usize,
) -> Result<(), Failure> {
    if let Some(known) = provenance.entries.get(path) {
        let target = known.target.as_ref().map(|target| format!(" -> {target}"));
        output::line(out, &format!("{path} ({}){}", known.kind, target.unwrap_or_default()))?;
        if let Some(source) = &known.source {
            output::line(out, &format!("  from {source}"))?;
        }
    }
    let (chains, total) = provenance.chains(path, limit);
    for chain in &chains {
        print(out, chain)?;
    }
    let (total, exact) = number(total);
    write!(out, "{}", why::more(chains.len(), total, exact)).map_err(Failure::Print)?;
    let through = provenance.reached_through(path, 3);
    if !through.is_empty() {
        output::line(out, &format!("  holds {}", through.join(", ")))?;
    }
    Ok(())
}

fn print(out: &mut impl Write, chain: &Chain) -> Result<(), Failure> {
    for (depth, step) in chain.iter().enumerate() {
        let words = provenance::words(&step.why);
        let at = if depth == 0 { String::new() } else { format!("{}: ", step.path) };
        output::line(out, &format!("{}{at}{words}", "  ".repeat(depth + 1)))?;
    }
    Ok(())
}
