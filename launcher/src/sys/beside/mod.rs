//! A process beside this one, in the same memory and with the same descriptors: system calls that take long are made on
//! another processor meanwhile.
//!
//! Not a thread: it has a process's own namespaces, ids and end, so that this process stays one of a single thread, from
//! which a container can be forked.

mod exchange;

use std::ffi::c_void;
use std::os::fd::{AsFd as _, OwnedFd};

use nix::libc;
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use rustix::fs::Timespec;
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, getpid, getppid, set_parent_process_death_signal, waitid,
};
use rustix::thread::{sched_getaffinity, sched_getcpu, sched_setaffinity};

use super::clone::{self, CloneArgs, Stack, exit_now};
pub use exchange::{Letter, Slot, Turn};

/// Some ten times what it uses.
const STACK: usize = 64 * 1024;

/// The process. Dropped, it is waited for.
#[derive(Debug)]
pub struct Beside {
    /// None when it has ended.
    running: Option<(OwnedFd, Stack)>,
}

/// What it does, and with what.
struct Story<T: 'static> {
    work: fn(&T),
    data: &'static T,
    /// Beside which process.
    whose: Pid,
}

/// Has `work` done beside this process, which goes on. It inherits this process's namespaces and ids, is spared by
/// signals, announces its end to nobody, and ends with `work`, or with this process.
///
/// `work` makes system calls and no more: it neither allocates nor panics, since locks and variables of this thread are
/// this thread's.
///
/// # Errors
///
/// What mmap and clone3 say.
pub fn beside<T: Sync + 'static>(data: &'static T, work: fn(&T)) -> Result<Beside, Errno> {
    let stack = Stack::new(STACK)?;
    let story: &'static Story<T> = Box::leak(Box::new(Story { work, data, whose: getpid() }));
    let mut pidfd = -1;
    let flags = (libc::CLONE_VM | libc::CLONE_FILES).unsigned_abs();
    let mut args = CloneArgs::new(flags.into(), None, &mut pidfd)?;
    args.exit_signal = 0;
    args.set_stack(&stack);
    let story = std::ptr::from_ref(story).cast_mut().cast::<c_void>();
    // Signals are this process's affair: the default of some would end both, as a memory is dumped with all who have it.
    let mut mask = SigSet::empty();
    // Neither can fail with these arguments (sigprocmask(2)).
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut mask));
    // SAFETY: the new process runs `entry` on a stack of its own, which is unmapped when that has ended; `story` lives for
    // ever and is only read, and `T` may be used by two at a time.
    let pid = unsafe { clone::clone_and_call(&raw mut args, entry::<T>, story) };
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&mask), None);
    let (pid, pidfd) = clone::made(pid?, pidfd)?;
    // Where that cannot be, it works when this process sleeps.
    let _ = send_away(pid);
    Ok(Beside { running: Some((pidfd, stack)) })
}

/// Off this processor, where the kernel often leaves a new process although another is idle.
fn send_away(pid: Pid) -> Result<(), Errno> {
    let mut others = sched_getaffinity(None)?;
    others.unset(sched_getcpu());
    sched_setaffinity(Some(pid), &others)
}

extern "C" fn entry<T: 'static>(story: *mut c_void) -> ! {
    // SAFETY: `beside` passes a pointer to a `Story<T>` that lives for ever.
    let story = unsafe { &*story.cast::<Story<T>>() };
    // It may wait for this process, which must not leave it behind.
    let guarded = set_parent_process_death_signal(Some(Signal::KILL));
    if guarded.is_ok() && getppid() == Some(story.whose) {
        (story.work)(story.data);
    }
    exit_now(0)
}

impl Beside {
    /// Waits for its end.
    pub fn wait(&mut self) {
        let Some((pidfd, stack)) = self.running.take() else { return };
        let ended =
            rustix::io::retry_on_intr(|| waitid(WaitId::PidFd(pidfd.as_fd()), of_any_kind()));
        if ended.is_err() {
            // It cannot be known whether it still runs there.
            std::mem::forget(stack);
        }
    }

    /// Waits for a letter from it. None will come when it has ended, by whatever.
    pub fn receive<T: Sync + 'static>(&self, letter: &Letter<T>) -> Option<&'static T> {
        while !letter.is_sent() {
            if self.has_ended() {
                break;
            }
            letter.wait(Some(&NOW_AND_THEN));
        }
        letter.read()
    }

