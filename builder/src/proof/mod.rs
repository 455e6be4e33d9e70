//! Runs an image's check in a throw-away sandbox: the proof that it works, and what it looked for in vain.
//!
//! ```text
//! Check + image -> script.rs    what is tried, as one value
//!                  bench.rs     a temporary folder with a store: the image, files and peers of the check
//!                  sandbox.rs   `paddle run` of the image with `coracle __prove` as its process 1
//!                                  │ script on standard input            ▲ outcome on standard output
//!                                  ▼                                     │
//!                  inside/      starts peers and steps, one after the other, and compares
//!                  outcome.rs   what came of it
//!                  suspects.rs  what was looked for in vain, and is in the root
//! ```
//! Decides nothing about isolation, which is paddle's, and puts nothing into the image: what the check
//! needs lies below `/.coracle` while it runs.

mod bench;
pub mod inside;
mod outcome;
mod sandbox;
mod script;
mod suspects;

pub use bench::{Bench, ProofError, Setting};
pub use outcome::{Log, Outcome, Printed, Problem, Seen, Tried, Waiting};
pub use sandbox::{Paddle, SandboxError};
pub use script::BadConfig;
pub use suspects::Suspect;

use crate::trace::Record;

/// Where the check's own things are while it runs.
const OURS: &str = "/.coracle";
/// Bytes of a stream that can be compared.
const MOST_COMPARED: usize = 1 << 20;

/// What a check showed.
#[derive(Debug, Clone)]
pub struct Proof {
    /// What was tried.
    pub outcome: Outcome,
    /// What the image's programs did with files; empty where the kernel did not allow to watch them
    /// ([`Outcome::unwatched`] says why). Paths are the image's.
    pub record: Record,
    /// What they looked for in vain, and the root has.
    pub suspects: Vec<Suspect>,
}

impl Proof {
    /// Whether everything went as the recipe says.
    pub fn holds(&self) -> bool {
        self.outcome.holds()
    }
}
