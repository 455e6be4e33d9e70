//! `Survey`: what the root says about every path that may enter the image. The one part of planning
//! that looks.
//!
//! Every file is opened once, for reading: what cannot be read is found out here, and not in the
//! middle of writing a layer.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::io;

use common::report::Diagnostic;
use common::root::Root;
use common::tree::ImagePath;
use rustix::fs::FileType;
use rustix::io::Errno;

use crate::elf::Name;
use crate::resolve::expand::{self, Kind};
use crate::resolve::gather::Gathered;
use crate::resolve::regional::Brought;
use crate::resolve::ship::Added;
use crate::resolve::{Sysroot, Walk};
use crate::spec::glob::Glob;
use crate::spec::{ImageSpec, Source};

/// Facts about paths of the root and of the recipe's folder.
#[derive(Debug, Default)]
pub struct Survey {
    /// By path as it was asked for.
    pub(super) paths: BTreeMap<ImagePath, Surveyed>,
    /// `/bin`, `/lib64` ... where they are links in the root, and what they say.
    pub(super) system_links: BTreeMap<ImagePath, Name>,
    /// What each `files` table of the recipe matches, in order.
    pub(super) matches: Vec<Vec<Match>>,
    /// The root's `/etc/passwd`.
    pub(super) passwd: String,
    /// The root's `/etc/group`.
    pub(super) group: String,
}

/// One path, followed.
#[derive(Debug, Clone)]
pub(super) struct Surveyed {
    /// Links on the way.
    pub(super) links: BTreeMap<ImagePath, Name>,
    /// Where it leads.
    pub(super) real: ImagePath,
    /// What is there.
    pub(super) fact: Fact,
}

/// What stands somewhere, links followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    /// A folder.
    Folder,
    /// A regular file.
    File {
        /// Bytes.
        size: u64,
        /// Whether anybody may execute it.
        executable: bool,
        /// Set-uid and set-gid bits.
        special: u32,
        /// Whether others than its owner and group may not read it.
        private: bool,
        /// Which file it is, if it has several names.
        identity: Option<(u64, u64)>,
    },
    /// Nothing: a link that leads nowhere.
    Nothing,
}

/// Device and inode of a file that has several names.
pub(super) type Identity = (u64, u64);

/// One match of a recipe's `files` table.
#[derive(Debug, Clone)]
pub(super) struct Match {
    /// The matched path.
    pub(super) top: Vec<u8>,
    /// It and everything below it: path, and what is there (links not followed, except the match
    /// itself).
    pub(super) below: Vec<(Vec<u8>, MatchFact)>,
}

/// What a recipe's match holds.
#[derive(Debug, Clone)]
pub(super) enum MatchFact {
    /// A folder or file.
    Fact(Fact),
    /// A link, and what it says.
    Link(Name),
}

/// Why the root could not be surveyed.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    /// A file or folder cannot be read.
    #[error("cannot read `{path}`{}", needed(needed_by.as_ref()))]
    Read {
        /// Which.
        path: Name,
        /// What asked for it.
        needed_by: Option<String>,
        /// What the kernel said.
        source: io::Error,
    },
    /// A path is neither file, folder nor link.
    #[error("`{path}`{} is a device, socket or pipe, which is not packed", aside(needed_by.as_ref()))]
    Special {
        /// Which.
        path: Name,
        /// What asked for it.
        needed_by: Option<String>,
    },
}

fn needed(by: Option<&String>) -> String {
    by.map(|by| format!(", needed by {by}")).unwrap_or_default()
}

fn aside(by: Option<&String>) -> String {
    by.map(|by| format!(", needed by {by},")).unwrap_or_default()
}

impl Diagnostic for SurveyError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Read { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Some("build as a user who may read it, or leave it out".to_owned())
            }
            // ELOOP has no kind of its own in the stable library.
            Self::Read { source, .. }
                if source.kind() == io::ErrorKind::NotFound
                    || Errno::from_io_error(source) == Some(Errno::LOOP) =>
            {
                Some(
                    "it may be a link: links are followed inside the root, or the recipe's folder"
                        .to_owned(),
                )
            }
            Self::Special { .. } => Some(
                "name files beside it one by one, or by a pattern that leaves it out".to_owned(),
            ),
            Self::Read { .. } => None,
        }
    }
}

