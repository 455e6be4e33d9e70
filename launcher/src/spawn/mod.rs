//! Stage spawn.
