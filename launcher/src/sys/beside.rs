//! A process beside this one, in the same memory and with the same descriptors: system calls that take long are made on
//! another processor meanwhile.
//!
//! Not a thread: it has a process's own namespaces, ids and end, so that this process stays one of a single thread, from
//! which a container can be forked.

use std::ffi::c_void;
use std::os::fd::{AsFd as _, FromRawFd as _, IntoRawFd as _, OwnedFd};
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, Ordering};

use nix::libc;
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, getpid, getppid, set_parent_process_death_signal, waitid,
};
use rustix::thread::{futex, sched_getaffinity, sched_getcpu, sched_setaffinity};

use super::clone::{self, CloneArgs, Stack, exit_now};

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

/// Has `work` done beside this process, which goes on. It inherits this process's namespaces, ids and signal mask, announces its
/// end to nobody, and ends with `work`, or with this process.
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
    // SAFETY: the new process runs `entry` on a stack of its own, which is unmapped when that has ended; `story` lives for
    // ever and is only read, and `T` may be used by two at a time.
    let pid = unsafe { clone::clone_and_call(&raw mut args, entry::<T>, story) };
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
}

/// For the end of a child, also of one that announces it to nobody (`__WALL`).
fn of_any_kind() -> WaitIdOptions {
    WaitIdOptions::EXITED | WaitIdOptions::from_bits_retain(libc::__WALL.unsigned_abs())
}

impl Drop for Beside {
    fn drop(&mut self) {
        self.wait();
    }
}

/// A place for a descriptor that one of the two leaves for the other.
#[derive(Debug)]
pub struct Slot(AtomicI32);

impl Slot {
    /// With nothing in it.
    pub const fn empty() -> Self {
        Self(AtomicI32::new(-1))
    }

    /// Puts it there; what was there before is closed.
    pub fn put(&self, descriptor: OwnedFd) {
        drop(self.swap(descriptor.into_raw_fd()));
    }

    /// Takes it, if there is one.
    pub fn take(&self) -> Option<OwnedFd> {
        self.swap(-1)
    }

    fn swap(&self, new: i32) -> Option<OwnedFd> {
        let old = self.0.swap(new, Ordering::AcqRel);
        // SAFETY: only descriptors that were given up are put here, and each is taken out once; both processes have the same.
        (old >= 0).then(|| unsafe { OwnedFd::from_raw_fd(old) })
    }
}

/// What one of the two sends the other once, which waits for it: something, or word that there is nothing.
#[derive(Debug)]
pub struct Letter<T: 'static> {
    content: AtomicPtr<T>,
    state: AtomicU32,
}

impl<T: Sync + 'static> Letter<T> {
    const UNSENT: u32 = 0;
    const SENT: u32 = 1;

    /// Not sent yet.
    pub const fn unsent() -> Self {
        Self { content: AtomicPtr::new(std::ptr::null_mut()), state: AtomicU32::new(Self::UNSENT) }
    }

    /// Sends it, or word that there is nothing; only the first time counts.
    pub fn send(&self, content: Option<&'static T>) {
        if self.state.load(Ordering::Relaxed) == Self::SENT {
            return;
        }
        let content = content.map_or(std::ptr::null(), std::ptr::from_ref).cast_mut();
        self.content.store(content, Ordering::Relaxed);
        self.state.store(Self::SENT, Ordering::Release);
        // Whether or not somebody waits already.
        let _ = futex::wake(&self.state, futex::Flags::PRIVATE, 1);
    }

    /// Waits for it.
    pub fn receive(&self) -> Option<&'static T> {
        while self.state.load(Ordering::Acquire) == Self::UNSENT {
            // Woken, interrupted, or sent meanwhile: the state tells.
            let _ = futex::wait(&self.state, futex::Flags::PRIVATE, Self::UNSENT, None);
        }
        // SAFETY: null, or made of a reference to what lives for ever and may be used by two at a time.
        unsafe { self.content.load(Ordering::Relaxed).as_ref() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
}
