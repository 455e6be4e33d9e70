//! `paddle images`: which images there are.

use std::time::SystemTime;

use clap::Args;
use common::report::ExitCode;
use serde::Serialize;

use super::output::{columns, print, print_json};
use super::{Done, Places};
use crate::runtime::Timestamp;
use crate::store::Listed;

/// List the images of the store.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Print JSON
    #[arg(long, conflicts_with = "quiet")]
    json: bool,
    /// Print names only
    #[arg(short, long)]
    quiet: bool,
}

/// An image as `--json` prints it.
#[derive(Debug, Serialize)]
struct Entry {
    name: String,
    digest: String,
    /// Bytes, packed.
    size: u64,
    /// Bytes of the unpacked files; null where it is not unpacked.
    unpacked: Option<u64>,
    /// Bytes of those that other images' unpacked files are too.
    shared: u64,
    last_used: String,
}

/// Lists them.
pub(super) fn run(arguments: &Arguments, places: &Places) -> Done {
    let images = places.store()?.images()?;
    if arguments.json {
        print_json(&images.iter().map(Entry::from).collect::<Vec<_>>())?;
    } else if arguments.quiet {
        let names: Vec<String> = images.iter().map(|image| image.name.to_string()).collect();
        print(&names.iter().flat_map(|name| [name, "\n"]).collect::<String>())?;
    } else {
        let rows = images.iter().map(|image| row(&Entry::from(image), image.last_used));
        let heading =
            ["IMAGE", "DIGEST", "SIZE", "UNPACKED", "SHARED", "LAST USED"].map(str::to_owned);
        print(&columns(&std::iter::once(heading).chain(rows).collect::<Vec<_>>()))?;
    }
    Ok(ExitCode::Ok.into())
}

fn row(entry: &Entry, used: SystemTime) -> [String; 6] {
    let digits = entry.digest.split_once(':').map_or("", |(_, digits)| digits);
    let unpacked = entry.unpacked.map_or_else(|| "no".to_owned(), human);
    let shared = match (entry.unpacked, entry.shared) {
        (None, _) | (_, 0) => "no".to_owned(),
        (_, bytes) => human(bytes),
    };
    let used = format!("{} ago", timestamp(used).age(Timestamp::now()));
    [
        entry.name.clone(),
        digits.chars().take(12).collect(),
        human(entry.size),
        unpacked,
        shared,
        used,
    ]
}

impl From<&Listed> for Entry {
    fn from(image: &Listed) -> Self {
        Self {
            name: image.name.to_string(),
            digest: image.digest.to_string(),
            size: image.size,
            unpacked: image.unpacked,
            shared: image.shared,
            last_used: timestamp(image.last_used).to_string(),
        }
    }
}

fn timestamp(time: SystemTime) -> Timestamp {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(since.as_secs())
}

/// Bytes in the largest unit that leaves a number above one: `512 B`, `1.2 MB` (powers of 1000, as
/// disks are sold and `docker images` prints).
pub(super) fn human(bytes: u64) -> String {
    let mut unit = 1;
    for name in ["B", "kB", "MB", "GB", "TB"] {
        if bytes / unit < 1000 {
            let tenth = bytes % unit * 10 / unit;
            return match unit {
                1 => format!("{bytes} {name}"),
                _ => format!("{}.{tenth} {name}", bytes / unit),
            };
        }
        unit *= 1000;
    }
    format!("{} PB", bytes / unit)
}

#[cfg(test)]
mod tests {
    use super::human;

    #[test]
    fn sizes_are_short() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (1_250_000, "1.2 MB"),
            (999_999_999, "999.9 MB"),
            (64 << 30, "68.7 GB"),
            (u64::MAX, "18446 PB"),
        ] {
            assert_eq!(human(bytes), text);
        }
    }
}
