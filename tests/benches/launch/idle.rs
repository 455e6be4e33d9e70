//! Many containers that only wait: what each takes of the host's memory, its runtime's own processes included.

use std::fs;
use std::process::{Child, Command};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::contestants::{Ground, id};

/// Starts `count` containers of each contestant, one contestant after another, and prints by how much
/// `MemAvailable` went down for each of them.
pub(crate) fn measure(ground: &Ground, count: usize) {
    println!("{:26} {:>9}", "", "kB");
    for (name, program) in ground.runtimes() {
        let ids: Vec<String> = (0..count).map(|n| format!("{}-{n}", id("idle"))).collect();
        let before = settled();
        for id in &ids {
            for mut command in ground.create_and_start(&program, "/wait", id, false) {
                assert!(command.status().expect("it starts").success(), "{command:?}");
            }
        }
        report(&format!("{name} create, start"), before, count);
        for id in &ids {
            assert!(ground.delete(&program, id).status().expect("it starts").success());
        }
    }
    waiting("paddle run --read-only", count, || Some(ground.paddle_run("wait", true)));
    waiting("bubblewrap, no filter", count, || ground.bubblewrap("/wait", &[]));
}

/// The same for those whose own process stays, and ends its container when it is ended.
fn waiting(name: &str, count: usize, command: impl Fn() -> Option<Command>) {
    let before = settled();
    let mut all: Vec<Child> = Vec::with_capacity(count);
    for _ in 0..count {
        let Some(mut command) = command() else { return };
        all.push(command.spawn().expect("it starts"));
    }
    // There is nothing to wait for that all of them do.
    std::thread::sleep(Duration::from_secs(2));
    report(name, before, count);
    for child in &mut all {
        let pid = Pid::from_child(child);
        kill_process(pid, Signal::TERM).expect("it waits");
    }
    for mut child in all {
        child.wait().expect("it ends");
    }
}

fn report(name: &str, before: u64, count: usize) {
    let taken = before.saturating_sub(available());
    println!("{name:26} {:>9}", taken / count as u64);
}

/// `MemAvailable` once what came before has been given back.
fn settled() -> u64 {
    std::thread::sleep(Duration::from_secs(2));
    available()
}

/// Kilobytes.
fn available() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").expect("procfs");
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
