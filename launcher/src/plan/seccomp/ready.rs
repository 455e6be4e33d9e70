//! The program of the default profile for who holds Docker's capabilities, as [`compile_for`](super::compile_for) makes it:
//! with it, a start neither compiles nor looks up names. The test below says whether it is still that, and what it is.

use super::{Architecture, Instruction, Program};

/// The program for a machine, where it is ready.
pub(super) fn program(architecture: Architecture) -> Option<Program> {
    let instructions = match architecture {
        Architecture::X86_64 => X86_64,
        Architecture::Aarch64 => AARCH64,
        Architecture::X86 | Architecture::X32 | Architecture::Arm => return None,
    };
    Some(Program {
        instructions: instructions.iter().map(|&one| Instruction::from(one)).collect(),
        flags: 0,
        notifies: false,
        sends: true,
    })
}

#[rustfmt::skip]
#[expect(clippy::unreadable_literal, reason = "as the test prints it")]
const X86_64: &[(u16, u8, u8, u32)] = &[
    (32, 0, 0, 0x4), (21, 1, 0, 0xc000003e), (6, 0, 0, 0x80000000), (32, 0, 0, 0x0), (53, 64, 0, 0x111),
    (53, 47, 0, 0x9b), (53, 18, 0, 0x68), (53, 11, 0, 0x2a), (53, 5, 0, 0x11), (53, 0, 94, 0x10),
    (32, 0, 0, 0x18), (21, 90, 0, 0x5412), (32, 0, 0, 0x18), (21, 88, 90, 0x541c), (53, 0, 89, 0x29),
    (32, 0, 0, 0x10), (21, 85, 0, 0x26), (32, 0, 0, 0x10), (21, 83, 85, 0x28), (53, 4, 0, 0x39),
    (53, 0, 83, 0x38), (32, 0, 0, 0x10), (84, 0, 0, 0x7e020000), (21, 80, 78, 0x0), (53, 77, 79, 0x67),
    (53, 23, 0, 0x89), (53, 1, 0, 0x87), (53, 74, 76, 0x86), (53, 73, 0, 0x88), (32, 0, 0, 0x14),
    (21, 0, 2, 0x0), (32, 0, 0, 0x10), (21, 71, 0, 0x0), (32, 0, 0, 0x14), (21, 0, 2, 0x0),
    (32, 0, 0, 0x10), (21, 67, 0, 0x8), (32, 0, 0, 0x14), (21, 0, 2, 0x0), (32, 0, 0, 0x10),
    (21, 63, 0, 0x20000), (32, 0, 0, 0x14), (21, 0, 2, 0x0), (32, 0, 0, 0x10), (21, 59, 0, 0x20008),
    (32, 0, 0, 0x14), (21, 0, 55, 0x0), (32, 0, 0, 0x10), (21, 55, 53, 0xffffffff), (53, 1, 0, 0x8c),
    (53, 51, 53, 0x8b), (53, 0, 52, 0x99), (53, 51, 49, 0x9a), (53, 7, 0, 0xec), (53, 3, 0, 0xd4),
    (53, 1, 0, 0xa3), (53, 47, 45, 0x9d), (53, 46, 44, 0xba), (53, 1, 0, 0xe3), (53, 44, 42, 0xd5),
    (53, 43, 41, 0xe4), (53, 3, 0, 0xf8), (53, 1, 0, 0xf6), (53, 40, 38, 0xf0), (53, 39, 37, 0xf7),
    (53, 1, 0, 0x100), (53, 37, 35, 0xfb), (53, 0, 34, 0x101), (53, 33, 35, 0x110), (53, 16, 0, 0x150),
    (53, 7, 0, 0x131), (53, 3, 0, 0x12b), (53, 1, 0, 0x118), (53, 28, 30, 0x117), (53, 27, 29, 0x12a),
    (53, 1, 0, 0x12d), (53, 25, 27, 0x12c), (53, 24, 26, 0x130), (53, 3, 0, 0x13a), (53, 1, 0, 0x135),
    (53, 21, 23, 0x134), (53, 20, 22, 0x138), (53, 1, 0, 0x142), (53, 18, 20, 0x140), (53, 0, 19, 0x143),
    (53, 18, 16, 0x144), (53, 8, 0, 0x1b8), (53, 3, 0, 0x1b2), (53, 1, 0, 0x1a8), (53, 15, 12, 0x151),
    (53, 11, 13, 0x1a9), (53, 1, 0, 0x1b4), (53, 12, 11, 0x1b3), (53, 0, 10, 0x1b6), (53, 9, 7, 0x1b7),
    (53, 3, 0, 0x1c2), (53, 1, 0, 0x1ba), (53, 6, 4, 0x1b9), (53, 5, 3, 0x1bc), (53, 1, 0, 0x1cb),
    (53, 3, 1, 0x1c3), (53, 1, 0, 0x1ce), (6, 0, 0, 0x50001), (53, 1, 0, 0x1d3), (6, 0, 0, 0x7fff0000),
    (6, 0, 0, 0x50026),
];

