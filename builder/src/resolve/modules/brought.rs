//! Sources that a recipe's `files` bring, and what its command line imports: they are in the image without
//! being programs of the closure.

use std::collections::BTreeSet;
use std::io::Read as _;

use common::root::Root;
use common::tree::ImagePath;

use super::library::MAX_SOURCE;
use super::{LANGUAGES, dialect};
use crate::resolve::Sysroot;
use crate::resolve::expand::{self, Kind};
use crate::spec::modules::Language;
use crate::spec::{Destination, ExtraFile, ImageSpec, Source};

/// So many sources are read; who brings more names the modules.
const MAX_FILES: usize = 1 << 14;
/// First bytes by which a source without an extension is known.
const HEAD: u64 = 256;

/// Everything that a recipe brings besides programs.
#[derive(Debug, Default)]
pub(in crate::resolve) struct Brought {
    pub(super) files: Vec<File>,
    /// Names without extension of all files and folders: modules of the application's own.
    pub(super) names: BTreeSet<Vec<u8>>,
    /// The words of the image's entrypoint and its arguments.
    pub(super) command: Vec<String>,
}

/// A source.
#[derive(Debug)]
pub(super) struct File {
    pub(super) language: Language,
    /// In the image.
    pub(super) path: ImagePath,
    pub(super) text: Vec<u8>,
}

impl Brought {
    /// Reads the sources among the files of a recipe. What cannot be read is left: the survey tells it.
    pub(in crate::resolve) fn new(spec: &ImageSpec, sysroot: &Sysroot) -> Self {
        let words = spec.run.entrypoint.iter().chain(&spec.run.cmd).flatten();
        let mut brought = Self { command: words.cloned().collect(), ..Self::default() };
        if spec.run.entrypoint.is_none()
            && let Some(first) = spec.programs.first()
        {
            brought.command.insert(0, String::from_utf8_lossy(first.as_bytes()).into_owned());
        }
        let context = spec.context.as_deref().and_then(|folder| Root::open(folder).ok());
        for file in &spec.files {
            match (&file.source, &context) {
                (Source::Root(_), _) => brought.add(sysroot.root(), file),
                (Source::Context(_), Some(context)) => brought.add(context, file),
                (Source::Context(_), None) => {}
            }
        }
        brought
    }

    fn add(&mut self, root: &Root, file: &ExtraFile) {
        let (Source::Root(glob) | Source::Context(glob)) = &file.source;
        for top in expand::matches(root, glob).unwrap_or_default() {
            let mut found = Vec::new();
            // A folder with something that cannot be read: what was found until then still counts.
            let _unreadable = expand::tree_through_link(root, &top, &mut found).is_err();
            for (path, kind) in found {
                let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
                let stem = name.split(|&byte| byte == b'.').next().unwrap_or_default();
                self.names.insert(stem.to_vec());
                let is_file = kind == Kind::File || kind == Kind::Link && path == top;
                if let Some(destination) = destination(file, &top, &path)
                    && is_file
                    && self.files.len() < MAX_FILES
                {
                    self.source(root, &path, name, &destination);
                }
            }
        }
    }

    fn source(&mut self, root: &Root, path: &[u8], name: &[u8], destination: &ImagePath) {
        let read = |limit| {
            let mut bytes = Vec::new();
            root.open_file(path).ok()?.take(limit).read_to_end(&mut bytes).ok()?;
            Some(bytes)
        };
        let Some(head) = read(HEAD) else { return };
        for language in LANGUAGES {
            if dialect(language).is_source(name, &head)
                && let Some(text) = read(MAX_SOURCE)
            {
                self.files.push(File { language, path: destination.clone(), text });
            }
        }
    }
}

/// Where the plan puts what a table matches.
fn destination(file: &ExtraFile, top: &[u8], path: &[u8]) -> Option<ImagePath> {
    let name = top.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    let to = match &file.destination {
        Destination::Same => ImagePath::new(top).ok()?,
        Destination::Path(path) => path.clone(),
        Destination::Into(folder) => folder.join(name).ok()?,
    };
    to.join(&path[top.len()..]).ok()
}
