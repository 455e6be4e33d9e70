//! From a profile's rules to one verdict, or a list of tests, for each number.
//!
//! Where several rules name a call, those with tests are tried in the profile's order; a rule without
//! tests decides what is left, and the profile's default what is left then. Tests of one rule must all
//! hold, except that several tests of the same argument are alternatives, as runc reads them.

use std::collections::BTreeMap;

use oci_spec::runtime::{
    LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompOperator, LinuxSyscall,
};

use super::{Architecture, SeccompError};

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

/// What the kernel does: a `SECCOMP_RET_*` of `linux/seccomp.h` with its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Verdict(pub(super) u32);

impl Verdict {
    pub(super) const KILL_PROCESS: Self = Self(0x8000_0000);
    const NOTIFY: Self = Self(0x7fc0_0000);
    pub(super) const NO_SUCH_CALL: Self = Self::errno(ENOSYS);

    const fn errno(number: u32) -> Self {
        Self(0x0005_0000 | number)
    }

    fn of(action: LinuxSeccompAction, errno: Option<u32>) -> Result<Self, SeccompError> {
        use LinuxSeccompAction as Action;
        if let Some(number) = errno.filter(|&number| number > 4095) {
            return Err(SeccompError::Errno(number));
        }
        let plain = match action {
            Action::ScmpActErrno => return Ok(Self::errno(errno.unwrap_or(EPERM))),
            Action::ScmpActTrace => return Ok(Self(0x7ff0_0000 | errno.unwrap_or(EPERM))),
            Action::ScmpActKill | Action::ScmpActKillThread => Self(0),
            Action::ScmpActKillProcess => Self::KILL_PROCESS,
            Action::ScmpActTrap => Self(0x0003_0000),
            Action::ScmpActNotify => Self::NOTIFY,
            Action::ScmpActLog => Self(0x7ffc_0000),
            Action::ScmpActAllow => Self(0x7fff_0000),
        };
        match errno {
            Some(_) => Err(SeccompError::ErrnoWithoutErrno(action)),
            None => Ok(plain),
        }
    }
}

/// What becomes of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decision {
    /// Tried in order; all tests of one must hold.
    pub(super) tests: Vec<(Vec<Test>, Verdict)>,
    /// When none holds.
    pub(super) otherwise: Verdict,
}

impl Decision {
    pub(super) fn plain(verdict: Verdict) -> Self {
        Self { tests: Vec::new(), otherwise: verdict }
    }
}

/// One test of one argument, all 64 bits of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Test {
    /// 0 to 5.
    pub(super) argument: u8,
    pub(super) comparison: Comparison,
}

/// How an argument is compared; less-than is "not greater or equal".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    /// `(argument & mask) == value`, or not.
    Masked { mask: u64, value: u64, holds: bool },
    /// `argument > value`, or not.
    Greater { value: u64, holds: bool },
    /// `argument >= value`, or not.
    AtLeast { value: u64, holds: bool },
}

/// The whole profile for one architecture.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) architecture: Architecture,
    /// For a call made by another instruction set.
    pub(super) foreign: Verdict,
    /// Ranges of numbers by their first; the last reaches to the end, and the first starts at 0.
    pub(super) ranges: Vec<(u32, Decision)>,
}

impl Table {
    /// Whether some call is put to a listener.
    pub(super) fn notifies(&self) -> bool {
        self.ranges.iter().any(|(_, decision)| {
            decision.otherwise == Verdict::NOTIFY
                || decision.tests.iter().any(|(_, verdict)| *verdict == Verdict::NOTIFY)
        })
    }
}

/// Bit 30 of a number marks the x32 calls, which share the audit number of x86-64.
const X32: u32 = 0x4000_0000;

