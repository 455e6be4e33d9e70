//! `Used`: the paths that runs of a program used, whatever each run was.

use std::collections::BTreeSet;

use common::tree::ImagePath;

use crate::trace::profile::Profile;

/// Paths, as the programs of a profile named them: links on the way to a file count as much as the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Used {
    paths: BTreeSet<ImagePath>,
}

impl From<&Profile> for Used {
    fn from(profile: &Profile) -> Self {
        let mut paths = BTreeSet::new();
        for (program, seen) in &profile.programs {
            paths.insert(program.clone());
            paths.extend(seen.opened.iter().chain(&seen.listed).cloned());
        }
        Self { paths }
    }
}

impl Used {
    /// Whether this very path was named.
    pub fn has(&self, path: &ImagePath) -> bool {
        self.paths.contains(path)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &ImagePath> {
        self.paths.iter()
    }
}
