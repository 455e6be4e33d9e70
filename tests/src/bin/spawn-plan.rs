//! `spawn-plan PLAN.json`: starts the container of a plan and ends as its program ends.
//!
//! A test's own process has threads, and a container can be started from a single-threaded one only. Standard streams are
//! the caller's; with a terminal, what the program writes to it is copied to standard output.
#![expect(clippy::expect_used, reason = "a tool of the tests: whatever is wrong ends it")]

use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::process::ExitCode;

use common::report;
use launcher::cgroup::{self, Cgroup, Join};
use launcher::plan::Plan;
use launcher::spawn::{self, Child, Stdio};
use rustix::process::{WaitId, WaitIdOptions, waitid};

fn main() -> ExitCode {
    if let Some(status) = spawn::init::entry() {
        return status.into();
    }
    let path = std::env::args_os().nth(1).expect("usage: spawn-plan PLAN.json");
    let text = std::fs::read(path).expect("the plan is readable");
    let plan: Plan = serde_json::from_slice(&text).expect("the plan is a plan");
    let cgroup = (!plan.cgroup.is_empty()).then(|| cgroup::create(&plan.cgroup)).transpose();
    let cgroup = match cgroup {
        Ok(cgroup) => cgroup,
        Err(error) => return report::fail(&error),
    };
    let status = run(&plan, cgroup.as_deref());
    if let Some(cgroup) = cgroup {
        cgroup.remove().expect("the cgroup can be removed");
    }
    status
}

fn run(plan: &Plan, cgroup: Option<&dyn Cgroup>) -> ExitCode {
    let join = cgroup.map_or_else(Join::default, |cgroup| cgroup.join().expect("joinable"));
    let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    let stdio = Stdio {
        stdin: stdin.as_fd(),
        stdout: stdout.as_fd(),
        stderr: stderr.as_fd(),
        plain_lines: false,
    };
    match spawn::spawn(plan, &join, stdio, None) {
        Ok(child) => wait(child),
        Err(error) => report::fail(&error),
    }
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
