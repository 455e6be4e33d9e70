//! What was found, for people and for programs.
//!
//! Turns values of other stages into text and JSON; decides nothing and prints nothing.
//!
//! ```text
//! check      whether a closure fits together, and what it asks of its surroundings
//! proof      what the steps of a check came to
//! size       numbers for people
//! sizes/     what takes the room in an image
//! draft      a first recipe
//! problems   what is missing or refused, with who needs it and every place tried
//! tree/      who needs whom, how each was found, and what it shadows
//! why/       the chains of who needs whom
//! ```

pub mod check;
pub mod draft;
pub mod problems;
pub mod proof;
pub mod size;
pub mod sizes;
pub mod tree;
pub mod why;
