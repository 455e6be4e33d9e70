//! What callers are given of a process: its terminal and its pidfd over sockets of theirs, its pid in a file.

use std::fs::File;
use std::io::{self, IoSlice, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::Pid;

use super::{ExecError, Request};
use crate::spawn::Child;

/// The caller's sockets, connected before anything is started for which they are needed.
#[derive(Debug)]
pub(super) struct Sockets {
    console: Option<UnixStream>,
    pidfd: Option<UnixStream>,
}

impl Sockets {
    pub(super) fn connect(request: &Request) -> Result<Self, ExecError> {
        let connect = |path: &Option<std::path::PathBuf>| {
            path.as_deref()
                .map(|path| {
                    UnixStream::connect(path)
                        .map_err(|source| ExecError::Socket { path: path.to_owned(), source })
                })
                .transpose()
        };
        Ok(Self {
            console: connect(&request.console_socket)?,
            pidfd: connect(&request.pidfd_socket)?,
        })
    }

    /// Sends each what it is for; the payload names it.
    pub(super) fn send(&self, child: &Child) -> Result<(), ExecError> {
        if let (Some(socket), Some(console)) = (&self.console, &child.console) {
            send(socket.as_fd(), console, b"/dev/ptmx").map_err(ExecError::HandOver)?;
        }
        if let Some(socket) = &self.pidfd {
            send(socket.as_fd(), &child.pidfd, b"pidfd").map_err(ExecError::HandOver)?;
        }
        Ok(())
    }
}

fn send(socket: BorrowedFd<'_>, descriptor: &OwnedFd, name: &[u8]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let descriptors = [descriptor.as_fd()];
    ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
    sendmsg(socket, &[IoSlice::new(name)], &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Writes the pid, whole or not at all: the caller may be watching the file.
pub(super) fn write_pid(path: &Path, pid: Pid) -> Result<(), ExecError> {
    let failed = |source| ExecError::PidFile { path: path.to_owned(), source };
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut file = tempfile::Builder::new().prefix(".pid-").tempfile_in(folder).map_err(failed)?;
    write!(file, "{}", pid.as_raw_nonzero()).map_err(failed)?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    File::set_permissions(file.as_file(), mode).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}