    fn has_ended(&self) -> bool {
        let Some((pidfd, _)) = &self.running else { return true };
        let glance = of_any_kind() | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        !matches!(waitid(WaitId::PidFd(pidfd.as_fd()), glance), Ok(None))
    }
}

/// How often one who waits looks whether the other is still there.
const NOW_AND_THEN: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };

/// For the end of a child, also of one that announces it to nobody (`__WALL`).
fn of_any_kind() -> WaitIdOptions {
    WaitIdOptions::EXITED | WaitIdOptions::from_bits_retain(libc::__WALL.unsigned_abs())
}

impl Drop for Beside {
    fn drop(&mut self) {
        self.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::kill_process;
    use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
    use std::time::Duration;

    #[test]
    fn it_works_in_the_same_memory_with_the_same_descriptors_in_namespaces_of_its_own() {
        struct Data(AtomicI32, Slot);
        static DATA: Data = Data(AtomicI32::new(0), Slot::empty());
        let mut process = beside(&DATA, |data| {
            data.0.store(getpid().as_raw_nonzero().get(), Ordering::Release);
            if let Ok((pipe, _)) = rustix::pipe::pipe() {
                data.1.put(pipe);
            }
        })
        .unwrap();
        process.wait();
        let pid = Pid::from_raw(DATA.0.load(Ordering::Acquire)).expect("it has worked");
        assert_ne!(pid, getpid());
        let pipe = DATA.1.take().expect("the descriptor is ours, too");
        // Nobody has the other side: the end.
        assert_eq!(rustix::io::read(&pipe, &mut [0; 1]), Ok(0));
        assert!(DATA.1.take().is_none());
        // Reaped: nothing of that number is our child any more.
        let options = of_any_kind() | WaitIdOptions::NOHANG;
        assert_eq!(waitid(WaitId::Pid(pid), options).unwrap_err(), Errno::CHILD);
    }

    #[test]
    fn it_is_sent_to_another_processor_if_there_is_one() {
        struct Data {
            ours: u32,
            /// Of the other process, when it ended.
            theirs: AtomicU32,
        }
        let processors = || sched_getaffinity(None).map_or(0, |all| all.count());
        let ours = processors();
        let data = Box::leak(Box::new(Data { ours, theirs: AtomicU32::new(0) }));
        let mut process = beside(data, |data| {
            // It may begin before it is sent.
            for _ in 0..1000 {
                let theirs = sched_getaffinity(None).map_or(0, |all| all.count());
                data.theirs.store(theirs, Ordering::Release);
                if theirs < data.ours {
                    return;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        })
        .unwrap();
        process.wait();
        let theirs = data.theirs.load(Ordering::Acquire);
        assert_eq!(theirs, if ours > 1 { ours - 1 } else { ours });
    }

    #[test]
    fn a_letter_is_waited_for_and_the_first_counts() {
        struct Data {
            letter: Letter<u32>,
            read: AtomicU32,
        }
        for (sent, read) in [(Some(&7), 7), (None, 1)] {
            let data = Data { letter: Letter::unsent(), read: AtomicU32::new(0) };
            let data = Box::leak(Box::new(data));
            let mut process = beside(data, |data| {
                data.read.store(data.letter.receive().copied().unwrap_or(1), Ordering::Release);
            })
            .unwrap();
            assert_eq!(data.read.load(Ordering::Acquire), 0);
            data.letter.send(sent);
            data.letter.send(Some(&9));
            process.wait();
            assert_eq!(data.read.load(Ordering::Acquire), read);
        }
    }

    #[test]
    fn who_was_killed_sends_nothing_and_nobody_waits_for_it() {
        struct Data {
            pid: AtomicI32,
            never: Letter<u32>,
            answer: Letter<u32>,
        }
        let data =
            Data { pid: AtomicI32::new(0), never: Letter::unsent(), answer: Letter::unsent() };
        let data = Box::leak(Box::new(data));
        let process = beside(data, |data| {
            data.pid.store(getpid().as_raw_nonzero().get(), Ordering::Release);
            data.never.receive();
        })
        .unwrap();
        let pid = loop {
            if let Some(pid) = Pid::from_raw(data.pid.load(Ordering::Acquire)) {
                break pid;
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        // All but this one pass it by.
        kill_process(pid, Signal::QUIT).unwrap();
        kill_process(pid, Signal::KILL).unwrap();
        assert_eq!(process.receive(&data.answer), None);
    }
}
