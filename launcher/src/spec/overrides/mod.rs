//! What a person asks for on top of the image's own configuration, as typed values.
//!
//! Text becomes these values in `cli/` through the `FromStr` implementations in this folder; nothing below this line
//! sees what was typed.

mod environment;
mod error;
mod files;
mod network;
mod rights;

use common::accounts::UserSpec;
use common::tree::ImagePath;
use oci_spec::runtime::LinuxResources;

pub use environment::EnvVar;
pub use error::ParseError;
pub use files::{Tmpfs, Volume};
pub use network::{HostEntry, Hostname, NetworkChoice};
pub use rights::{CapabilityChoice, Ulimit};

/// The typed form of `paddle run`'s options that shape the container.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "one for each option of the command line")]
pub struct Overrides {
    /// Arguments after the image: replace the image's `Cmd`, follow its `Entrypoint`.
    pub args: Vec<String>,
    /// `--entrypoint`: replaces the image's, and drops its `Cmd`. An empty list removes it.
    pub entrypoint: Option<Vec<String>>,
    /// `--env-file` then `--env`, in order, already resolved to name and value; a later one wins.
    pub env: Vec<(String, String)>,
    /// `--workdir`.
    pub workdir: Option<ImagePath>,
    /// `--user`.
    pub user: Option<UserSpec>,
    /// `--hostname`; `None` takes the container's id.
    pub hostname: Option<Hostname>,
    /// `--volume`, in order.
    pub volumes: Vec<Volume>,
    /// `--tmpfs`, in order.
    pub tmpfs: Vec<Tmpfs>,
    /// `--tty`: a terminal of the container's own.
    pub tty: bool,
    /// `--net`.
    pub network: NetworkChoice,
    /// `--add-host`: further lines of `/etc/hosts`.
    pub add_hosts: Vec<HostEntry>,
    /// `--cap-drop`; applied before [`Self::cap_add`], as Docker does.
    pub cap_drop: Vec<CapabilityChoice>,
    /// `--cap-add`.
    pub cap_add: Vec<CapabilityChoice>,
    /// `--ulimit`; naming one twice is an error.
    pub ulimits: Vec<Ulimit>,
    /// `--init`: a reaping, signal-forwarding process 1 in front of the program.
    pub init: bool,
    /// `--read-only`: the root file system cannot be written.
    pub read_only: bool,
    /// `--userns`: a user namespace for root as well (other users always get one).
    pub user_namespace: bool,
    /// Limits and priorities (`--memory`, `--cpus` ...), made by `cli` from the cgroup stage's types.
    pub resources: Option<LinuxResources>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::str::FromStr;

    fn check<T: FromStr>(right: &[&str], wrong: &[&str]) {
        for text in right {
            assert!(text.parse::<T>().is_ok(), "{text} is right");
        }
        for text in wrong {
            assert!(text.parse::<T>().is_err(), "{text} is wrong");
        }
    }

    #[test]
    fn what_is_typed_is_understood_or_refused() {
        check::<NetworkChoice>(&["none", "host"], &["", "bridge"]);
        check::<EnvVar>(&["A=1", "A=", "A", "A=b=c"], &["", "=x", "A B=1", "A=\0"]);
        check::<UserSpec>(
            &["root", "0", "0:0", "a:b", "1000:", "4294967294"],
            &["", ":0", "4294967295", "4294967296", "-1", "+1", "0:99999999999", "a:b:c"],
        );
        check::<Hostname>(&["a", "a-b.c", "A1"], &["", "-a", "a..b", "a b", &"x".repeat(65)]);
        check::<Volume>(
            &["/a:/b", "/a:/b:ro", "/a:/b:rw", "/a:/b:dev,ro", "/:/host"],
            &[
                "a:/b",
                "/a",
                "/a:b",
                "/a:/",
                "/a:/b:xx",
                "/a:/b/../c",
                "/a:/b:ro:x",
                "/a:/b:",
                "/a:/b:ro,rw",
            ],
        );
        check::<Tmpfs>(&["/t", "/t:size=1m,mode=700"], &["", "t", "/", "/a/.."]);
        check::<HostEntry>(&["db:10.0.0.1", "db:::1", "db:[::1]"], &["db", "db:x", ":1.2.3.4"]);
        check::<CapabilityChoice>(
            &["ALL", "all", "NET_ADMIN", "cap_net_admin"],
            &["", "CAP_", "X"],
        );
        check::<Ulimit>(
            &["nofile=1", "nofile=1:2", "core=unlimited", "cpu=1:unlimited", "NOFILE=5"],
            &["nofile", "nofile=2:1", "nofile=unlimited:1", "nofile=x", "files=1"],
        );
    }

    #[test]
    fn a_file_of_variables_has_comments() {
        let variables = EnvVar::parse_file("# comment\n\nA=1\n  B=\"2\"\nC\n").unwrap();
        let lookup = |name: &str| (name == "C").then(|| "3".to_owned());
        let resolved: Vec<_> =
            variables.into_iter().filter_map(|one| one.resolve(lookup)).collect();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(resolved, [pair("A", "1"), pair("B", "\"2\""), pair("C", "3")]);
    }
}
