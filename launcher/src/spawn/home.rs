//! `HOME`, where the specification sets none: what the container's own `/etc/passwd` says of the user. Never the host's,
//! and never by the C library, which would load what the container has there (R7).

use std::os::fd::BorrowedFd;

use common::accounts;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, openat2};
use rustix::io::Errno;

use super::Step;
use super::step::{At, Done};
use crate::plan::Process;
use crate::sys::exec::Strings;

/// A larger file than this is an attack (R11).
const LIMIT: usize = 4 << 20;

/// The program's environment with `HOME`, when that has to be found below `root`.
pub(super) fn environment(process: &Process, root: BorrowedFd<'_>) -> Done<Option<Strings>> {
    if !process.find_home {
        return Ok(None);
    }
    // A container without the file, or with one that cannot be read, has nobody's home.
    let passwd = read(root).unwrap_or_default();
    let home = accounts::home(process.uid, &passwd).unwrap_or_else(|| "/".to_owned());
    let home = format!("HOME={home}");
    let all = process.env.iter().map(String::as_str).chain([home.as_str()]);
    Strings::new(all).map(Some).or(Err(Errno::INVAL)).at(Step::Prepare, "the environment")
}

fn read(root: BorrowedFd<'_>) -> Result<Vec<u8>, Errno> {
    // Neither a pipe nor a terminal there is waited for.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let file = openat2(root, c"etc/passwd", flags, Mode::empty(), resolve)?;
    if FileType::from_raw_mode(fstat(&file)?.st_mode) != FileType::RegularFile {
        return Err(Errno::INVAL);
    }
    let mut bytes = Vec::new();
    let mut buffer = [0_u8; 4096];
    loop {
        match rustix::io::read(&file, &mut buffer)? {
            0 => return Ok(bytes),
            count => bytes.extend(buffer.get(..count).unwrap_or_default()),
        }
        if bytes.len() > LIMIT {
            return Err(Errno::FBIG);
        }
    }
}
