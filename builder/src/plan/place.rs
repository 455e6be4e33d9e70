//! Where things go. Below the system folders everything keeps its path. A program from elsewhere (a
//! home, a build folder) goes to `/usr/local/bin/NAME`, so that the image does not depend on where
//! it was built, unless it finds its libraries or its own files by where it stands: then all keep
//! their paths.

use std::collections::BTreeMap;

use common::tree::ImagePath;

use super::error::PlanError;
use super::survey::Survey;
use crate::resolve::How;
use crate::resolve::gather::Gathered;

/// Folders that distributions and packages install to; what is below keeps its path.
const SYSTEM: [&str; 11] = [
    "/bin",
    "/sbin",
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/opt",
    "/nix/store",
    "/gnu/store",
    "/snap",
];

/// Where programs from outside the system folders go.
const LOCAL: &str = "/usr/local/bin";

/// Destinations of what does not keep its path.
#[derive(Debug, Default)]
pub(super) struct Placement {
    /// Real path in the root, and every path it was asked by, to the path in the image.
    moved: BTreeMap<ImagePath, ImagePath>,
}

/// Whether a path lies in a system folder.
pub(super) fn is_system(path: &ImagePath) -> bool {
    SYSTEM.iter().any(|folder| {
        path.as_bytes().strip_prefix(folder.as_bytes()).is_some_and(|rest| rest.starts_with(b"/"))
    })
}

impl Placement {
    pub(super) fn new(gathered: &Gathered, survey: &Survey) -> Result<Self, PlanError> {
        let mut placement = Self::default();
        let mut taken: BTreeMap<ImagePath, ImagePath> = BTreeMap::new();
        for asked in &gathered.programs {
            let real = survey.real(asked);
            if is_system(asked) || stands_by_its_place(gathered, asked, real) {
                continue;
            }
            let name = asked.file_name().unwrap_or(b"app");
            let to = ImagePath::new([LOCAL.as_bytes(), b"/", name].concat())
                .map_err(|source| PlanError::Path { of: asked.clone(), source })?;
            match taken.insert(to.clone(), real.clone()) {
                Some(other) if other != *real => {
                    return Err(PlanError::SameName { to, one: other, other: real.clone() });
                }
                _ => {}
            }
            if !is_system(real) {
                placement.moved.insert(real.clone(), to.clone());
            }
            placement.moved.insert(asked.clone(), to);
        }
        Ok(placement)
    }

    /// Where a path of the root goes.
    pub(super) fn destination(&self, path: &ImagePath) -> ImagePath {
        self.moved.get(path).unwrap_or(path).clone()
    }

    /// The new place of a path, if it has one.
    pub(super) fn moved(&self, path: &ImagePath) -> Option<&ImagePath> {
        self.moved.get(path)
    }

    /// Whether a link of the root is only a way to something that was moved: it is itself the moved
    /// program, or lies outside the system folders above one.
    pub(super) fn is_moved_away(&self, link: &ImagePath) -> bool {
        !is_system(link)
            && !is_top_level_system(link)
            && self.moved.keys().any(|from| from.starts_with(link))
    }
}

/// `/bin`, `/lib64` ... themselves.
fn is_top_level_system(path: &ImagePath) -> bool {
    SYSTEM.iter().any(|folder| folder.as_bytes() == path.as_bytes())
}

/// Whether a program finds libraries by RPATH or RUNPATH outside the system folders, or a rule
/// ships files that it finds by its own path.
fn stands_by_its_place(gathered: &Gathered, asked: &ImagePath, real: &ImagePath) -> bool {
    let by_path = gathered
        .closure
        .programs
        .iter()
        .filter(|program| program.path == *asked)
        .flat_map(|program| &program.loads)
        .filter(|load| matches!(load.how, How::Rpath { .. } | How::Runpath { .. }))
        .any(|load| {
            gathered.closure.objects.get(load.object).is_some_and(|found| !is_system(&found.path))
        });
    let by_rule = gathered.additions.iter().any(|addition| {
        (addition.because.trigger == *real || addition.because.trigger == *asked)
            && !is_system(&addition.path)
            && real.parent().and_then(|bin| bin.parent()).is_some_and(|prefix| {
                prefix != ImagePath::root() && addition.path.starts_with(&prefix)
            })
    });
    by_path || by_rule
}
