//! Mounts, devices, the root and covered paths of bundles, as the runtime specification has them: what each word and field does is
//! looked at from inside.
#![expect(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "the parts of one suite; a failure is a failed test"
)]

mod attacks;
mod binds;
mod bundle;
mod devices;
mod file_systems;
mod owners;
mod planned;
mod root;
#[path = "../sandbox_support/mod.rs"]
mod sandbox_support;
