//! Locales and time zones that a person asked for: which files of the root they are.
//!
//! A locale is a folder of `/usr/lib/locale`, or lies in `locale-archive` there, and is a folder in the
//! image either way: glibc looks for one when there is no archive (`locale/findlocale.c`). A zone is a file of
//! `/usr/share/zoneinfo`; the first that was asked for is the image's own, `/etc/localtime`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;

use common::report::Diagnostic;
use common::tree::ImagePath;

use super::expand::{self, Kind};
use super::locale_archive::{Archive, ArchiveError};
use super::near::near;
use super::{Sysroot, Target};
use crate::elf::Name;
use crate::spec::regional::{LocaleName, ZoneName};

const LOCALES: &str = "/usr/lib/locale";
const ARCHIVE: &str = "/usr/lib/locale/locale-archive";
const ZONES: &str = "/usr/share/zoneinfo";
const LOCALTIME: &str = "/etc/localtime";

/// Something that a locale or zone brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Regional {
    /// Where, in the image.
    pub path: ImagePath,
    /// What.
    pub what: Brought,
    /// Who asked.
    pub wanted: Wanted,
}

/// What a locale or zone brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Brought {
    /// What stands there in the root.
    Copy,
    /// Bytes of a file of the root.
    Part {
        /// The file, all links resolved.
        file: ImagePath,
        /// Bytes before them.
        offset: u64,
        /// How many.
        size: u64,
    },
    /// A link that says this.
    Link(Name),
}

/// A locale or zone that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// `locale` or `time zone`.
    pub kind: &'static str,
    /// Its name, as it was given.
    pub name: String,
}

/// Why the root cannot give a locale or a zone.
#[derive(Debug, thiserror::Error)]
pub enum RegionalError {
    /// It has not this one.
    #[error("the root has no {kind} `{name}`")]
    Unknown {
        /// What was asked for.
        kind: &'static str,
        /// Its name.
        name: String,
        /// Names that are much like it.
        near: Vec<String>,
        /// How to have it.
        remedy: String,
    },
    /// The archive of locales is not as it should be.
    #[error("cannot take a locale out of `{ARCHIVE}`")]
    Archive {
        /// Why.
        source: ArchiveError,
    },
    /// A folder or file cannot be read.
    #[error("cannot read `{path}`")]
    Read {
        /// Which.
        path: Name,
        /// What the kernel said.
        source: io::Error,
    },
}

impl Diagnostic for RegionalError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { near, remedy, .. } if near.is_empty() => Some(remedy.clone()),
            Self::Unknown { near, remedy, .. } => {
                Some(format!("it has {}; {remedy}", near.join(", ")))
            }
            Self::Archive { .. } => Some(
                "make the locale as a folder: localedef --no-archive -i de_DE -f UTF-8 de_DE.UTF-8"
                    .to_owned(),
            ),
            Self::Read { .. } => None,
        }
    }
}

/// Everything that they bring, in order.
pub fn find(
    locales: &[LocaleName],
    zones: &[ZoneName],
    sysroot: &Sysroot,
) -> Result<Vec<Regional>, RegionalError> {
    let mut finder = Finder { sysroot, found: Vec::new() };
    for locale in locales {
        finder.locale(locale)?;
    }
    for (number, zone) in zones.iter().enumerate() {
        finder.zone(zone, number == 0)?;
    }
    Ok(finder.found)
}

struct Finder<'a> {
    sysroot: &'a Sysroot,
    found: Vec<Regional>,
}

