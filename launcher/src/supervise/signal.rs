//! Signals by number and by name, and what an unhandled one does.

use std::fmt;
use std::str::FromStr;

/// A signal's number on Linux, 1 to 64; or 0, which reaches nobody and asks whether there is somebody (kill(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signal(i32);

/// Why a string is no signal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no signal: it is a name from signal(7), with or without SIG, or a number up to 64"
)]
pub struct SignalError(String);

/// What the kernel does with a signal that a process neither handles, blocks nor ignores
/// (signal(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefaultAction {
    /// The process ends.
    Terminate,
    /// The process stops until SIGCONT.
    Stop,
    /// Nothing, or the process goes on.
    Nothing,
}

macro_rules! names {
    ($($name:ident = $number:literal),* $(,)?) => {
        /// The numbers of `x86_64` and `aarch64`, which are the same.
        const NAMES: &[(&str, i32)] = &[$((stringify!($name), $number)),*];
        #[expect(missing_docs, reason = "signal(7) describes each")]
        impl Signal { $(pub const $name: Self = Self($number);)* }
    };
}

names! {
    HUP = 1, INT = 2, QUIT = 3, ILL = 4, TRAP = 5, ABRT = 6, BUS = 7, FPE = 8, KILL = 9, USR1 = 10,
    SEGV = 11, USR2 = 12, PIPE = 13, ALRM = 14, TERM = 15, STKFLT = 16, CHLD = 17, CONT = 18,
    STOP = 19, TSTP = 20, TTIN = 21, TTOU = 22, URG = 23, XCPU = 24, XFSZ = 25, VTALRM = 26,
    PROF = 27, WINCH = 28, IO = 29, PWR = 30, SYS = 31,
}

impl Signal {
    /// Glibc's `SIGRTMIN`, which is what people mean: it keeps 32 and 33 for itself (signal(7)).
    const RTMIN: i32 = 34;
    const RTMAX: i32 = 64;

    /// The number.
    pub const fn as_raw(self) -> i32 {
        self.0
    }

    /// No signal: whether one could be sent.
    pub const PROBE: Self = Self(0);

    /// From a number that the kernel reported.
    pub const fn from_raw(number: i32) -> Option<Self> {
        if number >= 1 && number <= Self::RTMAX { Some(Self(number)) } else { None }
    }

    /// What happens to a process that does nothing about it.
    pub const fn default_action(self) -> DefaultAction {
        match self {
            Self::PROBE | Self::CHLD | Self::CONT | Self::URG | Self::WINCH => {
                DefaultAction::Nothing
            }
            Self::STOP | Self::TSTP | Self::TTIN | Self::TTOU => DefaultAction::Stop,
            _ => DefaultAction::Terminate,
        }
    }

    /// Its bit in the masks of `/proc/<pid>/status` (`proc_pid_status(5)`).
    pub const fn bit(self) -> u64 {
        1 << (self.0 - 1)
    }
}

impl FromStr for Signal {
    type Err = SignalError;

    /// `TERM`, `SIGTERM`, `sigterm`, `15`, `RTMIN+3`, `SIGRTMAX-1`: what a `STOPSIGNAL` can say.
    fn from_str(text: &str) -> Result<Self, SignalError> {
        let refused = || SignalError(text.escape_debug().to_string());
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        let offset = |digits: &str| if digits.is_empty() { Some(0) } else { small_number(digits) };
        let number = if let Some(number) = small_number(text) {
            Some(number)
        } else if let Some(rest) = name.strip_prefix("RTMIN") {
            let more = rest.strip_prefix('+').unwrap_or(rest);
            offset(more).map(|more| Self::RTMIN + more)
        } else if let Some(rest) = name.strip_prefix("RTMAX") {
            let less = rest.strip_prefix('-').unwrap_or(rest);
            offset(less).map(|less| Self::RTMAX - less).filter(|number| *number >= Self::RTMIN)
        } else {
            NAMES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
        };
        number.and_then(Self::from_raw).ok_or_else(refused)
    }
}

/// One or two digits and nothing else: no sign, no space.
fn small_number(text: &str) -> Option<i32> {
    let digits = matches!(text.len(), 1 | 2) && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(_, number)| *number == self.0) {
            Some((name, _)) => write!(f, "SIG{name}"),
            None if self.0 >= Self::RTMIN => write!(f, "SIGRTMIN+{}", self.0 - Self::RTMIN),
            None => write!(f, "signal {}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_signal_is_a_name_or_a_number() {
        for (text, number, shown) in [
            ("TERM", 15, "SIGTERM"),
            ("SIGTERM", 15, "SIGTERM"),
            ("sigint", 2, "SIGINT"),
            ("9", 9, "SIGKILL"),
            ("RTMIN", 34, "SIGRTMIN+0"),
            ("SIGRTMIN+3", 37, "SIGRTMIN+3"),
            ("SIGRTMAX", 64, "SIGRTMIN+30"),
            ("RTMAX-1", 63, "SIGRTMIN+29"),
        ] {
            let signal: Signal = text.parse().unwrap();
            assert_eq!((signal.as_raw(), signal.to_string().as_str()), (number, shown), "{text}");
        }
        for wrong in
            ["", "SIG", "0", "65", "-1", "+9", "TERMX", "SIGSIGTERM", "RTMIN+31", "RTMAX-31", "999"]
        {
            assert!(wrong.parse::<Signal>().is_err(), "{wrong}");
        }
    }
}
