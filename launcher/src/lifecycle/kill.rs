//! `kill`: a signal for a container.

use std::io;
use std::os::fd::AsFd as _;

use oci_spec::runtime::{LinuxNamespaceType, Spec};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::LifecycleError;
use crate::cgroup;
use crate::runtime::{self, Container, ContainerId, RuntimeError, StateDirectory, Status};
use crate::supervise::{DefaultAction, Signal};
use crate::sys::pidfd;

/// Sends a signal to process 1 of the container.
pub fn kill(
    states: &StateDirectory,
    id: &ContainerId,
    signal: Signal,
) -> Result<(), LifecycleError> {
    let container = runtime::find(states, id)?;
    let process = container.process()?;
    // One that only waits ends by most of them, whoever sends them; by this by all, like any process without handlers.
    let waits = matches!(container.state.status, Status::Created { .. });
    let deadly = signal.default_action() == DefaultAction::Terminate;
    let signal = if waits && deadly { Signal::KILL } else { signal };
    let gone = || RuntimeError::NotRunning { id: id.clone(), status: "stopped" };
    let failed = |source| LifecycleError::Signal { id: id.clone(), source };
    let pidfd = process.open().map_err(failed)?.ok_or_else(gone)?;
    match pidfd::send_signal(pidfd.as_fd(), signal.as_raw()) {
        Ok(()) => {}
        Err(Errno::SRCH) => return Err(gone().into()),
        Err(errno) => return Err(failed(errno.into())),
    }
    if signal == Signal::KILL {
        runtime::thaw(&container.state);
        if !has_pids_of_its_own(&container) {
            // There is no namespace that would die with process 1.
            cgroup::reopen(&container.state.cgroup).kill()?;
        }
    }
    Ok(())
}

/// Sends a signal to every process of the container, whether or not its process 1 has ended.
pub fn kill_all(
    states: &StateDirectory,
    id: &ContainerId,
    signal: Signal,
) -> Result<(), LifecycleError> {
    let container = runtime::find(states, id)?;
    if container.state.cgroup.is_empty() {
        return if container.state.status.is_stopped() { Ok(()) } else { kill(states, id, signal) };
    }
    let group = cgroup::reopen(&container.state.cgroup);
    if signal == Signal::KILL {
        group.kill()?;
        runtime::thaw(&container.state);
        return Ok(());
    }
    for pid in group.processes()? {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let Some(pid) = pid else { continue };
        let sent = pidfd_open(pid, PidfdFlags::empty())
            .and_then(|pidfd| pidfd::send_signal(pidfd.as_fd(), signal.as_raw()));
        match sent {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(errno) => {
                let source = io::Error::from(errno);
                return Err(LifecycleError::Signal { id: id.clone(), source });
            }
        }
    }
    Ok(())
}

/// Whether killing process 1 kills all. When the specification cannot be read it is taken for granted.
fn has_pids_of_its_own(container: &Container) -> bool {
    container.spec().is_ok_and(|spec| has_new_pids(&spec))
}

fn has_new_pids(spec: &Spec) -> bool {
    let namespaces = spec.linux().as_ref().and_then(|linux| linux.namespaces().as_ref());
    namespaces.into_iter().flatten().any(|namespace| {
        let path = namespace.path().as_ref().filter(|path| !path.as_os_str().is_empty());
        namespace.typ() == LinuxNamespaceType::Pid && path.is_none()
    })
}
