//! What else the container sees: `--volume`, `--tmpfs`.

use std::path::PathBuf;
use std::str::FromStr;

use common::tree::ImagePath;

use super::ParseError;

/// A folder or file of the host, shown inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// On the host, absolute.
    pub source: PathBuf,
    /// Inside. Made where it is missing.
    pub destination: ImagePath,
    /// Whether it, and all that is mounted below it, cannot be written.
    pub readonly: bool,
    /// Whether devices can be opened through it.
    pub devices: bool,
}

impl FromStr for Volume {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let refused = || ParseError::Volume(text.to_owned());
        let parts: Vec<&str> = text.split(':').collect();
        let (source, destination, options) = match parts.as_slice() {
            [source, destination] => (source, destination, ""),
            [source, destination, options] => (source, destination, *options),
            _ => return Err(refused()),
        };
        let (mut readonly, mut devices) = (None, false);
        for option in options.split(',').filter(|_| parts.len() == 3) {
            match option {
                "ro" if readonly != Some(false) => readonly = Some(true),
                "rw" if readonly != Some(true) => readonly = Some(false),
                "dev" => devices = true,
                _ => return Err(refused()),
            }
        }
        if !source.starts_with('/') || source.contains('\0') {
            return Err(refused());
        }
        let destination =
            ImagePath::new(destination).ok().filter(|path| *path != ImagePath::root());
        Ok(Self {
            source: PathBuf::from(source),
            destination: destination.ok_or_else(refused)?,
            readonly: readonly.unwrap_or(false),
            devices,
        })
    }
}

/// An empty file system in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tmpfs {
    /// Inside. Made where it is missing.
    pub destination: ImagePath,
    /// mount(8)'s words. `nosuid`, `nodev` and `noexec` hold unless their opposite is named.
    pub options: Vec<String>,
}

impl FromStr for Tmpfs {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (destination, options) = text.split_once(':').unwrap_or((text, ""));
        let destination =
            ImagePath::new(destination).ok().filter(|path| *path != ImagePath::root());
        Ok(Self {
            destination: destination.ok_or_else(|| ParseError::Tmpfs(text.to_owned()))?,
            options: options.split(',').filter(|o| !o.is_empty()).map(str::to_owned).collect(),
        })
    }
}
