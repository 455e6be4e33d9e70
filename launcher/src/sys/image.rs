//! This program as the kernel has mapped it, mapped anew from another view of its file.

use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::{fs, ptr};

use nix::libc::{self, Elf64_Phdr as Segment};
use rustix::io::Errno;
use rustix::mm::{
    MapFlags, MprotectFlags, MremapFlags, ProtFlags, mmap, mmap_anonymous, mprotect, mremap_fixed,
    munmap,
};
use syscalls::{Sysno, syscall};

use super::checked;

/// Makes `file`, which has to be this program's own, the one that it executes: what `/proc/self/exe` leads to. Code and constants
/// are mapped over with the same pages, and the few pages that can be written are copied.
///
/// The kernel takes the file only when nothing of the former one is mapped any more (`replace_mm_exe_file` in kernel/fork.c), so
/// what succeeds is complete. After an error the program runs on, from whichever of the two its parts are mapped.
///
/// The caller has to be the only one that uses its memory: what others write meanwhile would be lost.
///
/// # Errors
///
/// `ENOEXEC`: the program was not linked to be at a fixed address. `EPERM`: neither `CAP_SYS_ADMIN` nor `CAP_CHECKPOINT_RESTORE`
/// is held. `EINVAL`: a kernel without `CONFIG_CHECKPOINT_RESTORE`.
pub fn adopt(file: BorrowedFd<'_>) -> Result<(), Errno> {
    let segments = segments().ok_or(Errno::NOEXEC)?;
    let layout = Layout::of_this_process(file).ok_or(Errno::NOEXEC)?;
    for segment in segments.iter().filter(|segment| segment.p_type == libc::PT_LOAD) {
        map(segment, file)?;
    }
    for segment in segments.iter().filter(|segment| segment.p_type == libc::PT_GNU_RELRO) {
        // As the C library did when it had relocated them: whole pages only.
        let (start, end) = (down(segment.p_vaddr), down(segment.p_vaddr + segment.p_memsz));
        // SAFETY: these pages were read-only before they were copied.
        unsafe { mprotect(address(start), size(end - start), MprotectFlags::READ) }?;
    }
    layout.set()
}

/// The program's headers, which are mapped with it; `None` where it is not where it was linked to be.
fn segments() -> Option<&'static [Segment]> {
    // SAFETY: `getauxval` only reads what the kernel has left.
    let [start, count, one] = [libc::AT_PHDR, libc::AT_PHNUM, libc::AT_PHENT]
        .map(|kind| unsafe { libc::getauxval(kind) });
    if start == 0 || size(one) != size_of::<Segment>() {
        return None;
    }
    // SAFETY: the kernel says that so many of them are there. They are never written.
    let all = unsafe {
        std::slice::from_raw_parts(ptr::with_exposed_provenance(size(start)), size(count))
    };
    let holds = |segment: &Segment| {
        segment.p_type == libc::PT_LOAD
            && (segment.p_vaddr..segment.p_vaddr + segment.p_filesz).contains(&start)
    };
    all.iter().any(holds).then_some(all)
}

/// Maps what the file has of a segment; what is only cleared memory comes from no file.
fn map(segment: &Segment, file: BorrowedFd<'_>) -> Result<(), Errno> {
    let (start, end) = (down(segment.p_vaddr), up(segment.p_vaddr + segment.p_filesz));
    let (place, length) = (address(start), size(end - start));
    if segment.p_filesz == 0 {
        return Ok(());
    }
    if segment.p_flags & libc::PF_W == 0 {
        let code = segment.p_flags & libc::PF_X != 0;
        let may = ProtFlags::READ | if code { ProtFlags::EXEC } else { ProtFlags::empty() };
        // SAFETY: the same bytes of the same file take the place of these, at once.
        unsafe {
            mmap(
                place,
                length,
                may,
                MapFlags::PRIVATE | MapFlags::FIXED,
                file,
                down(segment.p_offset),
            )
        }?;
        return Ok(());
    }
    let may = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: new memory, of the length of these pages, which can be read. Nobody writes them between the copy and the moment at which
    // it takes their place, as there is no other thread, and this one only calls the kernel.
    unsafe {
        let copy = mmap_anonymous(ptr::null_mut(), length, may, MapFlags::PRIVATE)?;
        ptr::copy_nonoverlapping(place.cast::<u8>(), copy.cast::<u8>(), length);
        let moved = mremap_fixed(copy, length, length, MremapFlags::MAYMOVE, place);
        if moved.is_err() {
            let _ = munmap(copy, length);
        }
        moved.map(drop)
    }
}

/// `struct prctl_mm_map` of `linux/prctl.h`.
#[repr(C)]
#[derive(Default)]
struct Layout {
    start_code: u64,
    end_code: u64,
    start_data: u64,
    end_data: u64,
    start_brk: u64,
    brk: u64,
    start_stack: u64,
    arg_start: u64,
    arg_end: u64,
    env_start: u64,
    env_end: u64,
    /// Left as it is: of length 0.
    auxv: u64,
    auxv_size: u32,
    exe_fd: u32,
}

impl Layout {
    /// As it is, but for the executable.
    fn of_this_process(file: BorrowedFd<'_>) -> Option<Self> {
        let stat = fs::read("/proc/self/stat").ok()?;
        // Behind the name, in parentheses, which may hold anything: fields 3 and up (`proc_pid_stat(5)`).
        let end_of_name = stat.iter().rposition(|byte| *byte == b')')?;
        let rest = std::str::from_utf8(stat.get(end_of_name + 1..)?).ok()?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        // SAFETY: moves nothing; says where the heap ends.
        let brk = unsafe { libc::sbrk(0) };
        Some(Self {
            start_code: field(26)?,
            end_code: field(27)?,
            start_stack: field(28)?,
            start_data: field(45)?,
            end_data: field(46)?,
            start_brk: field(47)?,
            brk: brk.expose_provenance() as u64,
            arg_start: field(48)?,
            arg_end: field(49)?,
            env_start: field(50)?,
            env_end: field(51)?,
            exe_fd: u32::try_from(file.as_raw_fd()).ok()?,
            ..Self::default()
        })
    }

    fn set(&self) -> Result<(), Errno> {
        let (option, map) = (libc::PR_SET_MM as usize, libc::PR_SET_MM_MAP as usize);
        // SAFETY: the kernel reads a structure of this size, and changes nothing but what it says about this process.
        checked(unsafe {
            syscall!(Sysno::prctl, option, map, ptr::from_ref(self), size_of::<Self>(), 0)
        })?;
        Ok(())
    }
}

fn down(address: u64) -> u64 {
    address - address % rustix::param::page_size() as u64
}

fn up(address: u64) -> u64 {
    address.next_multiple_of(rustix::param::page_size() as u64)
}

fn address(number: u64) -> *mut std::ffi::c_void {
    ptr::with_exposed_provenance_mut(size(number))
}

/// Addresses and lengths of this process fit.
fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
