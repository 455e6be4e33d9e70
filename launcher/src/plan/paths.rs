//! Paths of a specification, as paths inside.

use std::path::Path;

use common::tree::ImagePath;

use super::PlanError;

/// One, which has to be absolute.
pub(super) fn one(path: &Path) -> Result<ImagePath, PlanError> {
    ImagePath::new(path.as_os_str().as_encoded_bytes()).map_err(PlanError::Path)
}

/// A mount's destination. Before version 1.0 of the specification it could be relative, and meant from the root; so
/// it is taken still.
pub(super) fn destination(path: &Path) -> Result<ImagePath, PlanError> {
    ImagePath::root().join(path.as_os_str().as_encoded_bytes()).map_err(PlanError::Path)
}

/// A list, empty where there is none, each of its paths once. A relative one is taken from the root, too.
pub(super) fn all(list: Option<&[String]>) -> Result<Vec<ImagePath>, PlanError> {
    let mut all = Vec::new();
    for text in list.unwrap_or_default() {
        let path = destination(Path::new(text))?;
        if !all.contains(&path) {
            all.push(path);
        }
    }
    Ok(all)
}
