//! What a program did when it was run once: the files that no header tells of.
//!
//! Decides how a run is watched and what of it is worth keeping. Refuses to know what a build makes of
//! it, and what a loader would have found by itself: it is told.
//!
//! ```text
//! Start -> Tracer -> Record -> Profile
//! start    a command under a filter, before it is executed
//! calls    which calls are watched, and the filter that stops at them
//! tracer   the loop: every thread of the tree, its stops and its end
//! place    which path a call means
//! record   what calls say about paths
//! distil   what of it is worth keeping
//! ```

mod calls;
pub mod distil;
mod error;
mod place;
pub mod record;
pub mod start;
mod task;
pub mod tracer;

pub use error::{Status, TraceError};
pub use record::Record;
pub use start::Start;
pub use tracer::{Child, Event, Tracer};
