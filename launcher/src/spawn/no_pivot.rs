//! Entering the root without `pivot_root(2)`, which a host whose own root is an initramfs needs (`--no-pivot`): the root's mount is
//! moved on top of the host's `/`, and becomes the process's by chroot(2).
//!
//! The host's mounts stay below it, out of reach of every path. But the kernel still counts them: where a whole procfs or sysfs is in a mount
//! namespace, a user namespace inside may mount a new one of which nothing is hidden. So these are unmounted first, wherever they are.

use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};

use super::step::{At, Done};
use super::{Step, place};

/// Enters the mount that the working directory is the root of.
pub(super) fn enter(root: BorrowedFd<'_>) -> Done {
    // Read whole before anything is unmounted, procfs among it.
    let table = std::fs::read("/proc/self/mountinfo").at(Step::Pivot, "/proc/self/mountinfo")?;
    let own = rustix::fs::statx(
        root,
        c"",
        rustix::fs::AtFlags::EMPTY_PATH,
        rustix::fs::StatxFlags::MNT_ID,
    )
    .at(Step::Pivot, "/")?
    .stx_mnt_id;
    for path in windows(&table, own) {
        match unmount(path.as_slice(), UnmountFlags::DETACH) {
            // Gone with another; or locked, in a user namespace whose owner may not unmount it: then it has not been ours to hide.
            Ok(()) | Err(Errno::NOENT | Errno::INVAL) => {}
            Err(errno) => return Err(errno).at(Step::Pivot, String::from_utf8_lossy(&path)),
        }
    }
    match place::attach_on_top(root) {
        // It is there already: the host's own `/` is the bundle's root.
        Ok(()) | Err(Errno::LOOP) => {}
        Err(errno) => return Err(errno).at(Step::Pivot, "/"),
    }
    rustix::process::chroot(c".").at(Step::Pivot, "/")
}

/// Where whole instances of procfs and sysfs are mounted that are not below the mount `own` (`proc_pid_mountinfo(5)`).
fn windows(table: &[u8], own: u64) -> Vec<Vec<u8>> {
    let mut inside = vec![own];
    let mut found = Vec::new();
    for line in table.split(|&byte| byte == b'\n') {
        let mut fields = line.split(|&byte| byte == b' ');
        let mut number = || std::str::from_utf8(fields.next()?).ok()?.parse::<u64>().ok();
        let (Some(id), Some(parent)) = (number(), number()) else { continue };
        let (Some(root), Some(point)) = (fields.nth(1), fields.next()) else { continue };
        // A child comes after its parent.
        if inside.contains(&parent) {
            inside.push(id);
            continue;
        }
        let kind = fields.skip_while(|&field| field != b"-").nth(1);
        if root == b"/" && matches!(kind, Some(b"proc" | b"sysfs")) {
            found.push(unescaped(point));
        }
    }
    found
}

/// Blanks, tabs, line ends and backslashes are written as three octal digits.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, tail @ ..] = rest {
        let code = tail
            .get(..3)
            .filter(|_| *first == b'\\')
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { tail.get(3..).unwrap_or_default() } else { tail };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_instances_outside_of_the_root_are_found() {
        let table = b"\
21 1 8:1 / / rw - ext4 /dev/vda rw
22 21 0:5 / /proc rw shared:3 - proc proc rw
23 21 0:6 / /sys rw - sysfs sysfs rw
24 21 0:5 /sys /mnt/part rw - proc proc rw
25 21 0:5 / /a\\040b rw - proc none rw
30 21 8:1 /bundle/rootfs /bundle/rootfs rw - ext4 /dev/vda rw
31 30 0:9 / /bundle/rootfs/proc rw - proc proc rw
32 31 0:9 / /bundle/rootfs/proc/x rw - proc proc rw
";
        let found = windows(table, 30);
        assert_eq!(found, [b"/proc".to_vec(), b"/sys".to_vec(), b"/a b".to_vec()]);
    }
}
