//! Support library of the suites.
//!
//! ```text
//! require    may this test run here? A skip is printed; CORACLE_TESTS_STRICT=1 makes it a failure
//! programs   where the built `coracle` and `paddle` are
//! outcome    run a command under a time limit and keep all that it said
//! scratch    a folder with a store and a state of its own, for root or for an ordinary user
//! elf        tiny ELF objects of any class, byte order and dynamic section
//! fuzz       what is fuzzed: one function for each kind of hostile bytes
//! loader     what the dynamic loader itself says about a program, and the resolver in its words
//! chroot     work in another root, or as another user
//! roots      roots made of Debian packages, of any architecture
//! damage     bytes that are wrong somewhere
//! comparison every object of a root: loader against resolver
//! cbpf       an interpreter for seccomp filters
//! hosts      virtual machines of another kind than this host
//! images     images of archives, however wrong; unpacked folders read back
//! leftovers  what a run left on the host: mounts, cgroups, processes, files
//! samples    programs compiled for a test: static, static-pie, musl, script
//! archive    tar archives made byte by byte, wrong in every way
//! server     an HTTPS server on loopback, with a certificate authority of its own
//! ```
//!
//! Suites are in `tests/tests/`, one file for each subject; benchmarks are in `tests/benches/`.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "the whole package is test code: a broken host or program fails the test at once"
)]

pub mod archive;
pub mod cbpf;
pub mod chroot;
pub mod comparison;
pub mod damage;
pub mod elf;
pub mod fuzz;
pub mod hosts;
pub mod images;
pub mod leftovers;
pub mod loader;
pub mod outcome;
pub mod programs;
pub mod require;
pub mod roots;
pub mod samples;
pub mod scratch;
pub mod server;
