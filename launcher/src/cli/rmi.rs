//! `paddle rmi`: takes images out of the store.

use clap::Args;
use common::oci::reference::Reference;
use common::report::{self, ExitCode};

use super::output::print;
use super::{Done, Places};

/// Remove images: their names, and all that no other name needs.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The images
    #[arg(required = true, value_name = "NAME[:TAG]")]
    names: Vec<Reference>,
}

/// Removes each that is there, prints its name, and reports the others.
pub(super) fn run(arguments: &Arguments, places: &Places) -> Done {
    let store = places.store()?;
    let mut status = ExitCode::Ok;
    for name in &arguments.names {
        match store.remove(name) {
            Ok(removed) => {
                print(&format!("{name}\n"))?;
                if !removed.in_use.is_empty() {
                    report::warn(&format!(
                        "`{name}` is in use by a container; its files stay until the next \
                         `paddle prune`"
                    ));
                }
            }
            Err(error) => {
                report::print(&error);
                status = ExitCode::Failed;
            }
        }
    }
    Ok(status.into())
}
