//! `coracle inspect`.

use std::io::Write;

use common::escape::Escaped;
use common::tree::{ImagePath, Inode, Tree, dump};
use serde_json::{Value, json};

use super::{Failure, StoreOption, output, sizes};
use crate::image::read::{self, Opened};

/// Show an image: its configuration, layers, files and sizes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A name in the store, an OCI archive or an OCI folder
    image: String,
    /// List every path: mode, owner, kind, size, name
    #[arg(long)]
    files: bool,
    /// Say what takes the room, and what it is there for
    #[arg(long, conflicts_with = "files")]
    sizes: bool,
    #[command(flatten)]
    store: StoreOption,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, out: &mut impl Write) -> Result<(), Failure> {
    // Without a place for a store, files are still there to be read.
    let store = arguments.store.path().ok();
    let image = read::open(&arguments.image, store.as_deref())?;
    if arguments.sizes {
        return sizes::print(out, &image.provenance()?, arguments.json);
    }
    let trees = image.trees()?;
    if arguments.json {
        return output::json(out, &value(&image, &trees, arguments.files));
    }
    if arguments.files {
        for tree in &trees {
            write!(out, "{}", dump::dump(tree)).map_err(Failure::Print)?;
        }
        return Ok(());
    }
    text(out, &image, &trees)
}

/// Number of files, and their bytes.
fn count(tree: &Tree<()>) -> (usize, u64) {
    let sizes = tree.iter().filter_map(|(_, inode)| match inode {
        Inode::File { size, .. } => Some(*size),
        _ => None,
    });
    sizes.fold((0, 0), |(count, bytes), size| (count + 1, bytes + size))
}

fn value(image: &Opened, trees: &[Tree<()>], files: bool) -> Value {
    let layers: Vec<Value> = image
        .manifest
        .layers()
        .iter()
        .zip(trees)
        .map(|(layer, tree)| {
            let (number, bytes) = count(tree);
            let paths: Option<Vec<Value>> =
                files.then(|| tree.iter().map(|(path, inode)| entry(path, inode)).collect());
            json!({
                "mediaType": layer.media_type(), "digest": layer.digest(), "size": layer.size(),
                "files": number, "entries": tree.len(), "bytes": bytes, "paths": paths,
            })
        })
        .collect();
    json!({
        "name": image.name.as_ref().map(ToString::to_string),
        "digest": image.descriptor.digest(),
        "size": image.size(),
        "config": image.config,
        "layers": layers,
    })
}

/// One path of a layer; keys that mean nothing for its kind are left out.
fn entry(path: &ImagePath, inode: &Inode<()>) -> Value {
    let path = path.to_string();
    match inode {
        Inode::Directory(metadata) => {
            json!({ "path": path, "kind": "folder", "mode": metadata.mode })
        }
        Inode::File { metadata, size, .. } => {
            json!({ "path": path, "kind": "file", "mode": metadata.mode, "size": size })
        }
        Inode::Symlink { target, .. } => {
            json!({ "path": path, "kind": "link", "target": Escaped(target).to_string() })
        }
        Inode::Hardlink { target } => {
            json!({ "path": path, "kind": "hard-link", "target": target.to_string() })
        }
    }
}

fn text(out: &mut impl Write, image: &Opened, trees: &[Tree<()>]) -> Result<(), Failure> {
    let mut field = |key: &str, value: &str| {
        // Values come with the image: nothing in them may steer a terminal.
        output::line(out, &format!("{key:12} {}", Escaped(value.as_bytes())))
    };
    if let Some(name) = &image.name {
        field("name", &name.to_string())?;
    }
    field("digest", image.descriptor.digest().as_ref())?;
    field("size", &output::size(image.size()))?;
    field("platform", &format!("{}/{}", image.config.os(), image.config.architecture()))?;
    if let Some(created) = image.config.created() {
        field("created", created)?;
    }
    if let Some(config) = image.config.config() {
        let list = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
        let words = |words: Vec<String>| words.join(" ");
        for (key, value) in [
            ("entrypoint", words(list(config.entrypoint()))),
            ("cmd", words(list(config.cmd()))),
            ("user", config.user().clone().unwrap_or_default()),
            ("workdir", config.working_dir().clone().unwrap_or_default()),
            ("ports", words(list(config.exposed_ports()))),
            ("volumes", words(list(config.volumes()))),
            ("stop-signal", config.stop_signal().clone().unwrap_or_default()),
        ] {
            if !value.is_empty() {
                field(key, &value)?;
            }
        }
        for variable in list(config.env()) {
            field("env", &variable)?;
        }
        let mut labels: Vec<_> = config.labels().iter().flatten().collect();
        labels.sort();
        for (key, value) in labels {
            field("label", &format!("{key}={value}"))?;
        }
    }
    for (layer, tree) in image.manifest.layers().iter().zip(trees) {
        let (files, bytes) = count(tree);
        let unpacked = output::size(bytes);
        let packed = output::size(layer.size());
        field("layer", &format!("{} {packed}, {files} files of {unpacked}", layer.digest()))?;
    }
    Ok(())
}
