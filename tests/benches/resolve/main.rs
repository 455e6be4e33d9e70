//! How long it takes to say what files load: coracle beside libtree, lddtree and ldd.
//!
//! ```sh
//! cargo bench -p tests --bench resolve                     # this machine's own files
//! cargo bench -p tests --bench resolve -- --root DIR       # those of another Debian root, in a chroot (as root)
//! cargo bench -p tests --bench resolve -- --files 500 --rounds 11 /usr/bin/git
//! ```
//!
//! | table | what is done |
//! |---|---|
//! | one process for each file | every tool is started for every file, one tool after the other |
//! | one process for all files | every tool is started with all files as its arguments |
//! | one program | every tool is started for the program with the most files, or the one that is named |
//!
//! `coracle tree` says more than its peers: what else would have been found, and why it was not; `coracle closure` says only
//! which files. Files are the programs and libraries of `/usr/bin`, `/usr/sbin` and `/usr/lib` that need a library; of more
//! than `--files` (3000) as many, evenly spread. Tools take turns, so that a busy machine disturbs all alike.
//! Times are by the clock, and of the processor (user and system, with children). Beside them stands for how
//! many files a tool's answer was the loader's own: the same files (links resolved), and the same names missing.
#![expect(clippy::print_stdout, reason = "a benchmark's output is its result")]
#![expect(clippy::expect_used, reason = "without what it measures, there is nothing to measure")]

mod said;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use builder::elf::{Class, Machine, Object};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{UsageWho, getrusage};
use tests::loader::Loader;
use tests::{programs, require};

use said::{Said, of_closure, of_lddtree, of_libtree, of_loader, of_tree, said};

const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";
const FOLDERS: [&str; 3] = ["/usr/bin", "/usr/sbin", "/usr/lib"];
/// A tool that takes longer than this for all files is not asked again.
const PATIENCE: Duration = Duration::from_secs(20);

/// What was asked for.
struct Arguments {
    root: Option<PathBuf>,
    files: usize,
    rounds: usize,
    program: Option<PathBuf>,
}

/// What one start cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Cost {
    wall: Duration,
    cpu: Duration,
}

struct Tool {
    name: &'static str,
    program: PathBuf,
    options: &'static [&'static str],
    read: fn(&Output) -> Said,
}

fn main() {
    let arguments = arguments();
    let (coracle, _) = programs::release();
    let coracle = match &arguments.root {
        Some(root) => enter(root, coracle),
        None => coracle.to_owned(),
    };
    let tools = tools(coracle);
    let (files, expected) = asked(arguments.files);
    println!("{} files, compared with {LOADER}", files.len());
    each(&tools, &files, &expected);
    all(&tools, &files, arguments.rounds.min(5));
    let program = arguments.program.unwrap_or_else(|| {
        let most = (0..files.len()).max_by_key(|&file| expected[file].files.len());
        files[most.expect("a file")].clone()
    });
    one(&tools, &program, arguments.rounds);
}

fn arguments() -> Arguments {
    // `cargo test --benches` passes no `--bench`; it asks only whether this runs.
    let measured = std::env::args().any(|argument| argument == "--bench");
    let (files, rounds) = if measured { (3000, 31) } else { (2, 1) };
    let mut arguments = Arguments { root: None, files, rounds, program: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().expect("a value behind an option");
        match word.as_str() {
            "--root" => arguments.root = Some(value().into()),
            "--files" => arguments.files = value().parse().expect("a number of files"),
            "--rounds" => arguments.rounds = value().parse().expect("a number of rounds"),
            other if other.starts_with("--") => {}
            program => arguments.program = Some(program.into()),
        }
    }
    arguments
}

