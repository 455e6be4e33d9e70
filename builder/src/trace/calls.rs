//! Which calls are watched, where each has its path, and the filter that stops at them and at no other.
//!
//! Decides what a call says of files; refuses to know processes. Numbers are those of
//! `arch/x86/entry/syscalls/syscall_{64,32}.tbl` and `include/uapi/asm-generic/unistd.h`.

use tracee::Call;

/// What a call does to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Opens it.
    Open(Flags),
    /// Executes it.
    Execute,
    /// Asks about it.
    Look,
    /// Lists the folder that a descriptor stands for.
    List,
    /// Makes or changes it.
    Make,
    /// Makes a socket of this name, or speaks to it.
    Socket {
        /// Whether it makes it.
        makes: bool,
    },
    /// Makes it the root folder.
    Root,
}

/// Where an opening call has its flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flags {
    /// It is `creat`.
    Create,
    /// In this argument.
    Argument(usize),
    /// Behind this argument, a `struct open_how`.
    Behind(usize),
}

/// A call that is watched: its name, what it does, the arguments that hold a folder's descriptor and the
/// path (or address, or descriptor), and its number on x86-64, on i386 and on aarch64 (0: there is none).
pub(super) struct Row {
    /// As in `syscalls(2)`.
    pub(super) name: &'static str,
    /// What it does.
    pub(super) act: Act,
    /// The argument with the folder that a relative path starts from; the working folder if there is none.
    pub(super) folder: Option<usize>,
    /// The argument with the path.
    pub(super) path: usize,
    numbers: [u32; 3],
}

const fn row(
    name: &'static str,
    act: Act,
    folder: Option<usize>,
    path: usize,
    numbers: [u32; 3],
) -> Row {
    Row { name, act, folder, path, numbers }
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    row("openat", Act::Open(Flags::Argument(2)), Some(0), 1, [257, 295, 56]),
    row("newfstatat", Act::Look, Some(0), 1, [262, 0, 79]),
    row("fstatat64", Act::Look, Some(0), 1, [0, 300, 0]),
    row("open", Act::Open(Flags::Argument(1)), None, 0, [2, 5, 0]),
    row("openat2", Act::Open(Flags::Behind(2)), Some(0), 1, [437, 437, 437]),
    row("creat", Act::Open(Flags::Create), None, 0, [85, 8, 0]),
    row("execve", Act::Execute, None, 0, [59, 11, 221]),
    row("execveat", Act::Execute, Some(0), 1, [322, 358, 281]),
    row("stat", Act::Look, None, 0, [4, 106, 0]),
    row("lstat", Act::Look, None, 0, [6, 107, 0]),
    row("stat64", Act::Look, None, 0, [0, 195, 0]),
    row("lstat64", Act::Look, None, 0, [0, 196, 0]),
    row("oldstat", Act::Look, None, 0, [0, 18, 0]),
    row("oldlstat", Act::Look, None, 0, [0, 84, 0]),
    row("statx", Act::Look, Some(0), 1, [332, 383, 291]),
    row("access", Act::Look, None, 0, [21, 33, 0]),
    row("faccessat", Act::Look, Some(0), 1, [269, 307, 48]),
    row("faccessat2", Act::Look, Some(0), 1, [439, 439, 439]),
    row("readlink", Act::Look, None, 0, [89, 85, 0]),
    row("readlinkat", Act::Look, Some(0), 1, [267, 305, 78]),
    row("statfs", Act::Look, None, 0, [137, 99, 43]),
    row("statfs64", Act::Look, None, 0, [0, 268, 0]),
    row("chdir", Act::Look, None, 0, [80, 12, 49]),
    row("inotify_add_watch", Act::Look, None, 1, [254, 292, 27]),
    row("getdents", Act::List, None, 0, [78, 141, 0]),
    row("getdents64", Act::List, None, 0, [217, 220, 61]),
    row("mkdir", Act::Make, None, 0, [83, 39, 0]),
    row("mkdirat", Act::Make, Some(0), 1, [258, 296, 34]),
    row("mknod", Act::Make, None, 0, [133, 14, 0]),
    row("mknodat", Act::Make, Some(0), 1, [259, 297, 33]),
    row("symlink", Act::Make, None, 1, [88, 83, 0]),
    row("symlinkat", Act::Make, Some(1), 2, [266, 304, 36]),
    row("link", Act::Make, None, 1, [86, 9, 0]),
    row("linkat", Act::Make, Some(2), 3, [265, 303, 37]),
    row("rename", Act::Make, None, 1, [82, 38, 0]),
    row("renameat", Act::Make, Some(2), 3, [264, 302, 38]),
    row("renameat2", Act::Make, Some(2), 3, [316, 353, 276]),
    row("truncate", Act::Make, None, 0, [76, 92, 45]),
    row("truncate64", Act::Make, None, 0, [0, 193, 0]),
    row("bind", Act::Socket { makes: true }, None, 1, [49, 361, 200]),
    row("connect", Act::Socket { makes: false }, None, 1, [42, 362, 203]),
    row("chroot", Act::Root, None, 0, [161, 61, 51]),
    row("pivot_root", Act::Root, None, 0, [155, 217, 41]),
];