impl SurveyError {
    /// Of a path of the recipe's folder, which is not below `/`.
    fn of_recipe(mut self) -> Self {
        let (Self::Read { path, .. } | Self::Special { path, .. }) = &mut self;
        if let Some(relative) = path.as_bytes().strip_prefix(b"/") {
            *path = Name::from(relative);
        }
        self
    }
}

impl Survey {
    pub(super) fn get(&self, path: &ImagePath) -> Option<&Surveyed> {
        self.paths.get(path)
    }

    /// Where a path leads; itself, if it was not surveyed.
    pub(super) fn real<'a>(&'a self, path: &'a ImagePath) -> &'a ImagePath {
        self.paths.get(path).map_or(path, |surveyed| &surveyed.real)
    }
}

/// Looks at everything that may enter the image. `on_path` is told of each.
pub fn survey(
    spec: &ImageSpec,
    gathered: &Gathered,
    sysroot: &Sysroot,
    mut on_path: impl FnMut(),
) -> Result<Survey, SurveyError> {
    let root = sysroot.root();
    let mut survey = Survey {
        system_links: system_links(root),
        passwd: text(root, b"/etc/passwd"),
        group: text(root, b"/etc/group"),
        ..Survey::default()
    };
    for (path, needed_by) in wanted(gathered) {
        if let Entry::Vacant(vacant) = survey.paths.entry(path) {
            let surveyed = look(sysroot, vacant.key(), needed_by.as_deref())?;
            vacant.insert(surveyed);
            on_path();
        }
    }
    let context = match &spec.context {
        Some(folder) => Some(Root::open(folder).map_err(|source| SurveyError::Read {
            path: Name::from(folder.as_os_str().as_encoded_bytes()),
            needed_by: None,
            source,
        })?),
        None => None,
    };
    for file in &spec.files {
        let matches = match (&file.source, &context) {
            (Source::Root(glob), _) => matches(root, glob, &file.text)?,
            (Source::Context(glob), Some(context)) => {
                matches(context, glob, &file.text).map_err(SurveyError::of_recipe)?
            }
            (Source::Context(_), None) => Vec::new(),
        };
        survey.matches.push(matches);
    }
    Ok(survey)
}

/// Every path that the closure and the rules may place, with who wants it.
fn wanted(gathered: &Gathered) -> Vec<(ImagePath, Option<String>)> {
    let closure = &gathered.closure;
    let mut wanted: Vec<(ImagePath, Option<String>)> = Vec::new();
    wanted.extend(gathered.programs.iter().map(|path| (path.clone(), None)));
    for program in &closure.programs {
        wanted.push((program.path.clone(), None));
        for load in &program.loads {
            let by = load
                .by
                .and_then(|number| program.loads.get(number.checked_sub(program.first)?))
                .map(|by| format!("`{}`", by.opened));
            if let Ok(opened) = ImagePath::new(load.opened.as_bytes()) {
                wanted.push((opened, by));
            }
        }
    }
    wanted.extend(closure.files().into_iter().map(|path| (path.clone(), None)));
    for addition in &gathered.additions {
        if addition.what == Added::Copy {
            let by = addition.because.who();
            wanted.push((addition.path.clone(), Some(by)));
        }
    }
    for regional in gathered.regional.iter().filter(|found| found.what == Brought::Copy) {
        let by = format!("{} `{}`", regional.wanted.kind, regional.wanted.name);
        wanted.push((regional.path.clone(), Some(by)));
    }
    wanted
}

