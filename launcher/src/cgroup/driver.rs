//! Who makes the groups (`--cgroup-manager`, `--systemd-cgroup`).

use std::fmt;
use std::str::FromStr;

use common::report::{Diagnostic, ExitCode};
use serde::{Deserialize, Serialize};

/// Who makes a container's groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Driver {
    /// We do, as folders.
    #[default]
    Cgroupfs,
    /// systemd does, as a transient scope, so that there is one manager of the tree where it manages the rest.
    Systemd,
    /// Nobody: the container stays in the groups of whoever starts it. A limit is refused.
    Disabled,
}

/// A word that names no driver.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no cgroup manager")]
pub struct DriverError(String);

impl Diagnostic for DriverError {
    fn hint(&self) -> Option<String> {
        Some("it is cgroupfs, systemd or disabled".to_owned())
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }
}

impl FromStr for Driver {
    type Err = DriverError;

    fn from_str(text: &str) -> Result<Self, DriverError> {
        match text {
            "cgroupfs" => Ok(Self::Cgroupfs),
            "systemd" => Ok(Self::Systemd),
            "disabled" => Ok(Self::Disabled),
            other => Err(DriverError(other.escape_debug().to_string())),
        }
    }
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cgroupfs => "cgroupfs",
            Self::Systemd => "systemd",
            Self::Disabled => "disabled",
        })
    }
}