/// A table of call numbers: its `AUDIT_ARCH_*` (`linux/audit.h`) and its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Table {
    architecture: u32,
    column: usize,
}

/// The tables that a program of this machine may use.
const TABLES: &[Table] = if cfg!(target_arch = "x86_64") {
    &[
        Table { architecture: 0xc000_003e, column: 0 },
        Table { architecture: 0x4000_0003, column: 1 },
    ]
} else {
    &[Table { architecture: 0xc000_00b7, column: 2 }]
};

/// What a stopped call is.
pub(super) fn of(call: &Call) -> Option<&'static Row> {
    let table = TABLES.iter().find(|table| table.architecture == call.architecture)?;
    let number = u32::try_from(call.number).ok().filter(|&number| number != 0)?;
    ROWS.iter().find(|row| row.numbers.get(table.column) == Some(&number))
}

/// Whether calls of programs of this ELF class (1: 32 bits) and machine are seen.
pub(super) fn are_seen(class: u8, machine: u16) -> bool {
    const EM_386: u16 = 3;
    class == 2 || (cfg!(target_arch = "x86_64") && machine == EM_386)
}

/// One instruction of classic BPF: `(code, jt, jf, k)`.
type Instruction = (u16, u8, u8, u32);

const LOAD: u16 = 0x20;
const IF_EQUAL: u16 = 0x15;
const IF_ANY_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;
/// `struct seccomp_data`: number, architecture, instruction pointer, arguments.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
/// The lower half of the fourth argument, on a little-endian machine.
const FOURTH: u32 = 16 + 3 * 8;
const ALLOW: Instruction = (RETURN, 0, 0, 0x7fff_0000);
const TRACE: Instruction = (RETURN, 0, 0, 0x7ff0_0000);
/// "This kernel has no such call": 38, `ENOSYS`.
const ENOSYS: Instruction = (RETURN, 0, 0, 0x0005_0026);
/// The same number everywhere.
const IO_URING_SETUP: u32 = 425;
const AT_EMPTY_PATH: u32 = 0x1000;

/// The filter: stops at the calls of the table, for a tracer; all else is not slowed.
///
/// Files that are opened through `io_uring` would not be seen, so that there is none: programs have to
/// live without it on kernels that forbid it, and do. `newfstatat` with `AT_EMPTY_PATH` is how glibc
/// before 2.37 asks about what it has opened; it would be a stop for each file that is opened.
pub(super) fn filter() -> Vec<Instruction> {
    let mut program = vec![(LOAD, 0, 0, ARCHITECTURE)];
    for table in TABLES {
        let body = of_table(table);
        // A jump is as long as a byte can say.
        let skip = u8::try_from(body.len()).unwrap_or(u8::MAX);
        program.push((IF_EQUAL, 0, skip, table.architecture));
        program.extend(body);
    }
    program.push(ALLOW);
    program
}

fn of_table(table: &Table) -> Vec<Instruction> {
    let mut body = vec![(LOAD, 0, 0, NUMBER)];
    for row in ROWS {
        let Some(&number) = row.numbers.get(table.column).filter(|&&number| number != 0) else {
            continue;
        };
        if row.name == "newfstatat" {
            body.push((IF_EQUAL, 0, 4, number));
            body.push((LOAD, 0, 0, FOURTH));
            body.push((IF_ANY_BIT, 0, 1, AT_EMPTY_PATH));
            body.push(ALLOW);
            body.push(TRACE);
        } else {
            body.push((IF_EQUAL, 0, 1, number));
            body.push(TRACE);
        }
    }
    body.extend([(IF_EQUAL, 0, 1, IO_URING_SETUP), ENOSYS, ALLOW]);
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::str::FromStr as _;

    #[test]
    fn numbers_are_those_of_the_kernels_tables() {
        for row in ROWS {
            let known = [
                syscalls::x86_64::Sysno::from_str(row.name).map_or(0, |call| call as u32),
                syscalls::x86::Sysno::from_str(row.name).map_or(0, |call| call as u32),
                syscalls::aarch64::Sysno::from_str(row.name).map_or(0, |call| call as u32),
            ];
            // The tables of i386 and aarch64 have names that nothing of ours needs a second row for.
            let known = match row.name {
                "newfstatat" => [known[0], 0, 79],
                _ => known,
            };
            assert_eq!(row.numbers, known, "{}", row.name);
        }
    }

    #[test]
    fn no_jump_of_the_filter_is_cut_short() {
        for table in TABLES {
            assert!(of_table(table).len() < usize::from(u8::MAX), "{table:?}");
        }
    }

    #[test]
    fn a_number_means_what_its_table_says() {
        let call = |architecture, number| Call { architecture, number, arguments: [0; 6] };
        let name = |call: Call| of(&call).map(|row| row.name);
        let native = TABLES[0].architecture;
        let open = ROWS[0].numbers[TABLES[0].column].into();
        assert_eq!(name(call(native, open)), Some("openat"));
        assert_eq!(name(call(native, 0)), None);
        assert_eq!(name(call(0, open)), None);
        #[cfg(target_arch = "x86_64")]
        assert_eq!(name(call(0x4000_0003, 5)), Some("open"));
    }
}
