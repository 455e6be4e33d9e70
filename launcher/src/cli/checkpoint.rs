//! `paddle checkpoint` and `paddle restore`: the processes of a container to files and back, by criu(8).

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use common::report::{Diagnostic, ExitCode};

use super::{Done, Globals};
use crate::checkpoint::{self, CgroupsMode, Common, Request};
use crate::lifecycle::{self, Foreground, Options};
use crate::runtime::ContainerId;
use crate::spawn::{self, Handles};
use crate::spec::Bundle;
use crate::supervise::Ended;

/// Write the processes of a container of a bundle to files, with criu, and remove it.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches of the command line")]
pub(super) struct Checkpoint {
    #[command(flatten)]
    both: Both,
    /// An earlier image, relative to the images: what did not change since is not written again
    #[arg(long, value_name = "FOLDER")]
    parent_path: Option<PathBuf>,
    /// Let it go on afterwards
    #[arg(long)]
    leave_running: bool,
    /// Write memory only, and let it go on; a later checkpoint with --parent-path has less to write
    #[arg(long)]
    pre_dump: bool,
    /// Leave out data that is on the way in TCP connections
    #[arg(long)]
    tcp_skip_in_flight: bool,
    /// Give files a name again that were removed while open
    #[arg(long)]
    link_remap: bool,
    /// Send memory to a page server instead of writing it
    #[arg(long, value_name = "ADDRESS:PORT")]
    page_server: Option<PageServer>,
    /// With --lazy-pages, write a byte to this descriptor when pages can be fetched
    #[arg(long, value_name = "DESCRIPTOR", requires = "lazy_pages",
          value_parser = clap::value_parser!(i32).range(0..))]
    status_fd: Option<i32>,
    /// The container
    #[arg(value_name = "ID")]
    id: ContainerId,
}

/// Make the processes of a container again that `paddle checkpoint` wrote, and wait for its end.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches of the command line")]
pub(super) struct Restore {
    #[command(flatten)]
    both: Both,
    /// The folder of the bundle
    #[arg(short, long, value_name = "FOLDER", default_value = ".")]
    bundle: PathBuf,
    /// Do not wait for its end
    #[arg(short, long)]
    detach: bool,
    /// Keep its state and its cgroups when it has ended
    #[arg(long)]
    keep: bool,
    /// Write the number of its process 1 to this file
    #[arg(long, value_name = "FILE")]
    pid_file: Option<PathBuf>,
    /// Refused: a terminal cannot be restored
    #[arg(long, value_name = "SOCKET", hide = true)]
    console_socket: Option<PathBuf>,
    /// Accepted: there is never one
    #[arg(long, hide = true)]
    no_subreaper: bool,
    /// Accepted: criu enters the root in its own way
    #[arg(long, hide = true)]
    no_pivot: bool,
    /// A profile of a security module
    #[arg(long, value_name = "TYPE:NAME")]
    lsm_profile: Option<String>,
    /// A mount context of a security module
    #[arg(long, value_name = "CONTEXT")]
    lsm_mount_context: Option<String>,
    /// The container's id
    #[arg(value_name = "ID")]
    id: ContainerId,
}

/// What both have.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches of the command line")]
struct Both {
    /// Folder of the files
    #[arg(long, value_name = "FOLDER", default_value = "checkpoint")]
    image_path: PathBuf,
    /// Folder of criu's logs; otherwise that of the files
    #[arg(long, value_name = "FOLDER")]
    work_path: Option<PathBuf>,
    /// Keep open TCP connections
    #[arg(long)]
    tcp_established: bool,
    /// Allow unix sockets that lead out of the container
    #[arg(long)]
    ext_unix_sk: bool,
    /// Allow a terminal of the caller's
    #[arg(long)]
    shell_job: bool,
    /// Keep file locks
    #[arg(long)]
    file_locks: bool,
    /// What is done about cgroups
    #[arg(long, value_name = "MODE", default_value = "soft")]
    manage_cgroups_mode: CgroupsMode,
    /// Make a namespace of this kind, and restore nothing in it
    #[arg(long, value_name = "network")]
    empty_ns: Vec<EmptyNamespace>,
    /// Keep memory once that is in an earlier image, too
    #[arg(long)]
    auto_dedup: bool,
    /// Fetch memory when it is needed
    #[arg(long)]
    lazy_pages: bool,
}

