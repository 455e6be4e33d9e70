//! The state of containers on disk: who exists, who lives, and what the dead left.
//!
//! A container lives while its monitor (the `paddle` that runs it) holds a `flock` on its state;
//! the kernel gives the lock back however the monitor ends. Every command first clears what dead
//! monitors left behind ([`sweep()`]). A container of `paddle create` has no monitor: it lives while its
//! process 1 does, and stays until it is deleted.

mod container;
mod creator;
mod directory;
mod error;
mod found;
mod held;
mod id;
mod lock;
mod mounts;
mod private;
mod process;
mod state;
mod sweep;
mod timestamp;

pub use container::{Container, current, find, list};
pub use directory::StateDirectory;
pub use error::RuntimeError;
pub use found::Found;
pub use held::Held;
pub use id::{ContainerId, IdError};
pub use mounts::mount_at;
pub use private::{is_unused, mark_used, private_folder, remove_area, sweep_store};
pub use process::{ProcessId, ProcessMark};
pub use state::{Exit, Mounted, State, Status};
pub use sweep::{Sweep, clear, clear_but_groups, clear_ended, end, sweep, take, thaw};
pub use timestamp::Timestamp;
