//! `coracle`: packs one application into the smallest root filesystem that runs it.
//!
//! ```text
//! Recipe -> ImageSpec -> Closure -> Plan -> Tree -> Image
//! spec/     (valid)      resolve/   plan/   assemble/ image/
//! ```
//!
//! A stage imports only stages to its left, and `common`. Nothing here executes what it packs.
#![forbid(unsafe_code)]

pub mod assemble;
pub mod cli;
pub mod elf;
pub mod image;
pub mod plan;
pub mod report;
pub mod resolve;
pub mod spec;
