//! Stage supervise.
