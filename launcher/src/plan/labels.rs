//! Labels of the host's security modules, and the session keyring.
//!
//! A label that nothing on the host enforces is refused: whoever asked for confinement would believe in it.

use serde::{Deserialize, Serialize};

use super::PlanError;
use crate::host::SecurityModules;

/// Labels that the program gets at its exec.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Labels {
    /// Name of a profile that is loaded on the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apparmor: Option<String>,
    /// A `SELinux` context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selinux: Option<String>,
}

impl Labels {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.apparmor.is_none() && self.selinux.is_none()
    }

    /// What a process asks for. An empty name asks for nothing.
    pub(super) fn plan(
        apparmor: Option<&String>,
        selinux: Option<&String>,
        modules: impl FnOnce() -> SecurityModules,
    ) -> Result<Self, PlanError> {
        let given = |name: Option<&String>| name.filter(|name| !name.is_empty()).cloned();
        let labels = Self { apparmor: given(apparmor), selinux: given(selinux) };
        // The host is asked only when it matters.
        if labels.is_empty() {
            return Ok(labels);
        }
        let modules = modules();
        let missing = match &labels {
            Self { apparmor: Some(_), .. } if !modules.apparmor => Some("AppArmor"),
            Self { selinux: Some(_), .. } if !modules.selinux => Some("SELinux"),
            _ => None,
        };
        missing.map_or(Ok(labels), |module| Err(PlanError::SecurityModule(module)))
    }
}

/// A session keyring of the container's own, in place of the launcher's (session-keyring(7)): what a person keeps in
/// theirs, Kerberos tickets say, is not for containers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keyring {
    /// Its name, by which processes that join the container later find it.
    pub name: String,
    /// Bits of its access mask that are added (`keyctl_setperm(3)`); `None` for those who join only.
    pub permissions: Option<u32>,
}

impl Keyring {
    /// That of the container `id`. Its root must be able to search it: root of a user namespace is another user for it.
    pub fn of(id: &str, user_namespace: bool) -> Self {
        const USER_SEARCH: u32 = 0x08_0000;
        const OTHER_SEARCH: u32 = 0x08;
        let permissions = if user_namespace { OTHER_SEARCH } else { USER_SEARCH };
        Self { name: format!("_ses.{id}"), permissions: Some(permissions) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_that_nothing_enforces_is_refused() {
        let check =
            |apparmor: &str, selinux: &str, modules: SecurityModules, expected: Option<&str>| {
                let text = |text: &str| Some(text.to_owned());
                let planned =
                    Labels::plan(text(apparmor).as_ref(), text(selinux).as_ref(), || modules);
                let error = planned.err().map(|error| error.to_string());
                match expected {
                    None => assert_eq!(error, None),
                    Some(module) => assert!(error.unwrap().contains(module)),
                }
            };
        let none = SecurityModules::default();
        check("", "", none, None);
        check("docker-default", "", none, Some("AppArmor"));
        check("", "system_u:system_r:container_t:s0", none, Some("SELinux"));
        check("p", "l", SecurityModules { apparmor: true, selinux: true }, None);
        check("p", "l", SecurityModules { apparmor: true, selinux: false }, Some("SELinux"));
    }
}
