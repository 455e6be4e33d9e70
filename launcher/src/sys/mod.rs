//! Stage sys.
