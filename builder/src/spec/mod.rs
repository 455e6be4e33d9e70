//! Stage spec.
