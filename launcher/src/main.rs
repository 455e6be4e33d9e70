//! The program `paddle`.
//!
//! With glibc it is started by the C library alone, without the standard library's own start: that takes a fortieth of a
//! container's, since it reads `/proc/self/maps` to be able to explain the overflow of a stack, for which the kernel ends a
//! process anyhow. The rest of what it does is done by [`launcher::sys::start`].
#![cfg_attr(all(target_env = "gnu", not(test)), no_main)]
#![allow(unsafe_code, reason = "the C library knows its caller by name")]

/// What the C library calls. (It has handed the arguments to the standard library before.)
#[cfg(all(target_env = "gnu", not(test)))]
// SAFETY: no other function of this program has this name.
#[unsafe(no_mangle)]
extern "C" fn main() -> std::ffi::c_int {
    launcher::sys::start::prepare();
    // Flushes standard output, which returning would not.
    std::process::exit(run().into())
}

#[cfg(not(all(target_env = "gnu", not(test))))]
fn main() -> std::process::ExitCode {
    run().into()
}

/// Started as process 1 of a container, it is that and nothing else.
fn run() -> u8 {
    launcher::spawn::init::entry().unwrap_or_else(launcher::cli::main)
}
