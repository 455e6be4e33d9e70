//! The life of a container in the steps of the OCI runtime specification: create, start, kill, delete.
//!
//! ```text
//! bundle -> Spec -> Plan -> state "creating" -> cgroup -> process 1 -> state "created" -> released
//!                           start: state "running" -> the program; poststart
//!                           delete: everything goes; poststop; the state goes last
//! ```
//!
//! No process stays behind to look after a container that was created: it belongs to whoever inherits its process 1. The
//! state comes before what it names, so whatever step a killed `paddle` was at, `delete --force` clears everything.

mod create;
mod delete;
mod error;
mod hooks;
mod kill;
mod restore;
mod run;
mod start;

pub use create::{Options, Request, create};
pub use delete::{delete, forget_cleared};
pub use error::LifecycleError;
pub use kill::{kill, kill_all};
pub use restore::restore;
pub use run::{Foreground, run};
pub use start::start;
