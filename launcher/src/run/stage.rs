//! What the stages say that every way to a process has in common: `run`, `lifecycle`, `exec`.

use common::report::{Diagnostic, ExitCode};

use crate::cgroup::CgroupError;
use crate::host::HostError;
use crate::plan::PlanError;
use crate::resctrl::ResctrlError;
use crate::runtime::RuntimeError;
use crate::spawn::SpawnError;
use crate::spec::SpecError;
use crate::supervise::SuperviseError;

/// A failed stage. Says what the stage says.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
#[expect(missing_docs, reason = "each variant is a stage of that name")]
pub enum StageError {
    Spec(#[from] SpecError),
    Host(#[from] HostError),
    Plan(#[from] PlanError),
    Cgroup(#[from] CgroupError),
    Resctrl(#[from] ResctrlError),
    Runtime(#[from] RuntimeError),
    Spawn(#[from] SpawnError),
    Supervise(#[from] SuperviseError),
}

impl StageError {
    fn own(&self) -> &dyn Diagnostic {
        match self {
            Self::Spec(error) => error,
            Self::Host(error) => error,
            Self::Plan(error) => error,
            Self::Cgroup(error) => error,
            Self::Resctrl(error) => error,
            Self::Runtime(error) => error,
            Self::Spawn(error) => error,
            Self::Supervise(error) => error,
        }
    }
}

impl Diagnostic for StageError {
    fn hint(&self) -> Option<String> {
        self.own().hint()
    }

    fn exit_code(&self) -> ExitCode {
        self.own().exit_code()
    }
}
