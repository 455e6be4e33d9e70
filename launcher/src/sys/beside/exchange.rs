//! What this process and the one beside it leave, take and tell each other in the memory that both have.

use std::os::fd::{FromRawFd as _, IntoRawFd as _, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32, Ordering};

use rustix::fs::Timespec;
use rustix::thread::futex;

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

/// Work that is done by whoever of the two takes it first.
#[derive(Debug)]
pub struct Turn(AtomicBool);

impl Turn {
    /// Not taken.
    pub const fn open() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Takes it, unless it has been taken.
    pub fn take(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
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
        self.content.store(content, Ordering::Release);
        self.state.store(Self::SENT, Ordering::Release);
        // Whether or not somebody waits already.
        let _ = futex::wake(&self.state, futex::Flags::PRIVATE, 1);
    }

    /// Waits for it, in the process beside: it ends with the one that sends.
    pub fn receive(&self) -> Option<&'static T> {
        while !self.is_sent() {
            self.wait(None);
        }
        self.read()
    }

    pub(super) fn is_sent(&self) -> bool {
        self.state.load(Ordering::Acquire) == Self::SENT
    }

    /// Until it is sent, or time is up, or for no reason.
    pub(super) fn wait(&self, limit: Option<&Timespec>) {
        let _ = futex::wait(&self.state, futex::Flags::PRIVATE, Self::UNSENT, limit);
    }

    /// What was sent, if anything was.
    pub(super) fn read(&self) -> Option<&'static T> {
        // SAFETY: null, or made of a reference to what lives for ever and may be used by two at a time.
        unsafe { self.content.load(Ordering::Acquire).as_ref() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_taken_once() {
        let turn = Turn::open();
        assert!(turn.take());
        assert!(!turn.take());
    }
}
