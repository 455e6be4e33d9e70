//! Stage image.
