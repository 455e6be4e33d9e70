//! Ctrl-C and its like while an image is written: the build is asked to end and to remove what it
//! has made, and the program then dies of the signal, as whoever sent it expects.
//!
//! The signals are blocked in every thread and taken one by one by a thread of their own
//! (sigwait(3)), so that no handler interrupts anything. A second signal does not wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use nix::sys::signal::{SigSet, Signal, raise};

use crate::interrupt::Interrupt;

/// What ends a program politely.
const SIGNALS: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// The signal that asked for the end, once there was one.
#[derive(Debug, Default)]
pub(super) struct Watch {
    caught: Arc<AtomicI32>,
}

/// Watches for signals. To be called before any other thread is started: they inherit what is
/// blocked. Where that is not possible, signals end the program at once, as if nobody watched.
pub(super) fn watch(interrupt: &Interrupt) -> Watch {
    let watch = Watch::default();
    let ignored = ignored();
    let mut signals = SigSet::empty();
    // What is ignored stays so: `nohup`, and jobs in the background of a script.
    for signal in SIGNALS.into_iter().filter(|signal| ignored >> (*signal as i32 - 1) & 1 == 0) {
        signals.add(signal);
    }
    if signals.thread_block().is_err() {
        return watch;
    }
    let (caught, interrupt) = (Arc::clone(&watch.caught), interrupt.clone());
    let wait = move || {
        while let Ok(signal) = signals.wait() {
            let first = caught.swap(signal as i32, Ordering::SeqCst) == 0;
            if !(interrupt.raise() && first) {
                die(signal);
            }
        }
    };
    if std::thread::Builder::new().name("signals".to_owned()).spawn(wait).is_err() {
        // Nobody would take them.
        signals.thread_unblock().ok();
    }
    watch
}

impl Watch {
    /// Dies of the signal that asked for the end, if there was one.
    pub(super) fn end(&self) {
        if let Ok(signal) = Signal::try_from(self.caught.load(Ordering::SeqCst)) {
            die(signal);
        }
    }
}

fn die(signal: Signal) {
    let mut set = SigSet::empty();
    set.add(signal);
    // If this fails the program goes on, and ends with the error of what was interrupted.
    set.thread_unblock().and_then(|()| raise(signal)).ok();
}

/// The signals that were ignored from the start, a bit for each (`SigIgn` of `proc_pid_status(5)`).
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}
