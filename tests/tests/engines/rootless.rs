//! Podman as an ordinary user.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use super::{Bench, all};
use tests::outcome::{Outcome, run};
use tests::require;
use tests::scratch::Scratch;

/// The ordinary user of Debian's base-passwd, whom nobody logs in as.
const NOBODY: u32 = 65534;

struct Rootless {
    bench: Bench,
}

impl Rootless {
    fn new(name: &str) -> Option<Self> {
        let programs = ["podman", "conmon", "newuidmap", "newgidmap", "unshare", "setpriv"];
        let ready = require::root() && all(&programs) && require::user_namespaces();
        let bench = Bench::with(ready.then(|| Scratch::of_user(name, NOBODY))?);
        let scratch = &bench.scratch;
        scratch.file("ranges", format!("{NOBODY}:1200000000:65536\n"));
        scratch.file(
            "containers.conf",
            "[containers]\ndefault_ulimits = [\"nofile=1000:1000\", \"nproc=2000:2000\"]\n\
             [engine]\nevents_logger = \"file\"\ncgroup_manager = \"cgroupfs\"\n",
        );
        let private = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(scratch.subfolder("xdg"), private).unwrap();
        let podman = Self { bench };
        podman.run(&["load", "--quiet", "--input", "busybox.oci.tar"]).ok();
        Some(podman)
    }

    /// `podman ARGUMENTS` as the user, where `/etc/subuid` and `/etc/subgid` give a range.
    fn run(&self, arguments: &[&str]) -> Outcome {
        let scratch = &self.bench.scratch;
        let path = |name: &str| scratch.path().join(name);
        let script = "mount --bind $0 /etc/subuid && mount --bind $0 /etc/subgid && exec \"$@\"";
        let user = NOBODY.to_string();
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--propagation", "private", "sh", "-c", script])
            .arg(path("ranges"))
            .args(["setpriv", "--reuid", &user, "--regid", &user, "--clear-groups", "podman"])
            .args(["--root".as_ref(), path("storage").as_os_str()])
            .args(["--runroot".as_ref(), path("xdg/runroot").as_os_str()])
            .args(["--tmpdir".as_ref(), path("xdg/tmp").as_os_str()])
            .args(["--storage-driver", "vfs", "--runtime"])
            .arg(self.bench.runtime())
            .args(arguments)
            .current_dir(scratch.path())
            .env_clear()
            .env("PATH", require::PATH)
            .env("HOME", path("home"))
            .env("XDG_RUNTIME_DIR", path("xdg"))
            .env("CONTAINERS_CONF", path("containers.conf"));
        run(&mut command)
    }

    fn once(&self, options: &[&str], script: &str) -> Outcome {
        let start = ["run", "--rm", "--network", "none"];
        self.run(&[&start[..], options, &["busybox", "busybox", "sh", "-c", script]].concat())
    }
}

impl Drop for Rootless {
    fn drop(&mut self) {
        // Ends the process that keeps the user's namespace.
        self.run(&["system", "migrate"]);
    }
}

#[test]
fn an_ordinary_user_runs_containers() {
    let Some(podman) = Rootless::new("rootless") else { return };
    let said = podman.once(&[], "id -u; cat /proc/self/uid_map | tr -s ' '; exit 7").exits(7);
    assert_eq!(said.text(), format!("0\n 0 {NOBODY} 1\n 1 1200000000 65536"));
    #[rustfmt::skip]
    let table: &[(&[&str], &str, &str)] = &[
        (&["--user", "12:34"], "id -u; id -g; touch /tmp/x; stat -c %u /tmp/x", "12\n34\n12"),
        (&["--read-only"], "touch /x 2>&1", "touch: /x: Read-only file system"),
        (&["--tty"], "tty", "/dev/pts/0\r"),
        (&["--cap-drop", "all"], "grep CapEff /proc/self/status", "CapEff:\t0000000000000000"),
        (&[], "test -c /dev/null && echo x >/dev/null && echo device", "device"),
    ];
    for (options, script, expected) in table {
        let said = podman.once(options, script);
        assert_eq!(said.text(), *expected, "{options:?}\n{said:?}");
    }
    podman.run(&["run", "--detach", "--name", "one", "--network", "none", "busybox"]).ok();
    podman.run(&["exec", "one", "busybox", "sh", "-c", "exit 5"]).exits(5);
    podman.run(&["rm", "--force", "--time", "0", "one"]).ok();
}