fn look(
    sysroot: &Sysroot,
    path: &ImagePath,
    needed_by: Option<&str>,
) -> Result<Surveyed, SurveyError> {
    let root = sysroot.root();
    let error = |source| SurveyError::Read {
        path: Name::from(path.as_bytes()),
        needed_by: needed_by.map(str::to_owned),
        source,
    };
    match sysroot.walk(path.as_bytes()) {
        Ok(walk) => {
            let fact = fact(root, walk.real.as_bytes(), needed_by)?;
            Ok(Surveyed { links: links(&walk), real: walk.real, fact })
        }
        // A link that leads nowhere is packed as it is; programs may make its target later.
        Err(failure) => match (root.read_link(path.as_bytes()), path.parent()) {
            (Ok(target), Some(parent)) => {
                let walk = sysroot.walk(parent.as_bytes()).map_err(error)?;
                let name = path.file_name().unwrap_or_default();
                let real = walk.real.join(name).map_err(|wrong| {
                    error(io::Error::new(io::ErrorKind::InvalidFilename, wrong))
                })?;
                let mut links = links(&walk);
                links.insert(real.clone(), Name::from(target));
                Ok(Surveyed { links, real, fact: Fact::Nothing })
            }
            _ => Err(error(failure)),
        },
    }
}

fn links(walk: &Walk) -> BTreeMap<ImagePath, Name> {
    walk.links.iter().map(|link| (link.path.clone(), link.target.clone())).collect()
}

/// What stands at a path, links followed; a file is opened to see that it can be read.
fn fact(root: &Root, path: &[u8], needed_by: Option<&str>) -> Result<Fact, SurveyError> {
    let error = |source| SurveyError::Read {
        path: Name::from(path),
        needed_by: needed_by.map(str::to_owned),
        source,
    };
    let status = root.metadata(path).map_err(error)?;
    match FileType::from_raw_mode(status.st_mode) {
        FileType::Directory => return Ok(Fact::Folder),
        FileType::RegularFile => {}
        _ => {
            let needed_by = needed_by.map(str::to_owned);
            return Err(SurveyError::Special { path: Name::from(path), needed_by });
        }
    }
    let file: File = root.open_file(path).map_err(error)?;
    let status = rustix::fs::fstat(&file).map_err(|errno| error(errno.into()))?;
    Ok(Fact::File {
        size: status.st_size.unsigned_abs(),
        executable: status.st_mode & 0o111 != 0,
        special: status.st_mode & 0o6000,
        private: status.st_mode & 0o004 == 0,
        identity: (status.st_nlink > 1).then_some((status.st_dev, status.st_ino)),
    })
}

fn matches(root: &Root, glob: &Glob, text: &str) -> Result<Vec<Match>, SurveyError> {
    let by = format!("`{text}` of the recipe");
    let error = |path: &[u8], source| SurveyError::Read {
        path: Name::from(path),
        needed_by: Some(by.clone()),
        source,
    };
    let mut all = Vec::new();
    let tops = expand::matches(root, glob).map_err(|source| error(text.as_bytes(), source))?;
    for top in tops {
        let mut found = Vec::new();
        expand::tree_through_link(root, &top, &mut found)
            .map_err(|unreadable| error(&unreadable.path, unreadable.source))?;
        let mut below = Vec::new();
        for (path, kind) in found {
            let is_top = path == top;
            let fact = match kind {
                Kind::Link if !is_top => {
                    let target = root.read_link(&path).map_err(|source| error(&path, source))?;
                    MatchFact::Link(Name::from(target))
                }
                _ => MatchFact::Fact(fact(root, &path, Some(&by))?),
            };
            below.push((path, fact));
        }
        all.push(Match { top, below });
    }
    Ok(all)
}

fn system_links(root: &Root) -> BTreeMap<ImagePath, Name> {
    let mut links = BTreeMap::new();
    for name in ["/bin", "/lib", "/lib32", "/lib64", "/libx32", "/sbin"] {
        if let (Ok(target), Ok(path)) = (root.read_link(name.as_bytes()), ImagePath::new(name)) {
            links.insert(path, Name::from(target));
        }
    }
    links
}

/// A small text file, empty where there is none.
fn text(root: &Root, path: &[u8]) -> String {
    let read = |file: File| {
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut io::Read::take(file, 1 << 20), &mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    };
    root.open_file(path).ok().and_then(read).unwrap_or_default()
}
