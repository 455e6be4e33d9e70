//! Which path a call means: read from the memory of a stopped thread, made absolute by what the kernel
//! says of its folders.
//!
//! Another thread may change the text between this look and the kernel's. A run of a program that does
//! so on purpose records what it likes to.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use common::tree::ImagePath;
use nix::unistd::Pid;
use rustix::io::Errno;

/// `PATH_MAX` of `linux/limits.h`.
const LONGEST: usize = 4096;
/// Reading beyond the end of a page may fail although the text ended before.
const PAGE: u64 = 4096;
const AT_FDCWD: i32 = -100;

/// The text at an address: up to its NUL. `EPERM` where the thread's memory may not be read
/// (`PR_SET_DUMPABLE` of prctl(2)); other errors are those of a pointer to nothing.
pub(super) fn text(thread: Pid, mut address: u64) -> Result<Vec<u8>, Errno> {
    let mut text = Vec::new();
    while text.len() < LONGEST {
        let rest = usize::try_from(PAGE - address % PAGE).or(Err(Errno::FAULT))?;
        // Most paths are short.
        let mut piece = vec![0; rest.min(if text.is_empty() { 256 } else { LONGEST })];
        let read = tracee::read(thread, address, &mut piece)?;
        piece.truncate(read);
        if let Some(end) = piece.iter().position(|&byte| byte == 0) {
            piece.truncate(end);
            text.append(&mut piece);
            return Ok(text);
        }
        text.append(&mut piece);
        let next = u64::try_from(read).ok().filter(|&read| read > 0);
        address = next.and_then(|read| address.checked_add(read)).ok_or(Errno::FAULT)?;
    }
    Err(Errno::NAMETOOLONG)
}

/// A 64-bit word at an address.
pub(super) fn word(thread: Pid, address: u64) -> Option<u64> {
    let mut bytes = [0; 8];
    (tracee::read(thread, address, &mut bytes) == Ok(8)).then(|| u64::from_ne_bytes(bytes))
}

/// The path of a `struct sockaddr_un` (unix(7)), if it is one and has a path.
pub(super) fn socket(thread: Pid, address: u64, length: u64) -> Option<Vec<u8>> {
    const AF_UNIX: [u8; 2] = 1_u16.to_ne_bytes();
    let mut bytes = vec![0; usize::try_from(length).ok()?.min(110)];
    let read = tracee::read(thread, address, &mut bytes).ok()?;
    let path = bytes.get(..read)?.strip_prefix(&AF_UNIX)?;
    // Without one it has no name, with a NUL it has one that no folder knows.
    let path = path.split(|&byte| byte == 0).next()?;
    (!path.is_empty()).then(|| path.to_vec())
}

/// How a thread sees paths.
#[derive(Debug, Clone, Copy)]
pub(super) struct View(pub(super) Pid);

impl View {
    /// The absolute path that `text` means, with `folder` the descriptor that a relative one starts from
    /// (`None`: the working folder). Links stay as they are named, except where `..` follows one: only
    /// the kernel knows what that is. `None` if it is empty or means nothing with a path.
    pub(super) fn path(self, folder: Option<u64>, text: &[u8]) -> Option<ImagePath> {
        if text.is_empty() {
            return None;
        }
        let whole = if text.starts_with(b"/") {
            text.to_vec()
        } else {
            [self.folder(folder)?.as_slice(), b"/", text].concat()
        };
        if !whole.split(|&byte| byte == b'/').any(|name| name == b"..") {
            return ImagePath::new(whole).ok();
        }
        let whole = Path::new(OsStr::from_bytes(&whole));
        let real = match (whole.parent(), whole.file_name()) {
            (Some(parent), Some(name)) => fs::canonicalize(parent).ok()?.join(name),
            // `..` itself, or the root.
            _ => fs::canonicalize(whole).ok()?,
        };
        ImagePath::new(real.into_os_string().into_vec()).ok()
    }

    /// Where a descriptor leads.
    pub(super) fn descriptor(self, number: u64) -> Option<ImagePath> {
        ImagePath::new(self.link(&format!("fd/{}", lower_half(number)))?).ok()
    }

    /// The program that it runs.
    pub(super) fn program(self) -> Option<ImagePath> {
        ImagePath::new(self.link("exe")?).ok()
    }

    fn folder(self, descriptor: Option<u64>) -> Option<Vec<u8>> {
        let number = descriptor.map_or(AT_FDCWD, lower_half);
        if number == AT_FDCWD { self.link("cwd") } else { self.link(&format!("fd/{number}")) }
    }

    fn link(self, name: &str) -> Option<Vec<u8>> {
        let target = fs::read_link(format!("/proc/{}/{name}", self.0)).ok()?;
        let target = target.into_os_string().into_vec();
        // A file that is gone, or that never had a name.
        let is_lost = !target.starts_with(b"/") || target.ends_with(b" (deleted)");
        (!is_lost).then_some(target)
    }
}

/// The lower half of an argument, as the kernel takes an `int`.
pub(super) fn lower_half(argument: u64) -> i32 {
    let [a, b, c, d, ..] = argument.to_le_bytes();
    i32::from_le_bytes([a, b, c, d])
}
