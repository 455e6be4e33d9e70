//! `paddle state`: a container's state, as the specification has it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use common::report::ExitCode;
use serde::Serialize;

use super::output::print_json;
use super::{Done, Globals};
use crate::runtime::{self, Container, ContainerId};

/// Print the state of a container as JSON.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The container
    #[arg(value_name = "ID")]
    id: ContainerId,
}

/// What callers know of a container (runtime-spec, runtime, "State"), and what they ask for beyond that.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Shown {
    oci_version: &'static str,
    pub(super) id: String,
    /// Process 1 as the host counts; 0 for one that has ended.
    pub(super) pid: i32,
    pub(super) status: &'static str,
    pub(super) bundle: PathBuf,
    rootfs: PathBuf,
    pub(super) created: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
    owner: &'static str,
}

impl From<&Container> for Shown {
    fn from(container: &Container) -> Self {
        let state = &container.state;
        // A container of an image has no bundle of its own: the folder with its specification stands for one.
        let bundle = state.bundle.clone().unwrap_or_else(|| container.folder.clone());
        let spec = container.spec().ok();
        let root = spec.and_then(|spec| spec.root().as_ref().map(|root| root.path().clone()));
        Self {
            oci_version: crate::spec::OCI_VERSION,
            id: state.id.to_string(),
            pid: state.status.process().map_or(0, |process| process.pid),
            status: container.status_word(),
            rootfs: root.map_or_else(PathBuf::new, |root| bundle.join(root)),
            bundle,
            created: state.created.to_string(),
            annotations: state.annotations.clone(),
            owner: "",
        }
    }
}

/// Prints it.
pub(super) fn run(arguments: &Arguments, globals: &Globals) -> Done {
    let container = runtime::find(&globals.places.states()?, &arguments.id)?;
    print_json(&Shown::from(&container))?;
    Ok(ExitCode::Ok.into())
}
