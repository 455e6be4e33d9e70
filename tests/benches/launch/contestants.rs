//! Who takes part: the floor, paddle, bubblewrap, crun and runc, each with every namespace but the user's on the same root.
//! All but bubblewrap, which has none, have cgroups with the same limits; all have the same system call filter where
//! their line does not say otherwise.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use launcher::plan::seccomp::{compile, default_profile};
use launcher::spec::CapabilitySet;
use serde_json::{Value, json};
use tests::{programs, require, samples};

const MEMORY: u64 = 64 << 20;
const PIDS: u64 = 64;
/// The limits for paddle's command line.
const LIMITS: [&str; 4] = ["--memory", "64m", "--pids-limit", "64"];

/// What each floor has beyond the container.
const FLOORS: [&str; 2] = [include_str!("floor/run.c"), include_str!("floor/life.c")];

/// One way to do it: some commands, one after another.
pub(crate) struct Contestant {
    pub(crate) name: String,
    commands: Vec<Command>,
    /// What they read: opened anew each time.
    input: Option<PathBuf>,
}

impl Contestant {
    fn new(name: impl Into<String>, commands: Vec<Command>) -> Self {
        Self { name: name.into(), commands, input: None }
    }

    /// Does it once.
    pub(crate) fn once(&mut self) {
        for command in &mut self.commands {
            if let Some(path) = &self.input {
                command.stdin(fs::File::open(path).expect("what it reads"));
            }
            let status = command.status().expect("the program starts");
            assert!(status.success(), "{}: {status}: {command:?}", self.name);
        }
    }
}

/// What all stand on.
pub(crate) struct Ground {
    folder: PathBuf,
    /// A plain root: `true`, which ends, `wait`, which does not, and mount points.
    root: PathBuf,
    coracle: &'static Path,
    paddle: PathBuf,
    /// For `run`, and for `create`, `start` and `delete`.
    floors: [PathBuf; 2],
    filter: PathBuf,
}

impl Ground {
    pub(crate) fn make(folder: &Path) -> Option<Self> {
        let root = folder.join("root");
        for name in ["proc", "dev", "sys", "tmp", "etc"] {
            fs::create_dir_all(root.join(name)).expect("a root");
        }
        for name in ["hostname", "hosts", "resolv.conf"] {
            fs::write(root.join("etc").join(name), "").expect("a root");
        }
        let ends = "int main(void) { return 0; }";
        let waits = "#include <unistd.h>\nint main(void) { for (;;) pause(); }";
        let options = ["-static", "-O2", "-s"];
        samples::compile_c("gcc", &options, ends, &root.join("true"))?;
        samples::compile_c("gcc", &options, waits, &root.join("wait"))?;
        let floors = [folder.join("floor-run"), folder.join("floor-life")];
        for (floor, own) in floors.iter().zip(FLOORS) {
            let source = format!("{}{own}", include_str!("floor/container.c"));
            samples::compile_c("gcc", &options, &source, floor)?;
        }
        let filter = folder.join("filter");
        fs::write(&filter, program()).expect("a filter");
        let (coracle, built) = programs::release();
        // As the others are: installed. What a linker leaves lies in the page cache in single pages.
        let paddle = folder.join("paddle");
        fs::copy(built, &paddle).expect("a program");
        let ground = Self { folder: folder.to_owned(), root, coracle, paddle, floors, filter };
        ground.build("true");
        ground.build("wait");
        Some(ground)
    }

    fn build(&self, program: &str) {
        let mut command = quiet(self.coracle);
        command.env("CORACLE_STORE", self.folder.join("store"));
        command.args(["build", "-t", &format!("{program}:latest")]).arg(self.root.join(program));
        assert!(command.status().expect("coracle starts").success());
    }

    /// Those that start a program and wait for its end.
    pub(crate) fn starts(&self) -> Vec<Contestant> {
        let mut all = vec![
            Contestant::new("floor, read-only", vec![self.floor("")]),
            Contestant::new("paddle run --read-only", vec![self.paddle_run("true", true)]),
            Contestant::new("floor, writable", vec![self.floor("layer")]),
            Contestant::new("paddle run", vec![self.paddle_run("true", false)]),
        ];
        if let Some(command) = self.bubblewrap("/true", &[]) {
            all.push(Contestant::new("bubblewrap, no filter", vec![command]));
        }
        if let Some(command) = self.bubblewrap("/true", &["--seccomp", "0"]) {
            let input = Some(self.filter.clone());
            all.push(Contestant { input, ..Contestant::new("bubblewrap", vec![command]) });
        }
        for runtime in ["crun", "runc"] {
            let Some(program) = require::program(runtime) else { continue };
            let bundle = self.bundle(&program, "/true");
            let mut command = self.engine(&program);
            command.args(["run", "--bundle"]).arg(bundle).arg(id("run"));
            all.push(Contestant::new(format!("{runtime} run"), vec![command]));
        }
        all.push(Contestant::new("the program alone", vec![quiet(&self.root.join("true"))]));
        all
    }

