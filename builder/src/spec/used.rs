//! `Used`: the paths that runs of a program used, whatever each run was.

use std::collections::BTreeSet;

use common::tree::ImagePath;

use super::profile::Profile;

/// Paths, as the programs of a profile named them: links on the way to a file count as much as the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Used {
    paths: BTreeSet<ImagePath>,
    /// Whether a run inside the image is among them.
    inside: bool,
}

impl Used {
    /// What a profile tells of runs outside of the image.
    pub fn outside(profile: &Profile) -> Self {
        Self { paths: paths(profile).cloned().collect(), inside: false }
    }

    /// Adds what runs inside the image used.
    pub fn add_inside(&mut self, profile: &Profile) {
        self.paths.extend(paths(profile).cloned());
        self.inside = true;
    }

    /// Adds paths that mean the same as some that are there.
    pub fn extend(&mut self, paths: impl IntoIterator<Item = ImagePath>) {
        self.paths.extend(paths);
    }

    /// Whether a run would have seen files of the recipe's folder where they are in the image.
    pub fn is_of_image(&self) -> bool {
        self.inside
    }

    /// Whether this very path was named.
    pub fn has(&self, path: &ImagePath) -> bool {
        self.paths.contains(path)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &ImagePath> {
        self.paths.iter()
    }
}

fn paths(profile: &Profile) -> impl Iterator<Item = &ImagePath> {
    let seen = profile.programs.values().flat_map(|seen| seen.opened.iter().chain(&seen.listed));
    profile.programs.keys().chain(seen)
}
