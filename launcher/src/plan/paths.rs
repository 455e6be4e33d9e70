//! Paths of a specification, as paths inside.

use std::path::Path;

use common::tree::ImagePath;

use super::PlanError;

/// One.
pub(super) fn one(path: &Path) -> Result<ImagePath, PlanError> {
    ImagePath::new(path.as_os_str().as_encoded_bytes()).map_err(PlanError::Path)
}

/// A list, empty where there is none.
pub(super) fn all(list: Option<&[String]>) -> Result<Vec<ImagePath>, PlanError> {
    list.unwrap_or_default().iter().map(|text| one(Path::new(text))).collect()
}
