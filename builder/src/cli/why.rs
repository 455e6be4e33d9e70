//! `coracle why`.

use std::io::Write;

use common::tree::ImagePath;
use serde_json::json;

use super::{Failure, StoreOption, output};
use crate::Error;
use crate::image::provenance::{self, Chain};
use crate::image::{ImageError, read};

/// Say why a file is in an image: the shortest chain of reasons to what was asked for, then the
/// others.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A name in the store, an OCI archive or an OCI folder
    image: String,
    /// A path of the image
    path: String,
    /// Print every chain, not only the ten shortest
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    store: StoreOption,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// Chains shown unless all are asked for, and then.
const FEW: usize = 10;
const MANY: usize = 10_000;

pub(super) fn run(arguments: &Arguments, out: &mut impl Write) -> Result<(), Failure> {
    // Without a place for a store, files are still there to be read.
    let store = arguments.store.path().ok();
    let image = read::open(&arguments.image, store.as_deref())?;
    let provenance = image.provenance()?;
    let no_path = || Error::Image(ImageError::NoPath(arguments.path.escape_debug().to_string()));
    // What cannot be a path of an image is not in it.
    let path = ImagePath::root().join(&arguments.path).ok().ok_or_else(no_path)?.to_string();
    // `/lib/x` is asked for, and `/usr/lib/x` is what is there.
    let path = provenance.follow(&path, false).ok_or_else(no_path)?;
    let known = provenance.entries.get(path).ok_or_else(no_path)?;
    let limit = if arguments.all { MANY } else { FEW };
    let chains = provenance.chains(path, limit);
    let through = provenance.reached_through(path, 3);
    if arguments.json {
        let value = json!({ "path": path, "entry": known, "chains": chains, "holds": through });
        return output::json(out, &value);
    }
    let target = known.target.as_ref().map(|target| format!(" -> {target}"));
    output::line(out, &format!("{path} ({}){}", known.kind, target.unwrap_or_default()))?;
    if let Some(source) = &known.source {
        output::line(out, &format!("  from {source}"))?;
    }
    for chain in &chains {
        print(out, chain)?;
    }
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
