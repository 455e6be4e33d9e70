//! From ranges of numbers to instructions: a binary tree.
//!
//! A jump goes forward only, by at most 255 instructions when it tests something, so the program is
//! written from its end to its start: every target exists when the jump to it is written. A target
//! that is too far away gets an unconditional jump (which reaches anywhere) right behind the test.

use std::collections::BTreeMap;

use super::Instruction;
use super::rules::{Comparison, Decision, Table, Test, Verdict};

// Operations of `linux/bpf_common.h`.
const LOAD_WORD: u16 = 0x20;
const AND: u16 = 0x54;
const JUMP: u16 = 0x05;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_GREATER: u16 = 0x25;
const JUMP_AT_LEAST: u16 = 0x35;
const RETURN: u16 = 0x06;

// Offsets in `struct seccomp_data`. Both architectures are little endian: low half first.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// The first table is asked for first: the machine's own architecture, whose calls are nearly all.
pub(super) fn assemble(tables: &[Table]) -> Vec<Instruction> {
    let mut program = Backwards::default();
    let mut starts = Vec::with_capacity(tables.len());
    for table in tables.iter().rev() {
        let tree = program.tree(&table.ranges);
        // `tree` may be a verdict shared from further down: the load must fall through to it.
        program.fall_through_to(tree);
        starts.push((table.audit_number, program.push(LOAD_WORD, NUMBER)));
    }
    // An instruction set that the profile does not list is nobody's to judge.
    let mut next = program.verdict(Verdict::KILL_PROCESS);
    for (audit_number, start) in starts {
        next = program.branch(JUMP_EQUAL, audit_number, start, next);
    }
    program.push(LOAD_WORD, ARCHITECTURE);
    program.code.reverse();
    program.code
}

/// A place in the program, counted from its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place(usize);

/// The program so far, last instruction first.
#[derive(Debug, Default)]
struct Backwards {
    code: Vec<Instruction>,
    /// Where each verdict was last written.
    verdicts: BTreeMap<Verdict, Place>,
}

impl Backwards {
    fn push(&mut self, code: u16, k: u32) -> Place {
        self.code.push(Instruction { code, jt: 0, jf: 0, k });
        Place(self.code.len() - 1)
    }

    /// How many instructions the next one written would skip to get to `target`.
    fn distance(&self, target: Place) -> usize {
        self.code.len() - 1 - target.0
    }

    /// Makes the next instruction written fall through to `target`.
    fn fall_through_to(&mut self, target: Place) {
        let far = self.distance(target);
        if far > 0 {
            self.push(JUMP, u32::try_from(far).unwrap_or(u32::MAX));
        }
    }

    /// A near place that returns the verdict.
    fn verdict(&mut self, verdict: Verdict) -> Place {
        if let Some(&place) = self.verdicts.get(&verdict)
            && self.distance(place) < 200
        {
            return place;
        }
        let place = self.push(RETURN, verdict.0);
        self.verdicts.insert(verdict, place);
        place
    }

    /// Tests the accumulator and goes one way or the other.
    fn branch(&mut self, code: u16, k: u32, yes: Place, no: Place) -> Place {
        // The farther one first: its detour makes the way to the other one longer by one.
        let no = self.near(no, 254);
        let yes = self.near(yes, 255);
        let (jt, jf) = (self.distance(yes), self.distance(no));
        let byte = |distance| u8::try_from(distance).unwrap_or(u8::MAX);
        self.code.push(Instruction { code, jt: byte(jt), jf: byte(jf), k });
        Place(self.code.len() - 1)
    }

    /// The place itself, or a jump to it when it is more than `reach` away.
    fn near(&mut self, target: Place, reach: usize) -> Place {
        match self.distance(target) {
            distance if distance <= reach => target,
            far => self.push(JUMP, u32::try_from(far).unwrap_or(u32::MAX)),
        }
    }

    /// Decides for the number in the accumulator.
    fn tree(&mut self, ranges: &[(u32, Decision)]) -> Place {
        match ranges {
            [] => self.verdict(Verdict::KILL_PROCESS),
            [(_, decision)] => self.decision(decision),
            _ => {
                let (below, above) = ranges.split_at(ranges.len() / 2);
                let middle = above[0].0;
                let above = self.tree(above);
                let below = self.tree(below);
                self.branch(JUMP_AT_LEAST, middle, above, below)
            }
        }
    }

    fn decision(&mut self, decision: &Decision) -> Place {
        let mut next = self.verdict(decision.otherwise);
        for (tests, verdict) in decision.tests.iter().rev() {
            let mut holds = self.verdict(*verdict);
            for test in tests.iter().rev() {
                holds = self.test(*test, holds, next);
            }
            next = holds;
        }
        next
    }

    /// Goes to `yes` or `no` by one argument, which is two words, of which a 32-bit call has only the lower.
    fn test(&mut self, test: Test, yes: Place, no: Place) -> Place {
        let low = ARGUMENTS + 8 * u32::from(test.argument);
        let high = low + 4;
        match test.comparison {
            Comparison::Masked { mask, value, holds } => {
                let (yes, no) = if holds { (yes, no) } else { (no, yes) };
                let yes = self.masked(low, lower(mask), lower(value), yes, no);
                if test.wide { self.masked(high, upper(mask), upper(value), yes, no) } else { yes }
            }
            Comparison::Greater { value, holds } => {
                let (yes, no) = if holds { (yes, no) } else { (no, yes) };
                self.ordered(JUMP_GREATER, (low, high, test.wide), value, yes, no)
            }
            Comparison::AtLeast { value, holds } => {
                let (yes, no) = if holds { (yes, no) } else { (no, yes) };
                self.ordered(JUMP_AT_LEAST, (low, high, test.wide), value, yes, no)
            }
        }
    }

    /// `(word & mask) == value`.
    fn masked(&mut self, word: u32, mask: u32, value: u32, yes: Place, no: Place) -> Place {
        if mask == 0 && value == 0 {
            return yes;
        }
        self.branch(JUMP_EQUAL, value, yes, no);
        if mask != u32::MAX {
            self.push(AND, mask);
        }
        self.push(LOAD_WORD, word)
    }

    /// Compares the high words, and the low ones when those are equal.
    fn ordered(
        &mut self,
        code: u16,
        (low, high, wide): (u32, u32, bool),
        value: u64,
        yes: Place,
        no: Place,
    ) -> Place {
        self.branch(code, lower(value), yes, no);
        let low = self.push(LOAD_WORD, low);
        if !wide {
            return low;
        }
        let equal = self.branch(JUMP_EQUAL, upper(value), low, no);
        self.branch(JUMP_GREATER, upper(value), yes, equal);
        self.push(LOAD_WORD, high)
    }
}

fn upper(value: u64) -> u32 {
    (value >> 32) as u32
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is what is wanted")]
fn lower(value: u64) -> u32 {
    value as u32
}
