//! `coracle images`.

use std::io::Write;

use common::report;
use serde_json::json;

use super::{Failure, StoreOption, output};
use crate::image::read;

/// List the images of the store.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    store: StoreOption,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, out: &mut impl Write) -> Result<(), Failure> {
    let store = arguments.store.path()?;
    let read::Listing { images, damaged } = read::list(&store)?;
    // One damaged image does not hide the others.
    for (name, error) in damaged {
        report::warn(&format!("{name}: {error}"));
    }
    if arguments.json {
        let values: Vec<_> = images
            .iter()
            .map(|image| {
                json!({
                    "name": image.name.to_string(), "digest": image.digest, "size": image.size,
                    "entries": image.entries, "platform": image.platform,
                })
            })
            .collect();
        return output::json(out, &values);
    }
    let width = images.iter().map(|image| image.name.to_string().len()).max().unwrap_or(0).max(4);
    output::line(
        out,
        &format!("{:width$}  {:12}  {:>9}  {:>7}  PLATFORM", "NAME", "DIGEST", "SIZE", "ENTRIES"),
    )?;
    for image in &images {
        let digest: String = image.digest.trim_start_matches("sha256:").chars().take(12).collect();
        let entries = image.entries.map_or_else(|| "-".to_owned(), |count| count.to_string());
        let size = output::size(image.size);
        output::line(
            out,
            &format!(
                "{:width$}  {digest:12}  {size:>9}  {entries:>7}  {}",
                image.name.to_string(),
                image.platform
            ),
        )?;
    }
    Ok(())
}
