//! `paddle`: unpacks an image once and runs it in its own namespaces and cgroup.
//!
//! ```text
//! reference -> StoredImage -> Spec -> Plan -> Child -> ExitStatus
//! cli/         store/         spec/   plan/   spawn/   supervise/
//! ```
//!
//! [`run`] is the whole way; [`lifecycle`] is the same for OCI bundles, in the steps that engines ask for. Single-threaded by rule, but while the store unpacks. `unsafe` stands only under [`sys`].

pub mod cgroup;
pub mod checkpoint;
pub mod cli;
pub mod exec;
pub mod host;
pub mod lifecycle;
pub mod network;
pub mod plan;
pub mod resctrl;
pub mod run;
pub mod runtime;
pub mod spawn;
pub mod spec;
pub mod store;
pub mod supervise;
pub mod sys;
pub mod timing;
