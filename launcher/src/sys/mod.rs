//! Stage sys.
pub mod bpf;
pub mod probe;
