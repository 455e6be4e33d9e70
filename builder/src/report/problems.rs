//! What a closure lacks, in words.

use std::fmt::Write as _;

use crate::resolve::{Closure, Refused};

/// Every missing and refused object, in the form of an error each: the object, who needs it, every
/// place tried, and a hint. Empty when the closure is complete.
pub fn text(closure: &Closure) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    for missing in &closure.missing {
        let _ = writeln!(text, "error: {missing}\nhint: {}", missing.hint());
    }
    for refused in &closure.refused {
        let _ = writeln!(text, "error: {refused}\nhint: {}", Refused::HINT);
    }
    text
}