    /// Those that do what an engine asks of a runtime.
    pub(crate) fn lives(&self) -> Vec<Contestant> {
        let life = |(name, program): (&str, PathBuf)| {
            let commands = self.create_and_start(&program, "/true", &id("life"), true);
            Contestant::new(format!("{name}, create to delete"), commands)
        };
        let floor = Contestant::new("floor, create to delete", self.floor_life());
        std::iter::once(floor).chain(self.runtimes().into_iter().map(life)).collect()
    }

    fn floor_life(&self) -> Vec<Command> {
        let state = self.folder.join(super::STATES).join(id("floor"));
        let verb = |verb| {
            let mut command = quiet(&self.floors[1]);
            command.arg(verb).arg(&state);
            command
        };
        let mut create = verb("create");
        create.arg(&self.root).arg(&self.filter).arg("/true");
        vec![create, verb("start"), verb("delete")]
    }

    /// OCI runtimes, paddle first.
    pub(crate) fn runtimes(&self) -> Vec<(&'static str, PathBuf)> {
        let mut all = vec![("paddle", self.paddle.clone())];
        all.extend(
            ["crun", "runc"].into_iter().filter_map(|name| Some((name, require::program(name)?))),
        );
        all
    }

    /// The commands that create and start a container, and clear it away at once where that is wanted.
    pub(crate) fn create_and_start(
        &self,
        runtime: &Path,
        program: &str,
        id: &str,
        delete: bool,
    ) -> Vec<Command> {
        let bundle = self.bundle(runtime, program);
        let mut create = self.engine(runtime);
        create.args(["create", "--bundle"]).arg(bundle).arg(id);
        let mut start = self.engine(runtime);
        start.args(["start", id]);
        let mut all = vec![create, start];
        if delete {
            all.push(self.delete(runtime, id));
        }
        all
    }

    /// The command that clears a container away.
    pub(crate) fn delete(&self, runtime: &Path, id: &str) -> Command {
        let mut delete = self.engine(runtime);
        delete.args(["delete", "--force", id]);
        delete
    }

    fn engine(&self, runtime: &Path) -> Command {
        let mut command = quiet(runtime);
        let name = runtime.file_name().expect("a program");
        command.arg("--root").arg(self.folder.join(super::STATES).join(name));
        command
    }

    /// A bundle, as each runtime likes it best: with what its own `spec` writes, on the common root, with the common
    /// limits and filter.
    fn bundle(&self, runtime: &Path, program: &str) -> PathBuf {
        let name = runtime.file_name().expect("a program").to_string_lossy();
        let bundle = self.folder.join(format!("bundle-{name}{}", program.replace('/', "-")));
        if bundle.exists() {
            return bundle;
        }
        fs::create_dir_all(&bundle).expect("a bundle");
        let made = quiet(runtime).arg("spec").current_dir(&bundle).status();
        assert!(made.expect("it starts").success(), "{name} spec");
        let file = bundle.join("config.json");
        let text = fs::read(&file).expect("a config.json");
        let mut config: Value = serde_json::from_slice(&text).expect("JSON");
        config["root"] = json!({"path": self.root, "readonly": true});
        config["process"]["terminal"] = json!(false);
        config["process"]["args"] = json!([program]);
        config["linux"]["resources"] = json!({
            "memory": {"limit": MEMORY},
            "pids": {"limit": PIDS},
            "devices": [{"allow": false, "access": "rwm"}],
        });
        config["linux"]["seccomp"] =
            serde_json::to_value(default_profile(CapabilitySet::DOCKER)).expect("JSON");
        fs::write(&file, config.to_string()).expect("a bundle");
        bundle
    }

    fn floor(&self, layer: &str) -> Command {
        let mut command = quiet(&self.floors[0]);
        command.arg(&self.root).arg(&self.filter);
        if layer.is_empty() {
            command.arg("");
        } else {
            command.arg(self.folder.join(layer));
        }
        command.arg("/true");
        command
    }

    /// `paddle run` of one of the two images.
    pub(crate) fn paddle_run(&self, image: &str, read_only: bool) -> Command {
        let mut command = self.engine(&self.paddle);
        command.env("CORACLE_STORE", self.folder.join("store"));
        command.args(["run", "--rm"]).args(LIMITS).args(read_only.then_some("--read-only"));
        command.arg(format!("{image}:latest"));
        command
    }

    /// bubblewrap; killed, it takes its container along.
    pub(crate) fn bubblewrap(&self, program: &str, options: &[&str]) -> Option<Command> {
        let mut command = quiet(&require::program("bwrap")?);
        command.args(["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]);
        command.args(["--unshare-cgroup", "--die-with-parent", "--ro-bind"]).arg(&self.root);
        command.args(["/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]);
        command.args(options).arg(program);
        Some(command)
    }
}

/// A name that no other run of this benchmark has.
pub(crate) fn id(what: &str) -> String {
    format!("coracle-bench-{what}-{}", std::process::id())
}

/// paddle's default filter, as the kernel takes it.
fn program() -> Vec<u8> {
    let profile = default_profile(CapabilitySet::DOCKER);
    let filter = compile(&profile).expect("the default profile");
    filter
        .instructions
        .iter()
        .flat_map(|one| {
            [&one.code.to_ne_bytes()[..], &[one.jt, one.jf], &one.k.to_ne_bytes()].concat()
        })
        .collect()
}

fn quiet(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}