pub(super) fn table(
    profile: &LinuxSeccomp,
    architecture: Architecture,
) -> Result<Table, SeccompError> {
    let default = Verdict::of(profile.default_action(), profile.default_errno_ret())?;
    let mut calls: BTreeMap<u32, Gathered> = BTreeMap::new();
    for rule in profile.syscalls().iter().flatten() {
        let verdict = Verdict::of(rule.action(), rule.errno_ret())?;
        let tests = tests(rule)?;
        for number in rule.names().iter().filter_map(|name| architecture.number(name)) {
            calls.entry(number).or_default().add(&tests, verdict);
        }
    }
    let newest = calls.last_key_value().map(|(&number, _)| number);
    let mut ranges = Ranges::new(Decision::plain(default));
    for (number, gathered) in calls {
        ranges.push(number, gathered.decide(default));
        ranges.push(number + 1, Decision::plain(default));
    }
    // A call that is newer than the profile was never judged by it. Programs cope with ENOSYS, as on
    // an old kernel, but not with EPERM (runc 1.0 made the same choice).
    if let Some(newest) = newest.filter(|_| refuses(profile)) {
        ranges.push(newest + 1, Decision::plain(Verdict::NO_SUCH_CALL));
    }
    if architecture == Architecture::X86_64 {
        ranges.push(X32, Decision::plain(Verdict::NO_SUCH_CALL));
    }
    let listed = profile.architectures().iter().flatten();
    let beside = listed.into_iter().any(|&other| architecture.runs_beside(other));
    let foreign = if beside { Verdict::NO_SUCH_CALL } else { Verdict::KILL_PROCESS };
    Ok(Table { architecture, foreign, ranges: ranges.0 })
}

/// Whether the profile names what is allowed, and refuses the rest.
fn refuses(profile: &LinuxSeccomp) -> bool {
    use LinuxSeccompAction as Action;
    !matches!(
        profile.default_action(),
        Action::ScmpActAllow | Action::ScmpActLog | Action::ScmpActTrace | Action::ScmpActNotify
    )
}

/// The rules of one call.
#[derive(Debug, Default)]
struct Gathered {
    tests: Vec<(Vec<Test>, Verdict)>,
    otherwise: Option<Verdict>,
}

impl Gathered {
    fn add(&mut self, alternatives: &[Vec<Test>], verdict: Verdict) {
        if alternatives.is_empty() {
            self.otherwise.get_or_insert(verdict);
        }
        self.tests.extend(alternatives.iter().map(|tests| (tests.clone(), verdict)));
    }

    fn decide(mut self, default: Verdict) -> Decision {
        let otherwise = self.otherwise.unwrap_or(default);
        // The last tests change nothing when they say what is said without them.
        while self.tests.pop_if(|(_, verdict)| *verdict == otherwise).is_some() {}
        Decision { tests: self.tests, otherwise }
    }
}

/// Neighbours that decide the same are one range: most of the profile's 400 numbers fall together.
struct Ranges(Vec<(u32, Decision)>);

impl Ranges {
    fn new(first: Decision) -> Self {
        Self(vec![(0, first)])
    }

    /// From `start` on, until the next push.
    fn push(&mut self, start: u32, decision: Decision) {
        self.0.pop_if(|(last, _)| *last == start);
        if self.0.last().is_none_or(|(_, last)| *last != decision) {
            self.0.push((start, decision));
        }
    }
}

/// The alternatives of a rule; none for a rule without tests.
fn tests(rule: &LinuxSyscall) -> Result<Vec<Vec<Test>>, SeccompError> {
    let args = rule.args().as_deref().unwrap_or_default();
    let tests: Vec<Test> = args.iter().map(|arg| test(rule, arg)).collect::<Result<_, _>>()?;
    let mut seen: Vec<u8> = tests.iter().map(|test| test.argument).collect();
    seen.sort_unstable();
    seen.dedup();
    Ok(match tests.len() {
        0 => Vec::new(),
        count if count == seen.len() => vec![tests],
        _ => tests.into_iter().map(|test| vec![test]).collect(),
    })
}

fn test(rule: &LinuxSyscall, arg: &LinuxSeccompArg) -> Result<Test, SeccompError> {
    let argument = u8::try_from(arg.index()).ok().filter(|&index| index <= 5).ok_or_else(|| {
        SeccompError::Argument { name: rule.names().join(" "), index: arg.index() }
    })?;
    let value = arg.value();
    let equal = |holds| Comparison::Masked { mask: u64::MAX, value, holds };
    let comparison = match arg.op() {
        LinuxSeccompOperator::ScmpCmpEq => equal(true),
        LinuxSeccompOperator::ScmpCmpNe => equal(false),
        LinuxSeccompOperator::ScmpCmpGt => Comparison::Greater { value, holds: true },
        LinuxSeccompOperator::ScmpCmpLe => Comparison::Greater { value, holds: false },
        LinuxSeccompOperator::ScmpCmpGe => Comparison::AtLeast { value, holds: true },
        LinuxSeccompOperator::ScmpCmpLt => Comparison::AtLeast { value, holds: false },
        LinuxSeccompOperator::ScmpCmpMaskedEq => {
            Comparison::Masked { mask: value, value: arg.value_two().unwrap_or(0), holds: true }
        }
    };
    Ok(Test { argument, comparison })
}
