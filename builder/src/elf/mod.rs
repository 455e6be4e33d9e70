//! Stage elf.
