//! `spawn-plan [--ahead] PLAN.json`: starts the container of a plan and ends as its program ends. With `--ahead` says first what
//! of the container there is before it is started, and in the end what this process still holds of it.
//!
//! A test's own process has threads, and a container can be started from a single-threaded one only. Standard streams are
//! the caller's; with a terminal, what the program writes to it is copied to standard output.
#![expect(clippy::expect_used, reason = "a tool of the tests: whatever is wrong ends it")]
#![expect(clippy::print_stdout, reason = "what it finds is for the test that started it")]

use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::process::ExitCode;
use std::time::Duration;

use common::report;
use launcher::cgroup::{self, Cgroup, Join};
use launcher::plan::Plan;
use launcher::spawn::{self, Ahead, Child, Stdio};
use rustix::process::{WaitId, WaitIdOptions, waitid};

fn main() -> ExitCode {
    if let Some(status) = spawn::init::entry() {
        return status.into();
    }
    let mut arguments = std::env::args_os().skip(1).peekable();
    let ahead = arguments.next_if(|argument| argument == "--ahead").is_some();
    let path = arguments.next().expect("usage: spawn-plan [--ahead] PLAN.json");
    let text = std::fs::read(path).expect("the plan is readable");
    let plan: Plan = serde_json::from_slice(&text).expect("the plan is a plan");
    let cgroup = (!plan.cgroup.is_empty()).then(|| cgroup::create(&plan.cgroup)).transpose();
    let cgroup = match cgroup {
        Ok(cgroup) => cgroup,
        Err(error) => return report::fail(&error),
    };
    let status = run(&plan, cgroup.as_deref(), ahead);
    if let Some(cgroup) = cgroup {
        cgroup.remove().expect("the cgroup can be removed");
    }
    status
}

fn run(plan: &Plan, cgroup: Option<&dyn Cgroup>, ahead: bool) -> ExitCode {
    let join = cgroup.map_or_else(Join::default, |cgroup| cgroup.join().expect("joinable"));
    let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    let stdio = Stdio {
        stdin: stdin.as_fd(),
        stdout: stdout.as_fd(),
        stderr: stderr.as_fd(),
        plain_lines: false,
    };
    let begun = ahead.then(|| begin(plan));
    match spawn::spawn(plan, &join, stdio, begun) {
        Ok(child) => {
            let status = wait(child);
            if ahead {
                println!("{:?}", held());
            }
            status
        }
        Err(error) => report::fail(&error),
    }
}

fn begin(plan: &Plan) -> Ahead {
    let new = plan.namespaces.iter().filter(|namespace| namespace.path.is_none());
    let new: Vec<_> = new.map(|namespace| namespace.kind).collect();
    let mut ahead = Ahead::begin(&new).expect("a second processor and a network of its own");
    ahead.go_on(plan);
    // Whoever asks early gets less.
    let mut before = Vec::new();
    for _ in 0..50 {
        std::thread::sleep(Duration::from_millis(200));
        let now = held();
        if !now.is_empty() && now == before {
            break;
        }
        before = now;
    }
    for thing in held() {
        println!("{thing}");
    }
    ahead
}

/// The namespaces and file systems that this process has descriptors of.
fn held() -> Vec<String> {
    let files = std::fs::read_dir("/proc/self/fd").expect("procfs").flatten();
    let links = files.filter_map(|file| std::fs::read_link(file.path()).ok());
    let mut all: Vec<String> = links.map(|link| link.display().to_string()).collect();
    let kinds = ["net:[", "ipc:[", "anon_inode:[fscontext]"];
    all.retain(|link| kinds.iter().any(|kind| link.starts_with(kind)));
    all.sort();
    all
}

fn wait(child: Child) -> ExitCode {
    if let Some(console) = child.console {
        // EIO is how a terminal says that its last program has gone.
        let mut console = std::fs::File::from(console);
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = console.read(&mut bytes) {
            std::io::stdout().write_all(&bytes[..count]).expect("standard output");
        }
    }
    let status = waitid(WaitId::PidFd(child.pidfd.as_fd()), WaitIdOptions::EXITED)
        .expect("our child")
        .expect("waited without WNOHANG");
    let code = status.exit_status().or(status.terminating_signal().map(|signal| 128 + signal));
    u8::try_from(code.unwrap_or(255)).unwrap_or(255).into()
}
