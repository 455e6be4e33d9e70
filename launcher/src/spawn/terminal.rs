//! The program's standard streams: a terminal of the container's own, or the descriptors it was given.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use common::tree::ImagePath;
use rustix::fs::{Mode, OFlags, Uid};
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use rustix::termios::{OptionalActions, OutputModes, Winsize, tcgetattr, tcsetattr, tcsetwinsize};

use super::handshake;
use super::place;
use super::prepare::Setup;
use super::step::{At, Done};
use super::{Stdio, Step};
use crate::plan::Process;

/// The first process's terminal, new, from the container's devpts. Its program side is taken from its controlling side by descriptor
/// (TIOCGPTPEER, Linux 4.13), never by a path, at which anything could lie (R8, CVE-2025-52565); it becomes
/// `/dev/console`, and the controlling side goes to the launcher. The caller's own terminal never comes in (R9).
pub(super) fn open(
    devpts: Option<&OwnedFd>,
    root: BorrowedFd<'_>,
    socket: BorrowedFd<'_>,
    setup: &Setup<'_>,
) -> Done<OwnedFd> {
    let devpts = devpts.ok_or(Errno::NOTTY).at(Step::Terminal, "/dev/pts")?;
    let (console, peer) = new(devpts.as_fd(), &setup.plan.process, setup.stdio.plain_lines)?;
    let path = ImagePath::new("/dev/console").or(Err(Errno::INVAL)).at(Step::Terminal, "")?;
    let point = place::plain_file(root, &path).at(Step::Terminal, &path)?;
    let tree = place::tree_of(&peer, false).at(Step::Terminal, &path)?;
    place::attach(tree, point).at(Step::Terminal, &path)?;
    handshake::send_console(socket, console.as_fd()).at(Step::Terminal, "/dev/pts/ptmx")?;
    Ok(peer)
}

/// A new terminal of a devpts: its controlling side, and the program's. With `plain_lines` it adds no carriage returns to what is
/// printed: nothing that shows it would need them.
pub(super) fn new(
    devpts: BorrowedFd<'_>,
    process: &Process,
    plain_lines: bool,
) -> Done<(OwnedFd, OwnedFd)> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let console = rustix::fs::openat(devpts, c"ptmx", flags, Mode::empty())
        .at(Step::Terminal, "/dev/pts/ptmx")?;
    unlockpt(&console).at(Step::Terminal, "/dev/pts/ptmx")?;
    let peer_flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let peer = ioctl_tiocgptpeer(&console, peer_flags).at(Step::Terminal, "/dev/pts")?;
    rustix::fs::fchown(&peer, Some(Uid::from_raw(process.uid)), None)
        .at(Step::Terminal, "/dev/pts")?;
    if let Some((ws_col, ws_row)) = process.console_size {
        let size = Winsize { ws_row, ws_col, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&peer, size).at(Step::Terminal, "/dev/pts")?;
    }
    if plain_lines {
        let mut modes = tcgetattr(&peer).at(Step::Terminal, "/dev/pts")?;
        modes.output_modes.remove(OutputModes::ONLCR);
        tcsetattr(&peer, OptionalActions::Now, &modes).at(Step::Terminal, "/dev/pts")?;
    }
    Ok((console, peer))
}

/// Makes the terminal the controlling one of this session and its three streams.
pub(super) fn take(peer: &OwnedFd) -> Done {
    rustix::process::ioctl_tiocsctty(peer).at(Step::Terminal, "/dev/console")?;
    let peer = peer.as_fd();
    streams(Stdio { stdin: peer, stdout: peer, stderr: peer, plain_lines: false })
}

/// Puts three descriptors in the places 0, 1 and 2, in whatever order they come.
pub(super) fn streams(stdio: Stdio<'_>) -> Done {
    // Out of the way first: one of them may lie where another is to go.
    let away =
        |fd| rustix::io::fcntl_dupfd_cloexec(fd, 3).at(Step::Descriptors, "standard streams");
    let (stdin, stdout, stderr) = (away(stdio.stdin)?, away(stdio.stdout)?, away(stdio.stderr)?);
    dup2_stdin(stdin).at(Step::Descriptors, "standard input")?;
    dup2_stdout(stdout).at(Step::Descriptors, "standard output")?;
    dup2_stderr(stderr).at(Step::Descriptors, "standard error")
}
