//! Real engines drive `paddle` as their OCI runtime: Podman, containerd with `ctr` and as Kubernetes does, Docker.
//!
//! Each test has an engine of its own: private folders, sockets, networks and groups, none of the host's. The images are made by
//! `coracle`. `CORACLE_TESTS_RUNTIME=/path/of/another` puts another runtime in paddle's place: what fails with every runtime
//! is the test's or the host's fault.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the helpers of a test fail as it does"
)]

mod containerd;
mod docker;
mod kubernetes;
mod podman;
mod rootless;

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::statfs::{CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, statfs};
use nix::unistd::Pid;

use tests::require;
use tests::scratch::Scratch;

/// A folder of a test, with the image `busybox:latest` as the archive `busybox.oci.tar`.
struct Bench {
    scratch: Scratch,
}

impl Bench {
    /// For root, when all of these programs are there. `None` skips the test.
    fn new(name: &str, programs: &[&str]) -> Option<Self> {
        let scratch = (require::root() && all(programs)).then(|| Scratch::new(name))?;
        Some(Self::with(scratch))
    }

    fn with(scratch: Scratch) -> Self {
        let bench = Self { scratch };
        bench.pack("busybox", &["busybox", "sleep", "1000"]);
        bench
    }

    /// Packs busybox as the image `NAME:latest` with this default command, into the archive `NAME.oci.tar`.
    fn pack(&self, name: &str, command: &[&str]) -> PathBuf {
        let archive = self.scratch.path().join(format!("{name}.oci.tar"));
        let recipe = format!(
            "name = \"{name}\"\nexecutables = [\"/bin/busybox\"]\nentrypoint = []\ncmd = {command:?}\n"
        );
        let recipe = self.scratch.file(&format!("{name}.toml"), recipe);
        self.scratch.pack(&[recipe.as_os_str(), "-o".as_ref(), archive.as_os_str()]);
        archive
    }

    /// The runtime that is tested.
    fn runtime(&self) -> PathBuf {
        std::env::var_os("CORACLE_TESTS_RUNTIME")
            .map_or_else(|| self.scratch.path().join("bin/paddle"), PathBuf::from)
    }

    /// What names of this test's networks and bridges begin with: unlike any other test's, and short, since the kernel
    /// cuts names of network devices off at 15 bytes.
    fn short(&self) -> String {
        format!("ct{}", self.subnet())
    }

    /// A number from 0 to 255 for this test's own addresses.
    fn subnet(&self) -> u8 {
        let mark = self.scratch.mark().bytes();
        mark.fold(17, |sum: u8, byte| sum.wrapping_mul(31).wrapping_add(byte))
    }

    /// Removes the groups that engines themselves make above those of containers, and leave; and the plain folders that some of
    /// them make where the host has no hierarchy of a controller.
    ///
    /// # Panics
    /// When a group of a container is among them, or a process in one of them.
    fn remove_parents(&self) {
        for group in self.scratch.settled().cgroups.iter().rev() {
            let system = statfs(group).map(|stat| stat.filesystem_type());
            let is_group =
                system.is_ok_and(|it| [CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC].contains(&it));
            let removed = if is_group { fs::remove_dir(group) } else { fs::remove_dir_all(group) };
            removed.unwrap_or_else(|error| panic!("{}: {error}", group.display()));
        }
    }
}

/// Whether all of these programs are there; says which is not.
fn all(programs: &[&str]) -> bool {
    programs.iter().all(|name| require::program(name).is_some())
}

/// Asks until the answer is yes.
///
/// # Panics
/// After 20 seconds.
#[track_caller]
fn until(what: &str, mut answer: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !answer() {
        assert!(Instant::now() < end, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// An engine's daemon.
struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts it, and waits until `ready` says yes.
    fn start(command: &mut Command, log: PathBuf, ready: impl Fn() -> bool) -> Self {
        let file = fs::File::create(&log).unwrap();
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        let mut daemon = Self { child: command.spawn().unwrap(), log };
        let end = Instant::now() + Duration::from_secs(30);
        while !ready() {
            let ended = daemon.child.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < end, "{ended:?}: {}", daemon.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        daemon
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::io::stderr().write_all(self.log().as_bytes()).ok();
        }
        let id = Pid::from_raw(self.child.id().try_into().unwrap());
        kill(id, Signal::SIGTERM).ok();
        self.child.wait().ok();
    }
}

/// The value that limits process `pid`: of the file `v1` of its group in the controller's own hierarchy, or of `v2`.
fn limit(pid: u32, controller: &str, v1: &str, v2: &str) -> String {
    let (hierarchy, own, file) = match require::controller(controller).expect("the host limits") {
        require::Hierarchy::V1(at) => (at, controller, v1),
        require::Hierarchy::V2(at) => (at, "", v2),
    };
    // `NUMBER:CONTROLLERS:PATH` (cgroups(7)); of version 2, without controllers.
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let group = groups.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        controllers.split(',').any(|name| name == own).then_some(path)
    });
    let path = hierarchy.join(group.unwrap().trim_start_matches('/')).join(file);
    let value = fs::read_to_string(&path);
    value.unwrap_or_else(|error| panic!("{}: {error}", path.display())).trim().to_owned()
}
