//! Stage network.