impl Finder<'_> {
    fn locale(&mut self, locale: &LocaleName) -> Result<(), RegionalError> {
        // They are part of the C library.
        if ["C", "POSIX"].contains(&locale.as_str()) {
            return Ok(());
        }
        let wanted = Wanted { kind: "locale", name: locale.to_string() };
        let names = [locale.to_string(), locale.normalised()];
        for name in &names {
            let folder = format!("{LOCALES}/{name}");
            if self.sysroot.is_folder(folder.as_bytes()) {
                return self.folder(&folder, &wanted);
            }
        }
        let archive = self.archive()?;
        if let Some((file, real)) = &archive {
            let size = file.metadata().map_err(reading(ARCHIVE))?.len();
            let archive = Archive::open(file, size).map_err(damaged)?;
            for name in &names {
                if let Some(categories) = archive.categories(name).map_err(damaged)? {
                    for category in categories {
                        let path = path(&format!("{LOCALES}/{name}/{}", category.file))?;
                        let (offset, size) = (category.offset, category.size);
                        let what = Brought::Part { file: real.clone(), offset, size };
                        self.found.push(Regional { path, what, wanted: wanted.clone() });
                    }
                    return Ok(());
                }
            }
            return Err(self.unknown_locale(locale, archive.names()));
        }
        Err(self.unknown_locale(locale, []))
    }

    /// The archive, and its path with all links resolved.
    fn archive(&self) -> Result<Option<(File, ImagePath)>, RegionalError> {
        let Ok((walk, Target::File(_))) = self.sysroot.lookup(ARCHIVE.as_bytes()) else {
            return Ok(None);
        };
        let file = self.sysroot.open_file(&walk.real).map_err(reading(ARCHIVE))?;
        Ok(Some((file, walk.real)))
    }

    fn unknown_locale<'n>(
        &self,
        locale: &LocaleName,
        archived: impl IntoIterator<Item = &'n str>,
    ) -> RegionalError {
        let folders = self.sysroot.root().read_dir(LOCALES.as_bytes()).unwrap_or_default();
        let mut known: BTreeSet<String> = archived.into_iter().map(str::to_owned).collect();
        known.extend(folders.into_iter().filter_map(|name| String::from_utf8(name).ok()));
        known.remove("locale-archive");
        let name = locale.normalised();
        let mut close: Vec<&str> = near(&name, known.iter().map(String::as_str));
        let language = |name: &str| name.split(['_', '.', '@']).next().map(str::to_owned);
        for other in known.iter().filter(|other| language(other) == language(&name)).take(5) {
            if !close.contains(&other.as_str()) {
                close.push(other);
            }
        }
        // The names that localedef knows: of the territory's definition, and of the character set.
        let given = locale.as_str();
        let (plain, modifier) = given.split_once('@').unwrap_or((given, ""));
        let (territory, charset) = plain.split_once('.').unwrap_or((plain, "UTF-8"));
        let at = if modifier.is_empty() { "" } else { "@" };
        RegionalError::Unknown {
            kind: "locale",
            remedy: format!(
                "to make it: localedef --no-archive -i {territory}{at}{modifier} -f {charset} {given}"
            ),
            near: close.into_iter().map(str::to_owned).collect(),
            name: given.to_owned(),
        }
    }

    fn folder(&mut self, folder: &str, wanted: &Wanted) -> Result<(), RegionalError> {
        let mut below = Vec::new();
        let root = self.sysroot.root();
        expand::tree_through_link(root, folder.as_bytes(), &mut below).map_err(|unreadable| {
            RegionalError::Read { path: unreadable.path.into(), source: unreadable.source }
        })?;
        for (path, kind) in below {
            if kind != Kind::Special
                && let Ok(path) = ImagePath::new(path)
            {
                let (what, wanted) = (Brought::Copy, wanted.clone());
                self.found.push(Regional { path, what, wanted });
            }
        }
        Ok(())
    }

    fn zone(&mut self, zone: &ZoneName, is_own: bool) -> Result<(), RegionalError> {
        let file = format!("{ZONES}/{zone}");
        if !matches!(self.sysroot.lookup(file.as_bytes()), Ok((_, Target::File(_)))) {
            return Err(self.unknown_zone(zone));
        }
        let wanted = Wanted { kind: "time zone", name: zone.to_string() };
        self.found.push(Regional {
            path: path(&file)?,
            what: Brought::Copy,
            wanted: wanted.clone(),
        });
        if is_own {
            let what = Brought::Link(Name::from(file.as_str()));
            self.found.push(Regional { path: path(LOCALTIME)?, what, wanted });
        }
        Ok(())
    }

    fn unknown_zone(&self, zone: &ZoneName) -> RegionalError {
        let mut found = Vec::new();
        let mut keep = |path: &[u8]| {
            !["posix", "right"].iter().any(|name| path == format!("{ZONES}/{name}").as_bytes())
        };
        // Only for the hint: what cannot be read is not told.
        drop(expand::tree(self.sysroot.root(), ZONES.as_bytes(), &mut keep, &mut found));
        let known: Vec<String> = found
            .into_iter()
            .filter(|(_, kind)| *kind != Kind::Folder)
            .filter_map(|(path, _)| {
                let name = path.strip_prefix(ZONES.as_bytes())?.strip_prefix(b"/")?;
                String::from_utf8(name.to_vec()).ok()
            })
            .collect();
        let near = near(zone.as_str(), known.iter().map(String::as_str));
        RegionalError::Unknown {
            kind: "time zone",
            name: zone.to_string(),
            near: near.into_iter().map(str::to_owned).collect(),
            remedy: if known.is_empty() {
                "install tzdata in the root".to_owned()
            } else {
                format!("zones are the files below {ZONES}")
            },
        }
    }
}

fn path(text: &str) -> Result<ImagePath, RegionalError> {
    ImagePath::new(text).map_err(|error| RegionalError::Read {
        path: Name::from(text),
        source: io::Error::new(io::ErrorKind::InvalidFilename, error),
    })
}

fn reading(path: &'static str) -> impl FnOnce(io::Error) -> RegionalError {
    move |source| RegionalError::Read { path: Name::from(path), source }
}

fn damaged(source: ArchiveError) -> RegionalError {
    RegionalError::Archive { source }
}

/// Parts of one file that are the same bytes: each with the first path that has them.
pub fn same_parts(found: &[Regional]) -> BTreeMap<&ImagePath, &ImagePath> {
    let mut parts: Vec<(&Brought, &ImagePath)> = found
        .iter()
        .filter(|regional| matches!(regional.what, Brought::Part { .. }))
        .map(|regional| (&regional.what, &regional.path))
        .collect();
    parts.sort_by_key(|(_, path)| *path);
    parts.dedup();
    let mut same = BTreeMap::new();
    for (number, (part, path)) in parts.iter().enumerate() {
        let first = parts.iter().take(number).find(|(other, _)| other == part);
        if let Some((_, first)) = first {
            same.insert(*path, *first);
        }
    }
    same
}