#[rustfmt::skip]
#[expect(clippy::unreadable_literal, reason = "as the test prints it")]
const AARCH64: &[(u16, u8, u8, u32)] = &[
    (32, 0, 0, 0x4), (21, 1, 0, 0xc00000b7), (6, 0, 0, 0x80000000), (32, 0, 0, 0x0), (53, 66, 0, 0xeb),
    (53, 41, 0, 0x6b), (53, 12, 0, 0x3c), (53, 7, 0, 0x1e), (53, 1, 0, 0x13), (53, 95, 97, 0x12),
    (53, 0, 96, 0x1d), (32, 0, 0, 0x18), (21, 92, 0, 0x5412), (32, 0, 0, 0x18), (21, 90, 92, 0x541c),
    (53, 1, 0, 0x2b), (53, 88, 90, 0x27), (53, 0, 89, 0x3a), (53, 88, 86, 0x3b), (53, 3, 0, 0x5c),
    (53, 1, 0, 0x59), (53, 85, 83, 0x3d), (53, 84, 82, 0x5a), (53, 21, 0, 0x61), (53, 82, 0, 0x5d),
    (32, 0, 0, 0x14), (21, 0, 2, 0x0), (32, 0, 0, 0x10), (21, 78, 0, 0x0), (32, 0, 0, 0x14),
    (21, 0, 2, 0x0), (32, 0, 0, 0x10), (21, 74, 0, 0x8), (32, 0, 0, 0x14), (21, 0, 2, 0x0),
    (32, 0, 0, 0x10), (21, 70, 0, 0x20000), (32, 0, 0, 0x14), (21, 0, 2, 0x0), (32, 0, 0, 0x10),
    (21, 66, 0, 0x20008), (32, 0, 0, 0x14), (21, 0, 62, 0x0), (32, 0, 0, 0x10), (21, 62, 60, 0xffffffff),
    (53, 0, 59, 0x62), (53, 58, 60, 0x68), (53, 8, 0, 0xaa), (53, 3, 0, 0x75), (53, 1, 0, 0x71),
    (53, 54, 56, 0x70), (53, 53, 55, 0x74), (53, 1, 0, 0x8f), (53, 51, 53, 0x8e), (53, 0, 52, 0xa1),
    (53, 51, 49, 0xa3), (53, 7, 0, 0xd9), (53, 1, 0, 0xc6), (53, 48, 46, 0xab), (53, 47, 0, 0xc7),
    (32, 0, 0, 0x10), (21, 43, 0, 0x26), (32, 0, 0, 0x10), (21, 41, 43, 0x28), (53, 4, 0, 0xdd),
    (53, 0, 39, 0xdc), (32, 0, 0, 0x10), (84, 0, 0, 0x7e020000), (21, 38, 36, 0x0), (53, 0, 37, 0xe0),
    (53, 36, 34, 0xe2), (53, 17, 0, 0x126), (53, 8, 0, 0x10a), (53, 3, 0, 0xf4), (53, 1, 0, 0xf1),
    (53, 31, 29, 0xf0), (53, 30, 28, 0xf2), (53, 1, 0, 0x106), (53, 28, 29, 0x104), (53, 0, 25, 0x107),
    (53, 24, 26, 0x109), (53, 3, 0, 0x112), (53, 1, 0, 0x10d), (53, 21, 23, 0x10c), (53, 20, 22, 0x110),
    (53, 1, 0, 0x119), (53, 18, 20, 0x118), (53, 0, 19, 0x11a), (53, 18, 16, 0x11b), (53, 8, 0, 0x1b8),
    (53, 3, 0, 0x1b2), (53, 1, 0, 0x1a8), (53, 15, 12, 0x127), (53, 11, 13, 0x1a9), (53, 1, 0, 0x1b4),
    (53, 12, 11, 0x1b3), (53, 0, 10, 0x1b6), (53, 9, 7, 0x1b7), (53, 3, 0, 0x1c2), (53, 1, 0, 0x1ba),
    (53, 6, 4, 0x1b9), (53, 5, 3, 0x1bc), (53, 1, 0, 0x1cb), (53, 3, 1, 0x1c3), (53, 1, 0, 0x1ce),
    (6, 0, 0, 0x50001), (53, 1, 0, 0x1d3), (6, 0, 0, 0x7fff0000), (6, 0, 0, 0x50026),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::seccomp::{compile_for, default_profile};
    use crate::spec::CapabilitySet;

    #[test]
    fn what_is_ready_is_what_would_be_compiled() {
        for architecture in [Architecture::X86_64, Architecture::Aarch64] {
            let compiled = compile_for(&default_profile(CapabilitySet::DOCKER), architecture);
            let compiled = compiled.unwrap();
            let lines = compiled.instructions.chunks(5).map(|chunk| {
                let all =
                    chunk.iter().map(|i| format!("({}, {}, {}, {:#x})", i.code, i.jt, i.jf, i.k));
                format!("    {},\n", all.collect::<Vec<_>>().join(", "))
            });
            let lines: String = lines.collect();
            assert!(program(architecture) == Some(compiled), "{architecture:?} is now:\n{lines}");
        }
    }
}
