//! Programs that run at moments of a container's life (runtime-spec, config, "POSIX-platform Hooks").

use std::path::PathBuf;
use std::time::Duration;

use oci_spec::runtime::{Hook as OciHook, Spec};
use serde::{Deserialize, Serialize};

use super::PlanError;

/// All hooks of a container, each list in its order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hooks {
    /// In the launcher's namespaces, once the container's exist and before its root is entered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prestart: Vec<Hook>,
    /// The same, after those.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub create_runtime: Vec<Hook>,
    /// Found by the launcher's eyes, run in the container's namespaces before its root is entered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub create_container: Vec<Hook>,
    /// Inside, right before the program.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub start_container: Vec<Hook>,
    /// In the launcher's namespaces, after the program was executed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub poststart: Vec<Hook>,
    /// In the launcher's namespaces, after the container is gone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub poststop: Vec<Hook>,
}

/// One hook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hook {
    /// The program, absolute.
    pub path: PathBuf,
    /// Its arguments, its name among them.
    pub args: Vec<String>,
    /// All that its environment holds. Where that is not said, a hook inside has the program's, any other the launcher's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<Vec<String>>,
    /// After which it is killed and has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
}

/// A moment at which hooks run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of `Hooks` describe them")]
#[repr(u8)]
pub enum HookKind {
    Prestart,
    CreateRuntime,
    CreateContainer,
    StartContainer,
    Poststart,
    Poststop,
}

impl HookKind {
    /// All of them, in the order in which they run.
    pub const ALL: [Self; 6] = [
        Self::Prestart,
        Self::CreateRuntime,
        Self::CreateContainer,
        Self::StartContainer,
        Self::Poststart,
        Self::Poststop,
    ];

    /// The specification's word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prestart => "prestart",
            Self::CreateRuntime => "createRuntime",
            Self::CreateContainer => "createContainer",
            Self::StartContainer => "startContainer",
            Self::Poststart => "poststart",
            Self::Poststop => "poststop",
        }
    }
}

impl Hooks {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Those of one moment.
    pub fn of(&self, kind: HookKind) -> &[Hook] {
        match kind {
            HookKind::Prestart => &self.prestart,
            HookKind::CreateRuntime => &self.create_runtime,
            HookKind::CreateContainer => &self.create_container,
            HookKind::StartContainer => &self.start_container,
            HookKind::Poststart => &self.poststart,
            HookKind::Poststop => &self.poststop,
        }
    }

    /// Those that run when the container has been made: after the start, and after the end.
    pub(crate) fn later(&self) -> Self {
        let (poststart, poststop) = (self.poststart.clone(), self.poststop.clone());
        Self { poststart, poststop, ..Self::default() }
    }

    /// Whether the launcher has something to run while the container is being made.
    pub(crate) fn at_creation(&self) -> bool {
        !self.prestart.is_empty() || !self.create_runtime.is_empty()
    }
}

/// The specification's hooks.
pub fn hooks_of(spec: &Spec) -> Result<Hooks, PlanError> {
    let Some(hooks) = spec.hooks() else { return Ok(Hooks::default()) };
    let list = |kind: HookKind, list: &Option<Vec<OciHook>>| -> Result<Vec<Hook>, PlanError> {
        list.iter().flatten().map(|hook| one(kind, hook)).collect()
    };
    Ok(Hooks {
        prestart: list(HookKind::Prestart, hooks.prestart())?,
        create_runtime: list(HookKind::CreateRuntime, hooks.create_runtime())?,
        create_container: list(HookKind::CreateContainer, hooks.create_container())?,
        start_container: list(HookKind::StartContainer, hooks.start_container())?,
        poststart: list(HookKind::Poststart, hooks.poststart())?,
        poststop: list(HookKind::Poststop, hooks.poststop())?,
    })
}

fn one(kind: HookKind, hook: &OciHook) -> Result<Hook, PlanError> {
    let refused = |problem| PlanError::Hook { kind: kind.name(), problem };
    let path = hook.path().clone();
    if !path.is_absolute() {
        return Err(refused("has a path that is not absolute"));
    }
    let timeout = match hook.timeout().map(u64::try_from) {
        None => None,
        Some(Ok(seconds @ 1..)) => Some(Duration::from_secs(seconds)),
        Some(_) => return Err(refused("has a timeout that is not greater than 0")),
    };
    let args = match hook.args() {
        Some(args) if !args.is_empty() => args.clone(),
        _ => vec![path.to_string_lossy().into_owned()],
    };
    let env = hook.env().clone();
    if args.iter().chain(env.iter().flatten()).any(|text| text.contains('\0')) {
        return Err(refused("has a NUL byte in its arguments or environment"));
    }
    Ok(Hook { path, args, env, timeout })
}
