//! Whether a container's first exec can be made to execute this program once more (R6).
//!
//! Until its exec a container's first process is this program. A program that is a link to `/proc/self/exe`, or a script
//! run by that, makes it stay so, and whoever is inside can then hold on to the host's file (CVE-2019-5736). Going [out of
//! reach](super::out_of_reach) takes 0.2 ms, a twentieth of a start; so it is done where an image might try. It cannot when exec
//! comes upon an ELF file of this machine in the image itself, by a way that no mount is in.

use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};

use common::tree::ImagePath;
use rustix::fs::{FileType, OFlags, fstat, readlink};
use rustix::io::Errno;

use super::place::{self, Links};
use super::program;
use crate::plan::Plan;

/// Class, byte order and version of this machine's files, as `e_ident` has them (elf.h), and `e_machine`.
const OURS: ([u8; 7], u16) =
    (*b"\x7fELF\x02\x01\x01", if cfg!(target_arch = "x86_64") { 62 } else { 183 });

/// Not kept waiting by a FIFO.
const READ: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// Whether it might. `image` is the unpacked image.
pub fn might_run_us(plan: &Plan, image: BorrowedFd<'_>) -> bool {
    // Behind an init of ours, `/proc/self/exe` is a sealed copy.
    !plan.init && executes_own_file(plan, image) != Ok(true)
}

/// Whether exec surely ends at an ELF file of the image.
fn executes_own_file(plan: &Plan, image: BorrowedFd<'_>) -> Result<bool, Errno> {
    let mounted: Vec<&ImagePath> = plan
        .mounts
        .iter()
        .map(|mount| &mount.destination)
        .chain(plan.files.iter().map(|file| &file.destination))
        .collect();
    // Where a link decides what a mount hides, paths say nothing. What an image has below another mount is not seen.
    let below = |index: usize, point: &ImagePath| {
        mounted.iter().take(index).any(|other| *other != point && point.starts_with(other))
    };
    for (index, point) in mounted.iter().enumerate() {
        if below(index, point) {
            continue;
        }
        match place::resolve(image, point.as_bytes(), OFlags::PATH, Links::Refused) {
            Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(errno) => return Err(errno),
        }
    }
    let hidden = |path: &ImagePath| mounted.iter().any(|point| path.starts_with(point));
    let process = &plan.process;
    let candidates =
        program::candidates(process.argv.first(), &process.env).or(Err(Errno::INVAL))?;
    for candidate in &candidates {
        let Some(path) = absolute(&process.cwd, candidate.to_bytes()) else { return Ok(false) };
        if hidden(&path) {
            return Ok(false);
        }
        match place::resolve(image, path.as_bytes(), READ, Links::Refused) {
            // No link is in the way, so it is not there for exec either.
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(Errno::LOOP) => {
                let file = place::resolve(image, path.as_bytes(), READ, Links::Inside)?;
                return Ok(!hidden(&real(image, &file)?) && is_own_elf(&file)?);
            }
            opened => return is_own_elf(&opened?),
        }
    }
    Ok(false)
}

/// What exec will look for, from the root; `None` where there is `..` in it.
fn absolute(cwd: &ImagePath, candidate: &[u8]) -> Option<ImagePath> {
    let path = if candidate.starts_with(b"/") {
        candidate.to_vec()
    } else {
        [cwd.as_bytes(), b"/", candidate].concat()
    };
    ImagePath::new(path).ok()
}

/// Where a file of the image is, without links.
fn real(image: BorrowedFd<'_>, file: &OwnedFd) -> Result<ImagePath, Errno> {
    let path = |fd: i32| readlink(format!("/proc/self/fd/{fd}"), Vec::new());
    let (top, path) = (path(image.as_raw_fd())?, path(file.as_raw_fd())?);
    let inside = path.as_bytes().strip_prefix(top.as_bytes()).ok_or(Errno::XDEV)?;
    ImagePath::new(inside).or(Err(Errno::XDEV))
}

/// Whether it is a file that everybody may execute (exec passes over others), for this machine.
fn is_own_elf(file: &OwnedFd) -> Result<bool, Errno> {
    let stat = fstat(file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile
        || stat.st_mode & 0o111 != 0o111
    {
        return Ok(false);
    }
    let mut header = [0; 20];
    let length = rustix::io::pread(file, &mut header, 0)?;
    let (ident, machine) = OURS;
    Ok(length == header.len()
        && header.starts_with(&ident)
        && u16::from_le_bytes([header[18], header[19]]) == machine)
}
