//! From a profile's rules to one verdict, or a list of tests, for each number.
//!
//! Where several rules name a call, those with tests are tried in the profile's order; a rule without
//! tests decides what is left, and the profile's default what is left then. Tests of one rule must all
//! hold, except that several tests of the same argument are alternatives, as runc reads them.

use std::collections::BTreeMap;

use oci_spec::runtime::{
    LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompOperator, LinuxSyscall,
};

use super::arch::X32_BIT;
use super::{Architecture, SeccompError};

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

/// What the kernel does: a `SECCOMP_RET_*` of `linux/seccomp.h` with its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Verdict(pub(super) u32);

impl Verdict {
    pub(super) const KILL_PROCESS: Self = Self(0x8000_0000);
    const NOTIFY: Self = Self(0x7fc0_0000);
    const LOG: Self = Self(0x7ffc_0000);
    const ALLOW: Self = Self(0x7fff_0000);
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
            Action::ScmpActLog => Self::LOG,
            Action::ScmpActAllow => Self::ALLOW,
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

/// One test of one argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Test {
    /// 0 to 5.
    pub(super) argument: u8,
    /// Whether all 64 bits are compared, or the lower 32.
    pub(super) wide: bool,
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

/// The whole profile for what has one audit number.
#[derive(Debug)]
pub(super) struct Table {
    /// Which.
    pub(super) audit_number: u32,
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

    /// Whether a call always goes through, whatever its arguments.
    pub(super) fn allows(&self, number: u32) -> bool {
        let after = self.ranges.partition_point(|(first, _)| *first <= number);
        let decision = after.checked_sub(1).and_then(|at| self.ranges.get(at));
        decision.is_some_and(|(_, decision)| {
            decision.tests.is_empty()
                && [Verdict::ALLOW, Verdict::LOG].contains(&decision.otherwise)
        })
    }
}

/// One table for each audit number: `native` first, then those that the profile lists and the same kernel runs. Of any
/// other that it lists no call can come.
pub(super) fn tables(
    profile: &LinuxSeccomp,
    native: Architecture,
) -> Result<Vec<Table>, SeccompError> {
    let default = Verdict::of(profile.default_action(), profile.default_errno_ret())?;
    let listed = profile.architectures().as_deref().unwrap_or_default();
    let beside = native.beside().iter().copied().filter(|one| listed.contains(&one.oci()));
    let mut tables: Vec<Table> = Vec::new();
    for architecture in std::iter::once(native).chain(beside) {
        let ranges = ranges(profile, architecture, default)?;
        let audit_number = architecture.audit_number();
        match tables.iter_mut().find(|known| known.audit_number == audit_number) {
            // x32's numbers lie behind those of x86-64.
            Some(known) => known.join(ranges),
            None => tables.push(Table { audit_number, ranges }),
        }
    }
    Ok(tables)
}

impl Table {
    /// Takes over what another says of the numbers from its first call on.
    fn join(&mut self, other: Vec<(u32, Decision)>) {
        self.ranges.retain(|(first, _)| *first < X32_BIT);
        self.ranges.extend(other.into_iter().filter(|(first, _)| *first >= X32_BIT));
    }
}

fn ranges(
    profile: &LinuxSeccomp,
    architecture: Architecture,
    default: Verdict,
) -> Result<Vec<(u32, Decision)>, SeccompError> {
    let mut calls: BTreeMap<u32, Gathered> = BTreeMap::new();
    let mut multiplexed = Vec::new();
    for rule in profile.syscalls().iter().flatten() {
        let verdict = Verdict::of(rule.action(), rule.errno_ret())?;
        let tests = tests(rule, architecture.wide())?;
        for name in rule.names() {
            if let Some(number) = architecture.number(name) {
                calls.entry(number).or_default().add(&tests, verdict);
            }
            if let Some((number, meaning)) = architecture.multiplexed(name) {
                let behind = behind(&tests, meaning);
                multiplexed.extend(behind.into_iter().map(|tests| (number, tests, verdict)));
            }
        }
    }
    // A rule for the whole call that stands for many says that their arguments do not matter: they are out of sight there.
    for (number, tests, verdict) in multiplexed {
        let known = calls.entry(number).or_default();
        if known.otherwise.is_none() {
            known.add(&[tests], verdict);
        }
    }
    // A call that is newer than the profile was never judged by it. Programs cope with ENOSYS, as on
    // an old kernel, but not with EPERM (runc 1.0 made the same choice).
    let newest = calls.keys().copied().filter(|&number| !architecture.private(number)).max();
    let newest = newest.filter(|_| refuses(profile));
    let unnamed = |number| {
        let later = newest.is_some_and(|newest| number > newest);
        Decision::plain(if later { Verdict::NO_SUCH_CALL } else { default })
    };
    let first = if architecture == Architecture::X32 { X32_BIT } else { 0 };
    let mut ranges = Ranges(vec![(first, unnamed(first))]);
    for (number, gathered) in calls {
        ranges.push(number, gathered.decide(default));
        ranges.push(number + 1, unnamed(number + 1));
    }
    if architecture == Architecture::X86_64 {
        ranges.push(X32_BIT, Decision::plain(Verdict::NO_SUCH_CALL));
    }
    Ok(ranges.0)
}

/// The tests of a call where it is asked for by the first argument of another: that argument is taken, and those behind it
/// are of the other call (as libseccomp has it).
fn behind(tests: &[Vec<Test>], meaning: u64) -> Vec<Vec<Test>> {
    let comparison = Comparison::Masked { mask: u64::MAX, value: meaning, holds: true };
    let first = Test { argument: 0, wide: false, comparison };
    let all = |tests: &[Test]| {
        std::iter::once(first)
            .chain(tests.iter().copied().filter(|test| test.argument != 0))
            .collect()
    };
    if tests.is_empty() { vec![all(&[])] } else { tests.iter().map(|one| all(one)).collect() }
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
    /// From `start` on, until the next push.
    fn push(&mut self, start: u32, decision: Decision) {
        self.0.pop_if(|(last, _)| *last == start);
        if self.0.last().is_none_or(|(_, last)| *last != decision) {
            self.0.push((start, decision));
        }
    }
}

/// The alternatives of a rule; none for a rule without tests.
fn tests(rule: &LinuxSyscall, wide: bool) -> Result<Vec<Vec<Test>>, SeccompError> {
    let args = rule.args().as_deref().unwrap_or_default();
    let tests: Vec<Test> =
        args.iter().map(|arg| test(rule, arg, wide)).collect::<Result<_, _>>()?;
    let mut seen: Vec<u8> = tests.iter().map(|test| test.argument).collect();
    seen.sort_unstable();
    seen.dedup();
    Ok(match tests.len() {
        0 => Vec::new(),
        count if count == seen.len() => vec![tests],
        _ => tests.into_iter().map(|test| vec![test]).collect(),
    })
}

fn test(rule: &LinuxSyscall, arg: &LinuxSeccompArg, wide: bool) -> Result<Test, SeccompError> {
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
    Ok(Test { argument, wide, comparison })
}
