//! Images made of archives, however wrong those are, and unpacked folders read back as trees.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use common::digest::Digest;
use common::oci::layout::ImageLayout;
use common::oci::{Descriptor, MediaType};
use common::tree::{ImagePath, Inode, Metadata, Tree, dump};
use serde_json::{Value, json};

/// A layer as it is stored: how, which bytes, and what they unpack to.
#[derive(Debug, Clone)]
pub struct Layer {
    media_type: MediaType,
    blob: Vec<u8>,
    diff_id: Digest,
}

impl Layer {
    /// Not compressed.
    pub fn plain(tar: &[u8]) -> Self {
        Self { media_type: MediaType::ImageLayer, blob: tar.to_vec(), diff_id: Digest::of(tar) }
    }

    /// By gzip.
    ///
    /// # Panics
    /// When memory is full.
    pub fn gzip(tar: &[u8]) -> Self {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(tar).expect("memory takes all");
        let blob = encoder.finish().expect("memory takes all");
        Self { media_type: MediaType::ImageLayerGzip, blob, diff_id: Digest::of(tar) }
    }

    /// By zstd.
    ///
    /// # Panics
    /// When memory is full.
    pub fn zstd(tar: &[u8]) -> Self {
        let blob = zstd::encode_all(tar, 1).expect("memory takes all");
        Self { media_type: MediaType::ImageLayerZstd, blob, diff_id: Digest::of(tar) }
    }

    /// With another digest in the configuration than that of its bytes.
    #[must_use]
    pub fn with_diff_id(self, diff_id: Digest) -> Self {
        Self { diff_id, ..self }
    }

    /// With bytes behind the blob's own, which belong to the blob.
    #[must_use]
    pub fn with_tail(mut self, tail: &[u8]) -> Self {
        self.blob.extend_from_slice(tail);
        self
    }

    /// With another media type.
    #[must_use]
    pub fn with_media_type(self, media_type: &str) -> Self {
        Self { media_type: media_type.into(), ..self }
    }
}

/// Stores an image of these layers for this host; the descriptors of its manifest and layers.
///
/// # Panics
/// When the store cannot be written.
pub fn store(layout: &ImageLayout, name: &str, layers: &[Layer]) -> (Descriptor, Vec<Descriptor>) {
    store_for(
        layout,
        name,
        layers,
        match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        },
    )
}

/// As [`store`], for another architecture.
///
/// # Panics
/// When the store cannot be written.
pub fn store_for(
    layout: &ImageLayout,
    name: &str,
    layers: &[Layer],
    architecture: &str,
) -> (Descriptor, Vec<Descriptor>) {
    let diff_ids: Vec<String> = layers.iter().map(|layer| layer.diff_id.to_string()).collect();
    let config = json!({
        "architecture": architecture,
        "os": "linux",
        "config": { "Cmd": ["/app"] },
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    });
    let write = |media_type, value: &Value| {
        layout.write(media_type, value.to_string().as_bytes()).expect("the store is ours")
    };
    let blob = |layer: &Layer| {
        layout.write(layer.media_type.clone(), &layer.blob).expect("the store is ours")
    };
    let stored: Vec<Descriptor> = layers.iter().map(blob).collect();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": write(MediaType::ImageConfig, &config),
        "layers": stored,
    });
    let manifest = write(MediaType::ImageManifest, &manifest);
    layout.tag(&name.parse().expect("a valid name"), manifest.clone()).expect("the store is ours");
    (manifest, stored)
}

/// A folder as text (`common::tree::dump`), contents as digests, and further names of a file as hard
/// links to its first.
///
/// # Panics
/// When it cannot be read.
pub fn dump(root: &Path) -> String {
    let mut tree = Tree::new();
    let mut names = BTreeMap::new();
    walk(root, &ImagePath::root(), &mut tree, &mut names);
    dump::dump_with(&tree, |_, content: &Vec<u8>| Some(Digest::of(content)))
}

fn walk(
    root: &Path,
    path: &ImagePath,
    tree: &mut Tree<Vec<u8>>,
    names: &mut BTreeMap<u64, ImagePath>,
) {
    let host = path.below(root);
    let stat = fs::symlink_metadata(&host).expect("it was listed");
    let metadata = Metadata {
        mode: stat.mode() & 0o7777,
        uid: stat.uid(),
        gid: stat.gid(),
        mtime: stat.mtime(),
        xattrs: xattrs(&host),
    };
    let inode = if stat.is_symlink() {
        let target = fs::read_link(&host).expect("it is a link").as_os_str().as_bytes().to_vec();
        Inode::Symlink { metadata, target }
    } else if stat.is_dir() {
        let mut children: Vec<_> = fs::read_dir(&host)
            .expect("it is a folder")
            .map(|entry| entry.expect("it is a folder").file_name())
            .collect();
        children.sort();
        for child in children {
            let child = path.join(child.as_bytes()).expect("readdir gives names");
            walk(root, &child, tree, names);
        }
        Inode::Directory(metadata)
    } else if let Some(first) = names.get(&stat.ino()) {
        Inode::Hardlink { target: first.clone() }
    } else {
        names.insert(stat.ino(), path.clone());
        let content = fs::read(&host).expect("it is a file");
        Inode::File { metadata, size: stat.size(), content }
    };
    tree.insert(path.clone(), inode);
}

fn xattrs(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut names = vec![0; 1 << 16];
    let length = rustix::fs::llistxattr(path, &mut names[..]).unwrap_or(0);
    names[..length]
        .split(|&b| b == 0)
        .filter(|name| !name.is_empty())
        .map(|name| {
            let mut value = vec![0; 1 << 16];
            let length = rustix::fs::lgetxattr(path, name, &mut value[..]).expect("it was listed");
            value.truncate(length);
            (name.to_vec(), value)
        })
        .collect()
}
