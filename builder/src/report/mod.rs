//! What was found, for people and for programs.
//!
//! Turns values of other stages into text and JSON; decides nothing and prints nothing.
//!
//! ```text
//! check      whether a closure fits together, and what it asks of its surroundings
//! problems   what is missing or refused, with who needs it and every place tried
//! tree       who needs whom, and how each was found
//! ```

pub mod check;
pub mod problems;
pub mod tree;
