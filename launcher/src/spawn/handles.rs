//! What a caller is given of a process: its terminal and its pidfd over sockets of the caller's, its pid in a file.

use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, open};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use rustix::process::Pid;

use super::{Child, send_with};

/// Where a process's handles go.
#[derive(Debug, Clone, Default)]
pub struct Handles {
    /// `--pid-file`: its pid, as the host numbers it.
    pub pid_file: Option<PathBuf>,
    /// `--console-socket`: the controlling side of its terminal.
    pub console_socket: Option<PathBuf>,
    /// `--pidfd-socket`: its pidfd.
    pub pidfd_socket: Option<PathBuf>,
}

/// The caller's sockets, connected before anything is started for which they are needed.
#[derive(Debug)]
pub struct Sockets {
    console: Option<OwnedFd>,
    pidfd: Option<OwnedFd>,
}

/// Why a caller was not given what he asked for.
#[derive(Debug, thiserror::Error)]
pub enum HandleError {
    /// A socket that nobody listens at.
    #[error("cannot connect to the socket `{}`", path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The caller has gone.
    #[error("cannot send the {what} to the caller's socket")]
    Send {
        /// Terminal, or process.
        what: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// The file for the process's number cannot be written.
    #[error("cannot write the pid file `{}`", path.display())]
    PidFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Handles {
    /// Goes to the sockets.
    ///
    /// # Errors
    /// Nobody listens at one.
    pub fn connect(&self) -> Result<Sockets, HandleError> {
        let one = |path: &Option<PathBuf>| {
            let Some(path) = path else { return Ok(None) };
            connect_to(path)
                .map(Some)
                .map_err(|source| HandleError::Connect { path: path.clone(), source })
        };
        Ok(Sockets { console: one(&self.console_socket)?, pidfd: one(&self.pidfd_socket)? })
    }

    /// Writes the pid, whole or not at all: whoever watches for the file reads it at once.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_pid(&self, pid: Pid) -> Result<(), HandleError> {
        let Some(path) = &self.pid_file else { return Ok(()) };
        let failed = |source| HandleError::PidFile { path: path.clone(), source };
        write_pid(path, pid).map_err(failed)
    }
}

impl Sockets {
    /// Sends each what it is for; the payload names it.
    ///
    /// # Errors
    /// The caller has closed one.
    pub fn send(&self, child: &Child) -> Result<(), HandleError> {
        let console = ("terminal", b"/dev/ptmx".as_slice(), &self.console, child.console.as_ref());
        let pidfd = ("process", b"pidfd".as_slice(), &self.pidfd, Some(&child.pidfd));
        for (what, name, socket, descriptor) in [console, pidfd] {
            let (Some(socket), Some(descriptor)) = (socket, descriptor) else { continue };
            send_with(socket.as_fd(), name, descriptor.as_fd())
                .map_err(|errno| HandleError::Send { what, source: errno.into() })?;
        }
        Ok(())
    }
}

/// By the descriptor of its folder: a path may be longer than an address can be (108 bytes, unix(7)).
fn connect_to(path: &Path) -> io::Result<OwnedFd> {
    let missing = || io::Error::from(io::ErrorKind::NotFound);
    let name = path.file_name().ok_or_else(missing)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = open(folder_of(path), flags, Mode::empty())?;
    let near = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name);
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    connect(&socket, &SocketAddrUnix::new(near)?)?;
    Ok(socket)
}

fn write_pid(path: &Path, pid: Pid) -> io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(".pid-").tempfile_in(folder_of(path))?;
    write!(file, "{}", pid.as_raw_nonzero())?;
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}