/// Makes `root` the root of this process, with devices and processes; returns where coracle is in it. All
/// mounts are in a namespace of our own, and end with it.
fn enter(root: &Path, coracle: &Path) -> PathBuf {
    unshare(CloneFlags::CLONE_NEWNS).expect("a mount namespace (as root)");
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).expect("private mounts");
    for folder in ["/dev", "/proc"] {
        let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
        let target = root.join(folder.trim_start_matches('/'));
        mount(Some(folder), &target, none, flags, none).expect("a root with /dev and /proc");
    }
    let folder = root.join("tmp");
    mount(none, &folder, Some("tmpfs"), MsFlags::empty(), none).expect("a root with /tmp");
    fs::copy(coracle, folder.join("coracle")).expect("coracle is copied");
    nix::unistd::chroot(root).expect("the root");
    nix::unistd::chdir("/").expect("the root");
    "/tmp/coracle".into()
}

/// The tools that are there.
fn tools(coracle: PathBuf) -> Vec<Tool> {
    let of_path = |name: &str| {
        let mut files = require::PATH.split(':').map(|folder| Path::new(folder).join(name));
        files.find(|file| file.is_file()).unwrap_or_default()
    };
    let (libtree, lddtree, ldd) = (of_path("libtree"), of_path("lddtree"), of_path("ldd"));
    let mut tools = vec![
        Tool {
            name: "coracle closure",
            program: coracle.clone(),
            options: &["closure"],
            read: of_closure,
        },
        Tool { name: "coracle tree", program: coracle, options: &["tree"], read: of_tree },
        // With the libraries that it leaves out by default, and by path.
        Tool { name: "libtree", program: libtree, options: &["-p", "-vv"], read: of_libtree },
        Tool { name: "lddtree", program: lddtree, options: &[], read: of_lddtree },
        Tool { name: "ldd", program: ldd, options: &[], read: of_loader },
    ];
    tools.retain(|tool| {
        let there = tool.program.is_file();
        if !there {
            println!("{} is not installed: left out", tool.name);
        }
        there
    });
    tools
}

impl Tool {
    fn start(&self, files: &[PathBuf]) -> (Cost, Output) {
        let mut command = Command::new(&self.program);
        command.env_clear().env("PATH", require::PATH).args(self.options).args(files);
        let (before, started) = (cpu(), Instant::now());
        let output = command.stdin(Stdio::null()).output().expect("the tool starts");
        let cost = Cost { wall: started.elapsed(), cpu: cpu().saturating_sub(before) };
        // Their status says whether something is missing; to say nothing is to have failed.
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.stdout.is_empty(), "{command:?}: {errors}");
        (cost, output)
    }

    /// Whether an answer about `file` is the loader's. The file itself is left out: not every tool names it where
    /// its libraries need it in turn.
    fn is_right(&self, output: &Output, file: &Path, expected: &Said) -> bool {
        let mut said = (self.read)(output);
        said.files.retain(|path| path != file);
        said.missing == expected.missing
            && said.files.iter().eq(expected.files.iter().filter(|path| *path != file))
    }
}

/// What all children that have ended have used.
fn cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("rusage of children");
    let time = |value: nix::sys::time::TimeVal| {
        let (seconds, micros) = (value.tv_sec().unsigned_abs(), value.tv_usec().unsigned_abs());
        Duration::from_secs(seconds) + Duration::from_micros(micros)
    };
    time(usage.user_time()) + time(usage.system_time())
}

/// Up to `limit` files, and what the loader says of each. Those that it stops at are left out.
fn asked(limit: usize) -> (Vec<PathBuf>, Vec<Said>) {
    let found: BTreeSet<PathBuf> = FOLDERS
        .iter()
        .flat_map(|folder| walkdir::WalkDir::new(folder).into_iter().filter_map(Result::ok))
        .filter(|entry| entry.file_type().is_file())
        .filter(|entry| is_asked(entry.path()))
        .map(walkdir::DirEntry::into_path)
        .collect();
    let step = found.len().div_ceil(limit.max(1)).max(1);
    let loader = Loader::new(Path::new("/"), LOADER);
    found
        .into_iter()
        .step_by(step)
        .map(|file| (loader.list(file.as_os_str()), file))
        .filter(|(answer, _)| !answer.fatal)
        .map(|(answer, file)| (file, said(answer)))
        .unzip()
}

