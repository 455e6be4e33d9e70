//! Stage cli.

pub mod closure;
pub mod resolution;
pub mod tree;
