//! What a program did when it was run once: the files that no header tells of.

pub mod profile;