fn is_asked(file: &Path) -> bool {
    let Ok(object) = fs::File::open(file).map(|file| Object::parse(&file)) else { return false };
    object.is_ok_and(|object| {
        let interpreter = object.interpreter.as_ref().map_or(LOADER.as_bytes(), |n| n.as_bytes());
        let machine = (object.class, object.machine) == (Class::Elf64, Machine::X86_64);
        machine && !object.needed.is_empty() && interpreter == LOADER.as_bytes()
    })
}

fn each(tools: &[Tool], files: &[PathBuf], expected: &[Said]) {
    let mut costs = vec![Vec::new(); tools.len()];
    let mut right = vec![0_usize; tools.len()];
    for (file, expected) in files.iter().zip(expected) {
        for (number, tool) in tools.iter().enumerate() {
            let (cost, output) = tool.start(std::slice::from_ref(file));
            costs[number].push(cost);
            right[number] += usize::from(tool.is_right(&output, file, expected));
        }
    }
    print_head("one process for each file", "as the loader");
    for (number, tool) in tools.iter().enumerate() {
        let sum = |costs: &[Cost]| Cost {
            wall: costs.iter().map(|cost| cost.wall).sum(),
            cpu: costs.iter().map(|cost| cost.cpu).sum(),
        };
        let note = format!("{} of {}", right[number], files.len());
        print_row(tool, sum(&costs[number]), sum(&costs[0]), &note);
    }
}

fn all(tools: &[Tool], files: &[PathBuf], rounds: usize) {
    let costs = alternate(tools, files, rounds);
    print_head("one process for all files", "rounds");
    for (tool, costs_of_tool) in tools.iter().zip(&costs) {
        let note = costs_of_tool.len().to_string();
        print_row(tool, median(costs_of_tool), median(&costs[0]), &note);
    }
}

fn one(tools: &[Tool], program: &Path, rounds: usize) {
    let files = [program.to_owned()];
    let costs = alternate(tools, &files, rounds);
    let expected = said(Loader::new(Path::new("/"), LOADER).list(program.as_os_str()));
    let title = format!("{}: {} libraries", program.display(), expected.files.len());
    print_head(&title, "as the loader");
    for (tool, costs_of_tool) in tools.iter().zip(&costs) {
        let right = tool.is_right(&tool.start(&files).1, program, &expected);
        let note = if right { "yes" } else { "no" };
        print_row(tool, median(costs_of_tool), median(&costs[0]), note);
    }
}

/// The costs of each tool over some rounds, after one that does not count.
fn alternate(tools: &[Tool], files: &[PathBuf], rounds: usize) -> Vec<Vec<Cost>> {
    let mut costs: Vec<Vec<Cost>> = tools.iter().map(|tool| vec![tool.start(files).0]).collect();
    for round in 0..rounds {
        for (tool, costs) in tools.iter().zip(&mut costs) {
            if costs[0].wall > PATIENCE {
                continue;
            }
            let (cost, _) = tool.start(files);
            if round == 0 {
                costs.clear();
            }
            costs.push(cost);
        }
    }
    costs
}

/// Medians by the clock and of the processor, each for itself.
fn median(costs: &[Cost]) -> Cost {
    let middle = |mut values: Vec<Duration>| {
        values.sort_unstable();
        values[values.len() / 2]
    };
    Cost {
        wall: middle(costs.iter().map(|cost| cost.wall).collect()),
        cpu: middle(costs.iter().map(|cost| cost.cpu).collect()),
    }
}

fn print_head(title: &str, note: &str) {
    println!("\n{title}");
    println!("{:<16}{:>12}{:>8}{:>12}{:>8}  {note}", "", "clock ms", "ratio", "cpu ms", "ratio");
}

fn print_row(tool: &Tool, cost: Cost, ours: Cost, note: &str) {
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    println!(
        "{:<16}{:>12.1}{:>8.2}{:>12.1}{:>8.2}  {note}",
        tool.name,
        ms(cost.wall),
        ms(cost.wall) / ms(ours.wall),
        ms(cost.cpu),
        ms(cost.cpu) / ms(ours.cpu)
    );
}
