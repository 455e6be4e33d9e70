//! Stage assemble.
