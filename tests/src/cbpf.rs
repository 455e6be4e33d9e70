//! A small interpreter of classic BPF as `seccomp(2)` uses it: written from `linux/filter.h` and
//! `kernel/seccomp.c`'s checks, so that a compiled filter can be asked about any call without loading it.

use launcher::plan::seccomp::Instruction;

/// What a filter sees: `struct seccomp_data` of `linux/seccomp.h`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Data {
    /// The number of the call.
    pub number: u32,
    /// `AUDIT_ARCH_*`.
    pub architecture: u32,
    /// Where the call was made.
    pub instruction_pointer: u64,
    /// Its arguments.
    pub arguments: [u64; 6],
}

impl Data {
    /// The aligned word at an offset, as a little-endian machine lays it out.
    fn word(&self, offset: u32) -> Option<u32> {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend(self.number.to_le_bytes());
        bytes.extend(self.architecture.to_le_bytes());
        bytes.extend(self.instruction_pointer.to_le_bytes());
        bytes.extend(self.arguments.iter().flat_map(|argument| argument.to_le_bytes()));
        let at = usize::try_from(offset).ok().filter(|at| at % 4 == 0)?;
        Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
    }
}

/// Runs the program, and counts the instructions that it took.
///
/// # Panics
/// The program does what the kernel's checker refuses: an unknown operation, a word outside the data,
/// a jump or a run past the end.
pub fn run(program: &[Instruction], data: &Data) -> (u32, usize) {
    let mut accumulator = 0_u32;
    let mut at = 0;
    for steps in 1.. {
        let instruction = program.get(at).expect("the program runs past its end");
        at += 1;
        let Instruction { code, jt, jf, k } = *instruction;
        let mut branch = |holds: bool| at += usize::from(if holds { jt } else { jf });
        match code {
            0x20 => accumulator = data.word(k).expect("a load outside the data"),
            0x54 => accumulator &= k,
            0x05 => at += usize::try_from(k).expect("a jump out of the address space"),
            0x15 => branch(accumulator == k),
            0x25 => branch(accumulator > k),
            0x35 => branch(accumulator >= k),
            0x06 => return (k, steps),
            _ => panic!("an operation that the compiler does not use: {instruction:?}"),
        }
    }
    unreachable!("the counter cannot overflow: every instruction moves forward")
}
