//! Stage store.