/// A kind of namespace that can be made empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum EmptyNamespace {
    /// Of the network.
    Network,
}

/// Where a page server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
struct PageServer(String, u16);

/// A place where no page server can listen.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("it is ADDRESS:PORT, such as 10.0.0.2:9000")]
struct PageServerError;

impl FromStr for PageServer {
    type Err = PageServerError;

    fn from_str(text: &str) -> Result<Self, PageServerError> {
        let (address, port) = text.rsplit_once(':').ok_or(PageServerError)?;
        let address = address.trim_start_matches('[').trim_end_matches(']');
        let port = port.parse().ok().filter(|&port| port != 0).ok_or(PageServerError)?;
        if address.is_empty() { Err(PageServerError) } else { Ok(Self(address.to_owned(), port)) }
    }
}

/// A terminal was to be restored.
#[derive(Debug, thiserror::Error)]
#[error("a process with a terminal cannot be made again")]
struct ConsoleError;

impl Diagnostic for ConsoleError {
    fn hint(&self) -> Option<String> {
        Some("leave --console-socket out".to_owned())
    }
}

impl Both {
    /// criu changes its folder, so paths are absolute.
    fn into_common(self) -> Common {
        Common {
            images: super::absolute(self.image_path),
            work: self.work_path.map(super::absolute),
            tcp_established: self.tcp_established,
            external_sockets: self.ext_unix_sk,
            shell_job: self.shell_job,
            file_locks: self.file_locks,
            cgroups: self.manage_cgroups_mode,
            empty_network: self.empty_ns.contains(&EmptyNamespace::Network),
            auto_dedup: self.auto_dedup,
            lazy_pages: self.lazy_pages,
        }
    }
}

/// Writes it.
pub(super) fn checkpoint(arguments: Checkpoint, globals: &Globals) -> Done {
    let request = Request {
        id: arguments.id,
        common: arguments.both.into_common(),
        pre: arguments.pre_dump,
        leave_running: arguments.leave_running,
        skip_in_flight: arguments.tcp_skip_in_flight,
        link_remap: arguments.link_remap,
        parent: arguments.parent_path,
        page_server: arguments.page_server.map(|PageServer(address, port)| (address, port)),
        status: arguments.status_fd,
    };
    checkpoint::checkpoint(request, &globals.places.states()?)?;
    Ok(ExitCode::Ok.into())
}

/// Makes it again.
pub(super) fn restore(arguments: Restore, globals: &Globals) -> Done {
    if arguments.console_socket.is_some() {
        return Err(ConsoleError.into());
    }
    spawn::out_of_reach()?;
    let bundle = Bundle::load(&arguments.bundle, None)?;
    globals.warn_of_passed_over(&bundle.passed_over);
    let request = lifecycle::Request {
        id: arguments.id,
        bundle,
        options: Options { cgroup_driver: globals.management.driver(), ..Options::default() },
        handles: Handles { pid_file: arguments.pid_file, ..Handles::default() },
    };
    let restore = checkpoint::Restore {
        common: arguments.both.into_common(),
        lsm_profile: arguments.lsm_profile,
        lsm_mount_context: arguments.lsm_mount_context,
        ..checkpoint::Restore::default()
    };
    let foreground =
        if arguments.detach { Foreground::No } else { Foreground::Yes { keep: arguments.keep } };
    let states = globals.places.states()?;
    let (ended, hooks) = lifecycle::restore(&request, restore, &states, foreground)?;
    globals.warn_of(hooks.as_ref());
    Ok(ended.map_or(ExitCode::Ok.into(), Ended::code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_server_has_an_address_and_a_port() {
        let parsed = |text: &str| text.parse::<PageServer>().ok();
        assert_eq!(parsed("10.0.0.2:9"), Some(PageServer("10.0.0.2".to_owned(), 9)));
        assert_eq!(parsed("[::1]:9"), Some(PageServer("::1".to_owned(), 9)));
        for wrong in ["", ":9", "a", "a:", "a:0", "a:x", "a:70000"] {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
    }
}
