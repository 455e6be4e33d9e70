//! `paddle create`: a container of a bundle, up to but not including its program.

use std::path::PathBuf;

use clap::Args;
use common::report::ExitCode;

use super::early::Early;
use super::{Done, Globals, timing};
use crate::lifecycle::{self, LifecycleError, Options, Request};
use crate::runtime::ContainerId;
use crate::spawn::{self, Handles};
use crate::spec::Bundle;
use crate::timing::{Mark, mark};

/// Make a container of an OCI bundle, whose program waits for `paddle start`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The folder of the bundle
    #[arg(short, long, value_name = "FOLDER", default_value = ".")]
    bundle: PathBuf,
    /// Say on standard error, when it waits, what each step took
    #[arg(long)]
    timing: bool,
    #[command(flatten)]
    making: Making,
    /// The container's id
    #[arg(value_name = "ID")]
    id: ContainerId,
}

/// How a bundle's container is made, and where its handles go.
#[derive(Debug, Args)]
pub(super) struct Making {
    /// Its configuration is in this file of the bundle [default: config.json]
    #[arg(short = 'f', long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Write the number of its process 1 to this file
    #[arg(long, value_name = "FILE")]
    pid_file: Option<PathBuf>,
    /// Send the controlling side of its terminal to this unix socket
    #[arg(long, value_name = "SOCKET")]
    console_socket: Option<PathBuf>,
    /// Send a descriptor of its process 1 to this unix socket
    #[arg(long, value_name = "SOCKET")]
    pidfd_socket: Option<PathBuf>,
    /// Leave this many further descriptors, from 3 on, to the program
    #[arg(long, value_name = "N", default_value_t = 0)]
    preserve_fds: u32,
    /// Enter the root without pivoting (for a host whose root is an initramfs)
    #[arg(long)]
    no_pivot: bool,
    /// Leave it the caller's session keyring
    #[arg(long)]
    no_new_keyring: bool,
}

impl Making {
    /// Whether any of it was asked for.
    pub(super) fn is_asked(&self) -> bool {
        [&self.config, &self.pid_file, &self.console_socket, &self.pidfd_socket]
            .into_iter()
            .any(Option::is_some)
            || self.preserve_fds > 0
            || self.no_pivot
            || self.no_new_keyring
    }

    /// How, and where to. To be asked before anything is opened.
    pub(super) fn into_parts(
        self,
        globals: &Globals,
    ) -> Result<(Options, Handles), LifecycleError> {
        let listening = listening(|name| std::env::var(name).ok(), std::process::id());
        let options = Options {
            cgroup_driver: globals.management.driver(),
            no_pivot: self.no_pivot,
            no_new_keyring: self.no_new_keyring,
            preserved_descriptors: self.preserve_fds.saturating_add(listening.unwrap_or(0)),
            listening,
        };
        let handles = Handles {
            pid_file: self.pid_file,
            console_socket: self.console_socket,
            pidfd_socket: self.pidfd_socket,
        };
        spawn::keep_places(options.preserved_descriptors)
            .map_err(|source| LifecycleError::Preserve { source })?;
        Ok((options, handles))
    }
}

/// How many sockets were passed to this process (`sd_listen_fds(3)`).
fn listening(variable: impl Fn(&str) -> Option<String>, own: u32) -> Option<u32> {
    let count = variable("LISTEN_FDS")?.parse().ok().filter(|&count| count > 0)?;
    match variable("LISTEN_PID") {
        Some(pid) if pid.parse() != Ok(own) => None,
        _ => Some(count),
    }
}

/// Makes it.
pub(super) fn run(arguments: Arguments, globals: &Globals, early: &Early) -> Done {
    let config = arguments.making.config.clone();
    let (options, handles) = arguments.making.into_parts(globals)?;
    // Its process 1 waits as this program, in reach of whoever is in the container by then.
    spawn::out_of_reach()?;
    timing::begin(arguments.timing, early.since)?;
    let states = globals.places.states()?;
    mark(Mark::Store);
    let bundle = Bundle::load(&arguments.bundle, config.as_deref())?;
    mark(Mark::Specified);
    globals.warn_of_passed_over(&bundle.passed_over);
    let request = Request { id: arguments.id, bundle, options, handles };
    lifecycle::create(&request, &states)?;
    timing::print();
    Ok(ExitCode::Ok.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_passed_on_when_they_are_for_us() {
        let check = |fds: &str, pid: Option<&str>| {
            listening(
                |name| match name {
                    "LISTEN_FDS" => Some(fds.to_owned()),
                    _ => pid.map(str::to_owned),
                },
                7,
            )
        };
        assert_eq!(check("2", Some("7")), Some(2));
        assert_eq!(check("2", None), Some(2));
        assert_eq!(check("2", Some("8")), None);
        assert_eq!(check("0", Some("7")), None);
        assert_eq!(check("x", Some("7")), None);
    }
}
