//! Many containers that only wait: what each takes of the host's memory, its runtime's own processes included.
//!
//! What is counted is what grows with them: the kernel's objects, stacks, page tables and per-processor areas, and what
//! processes and file systems in memory hold. Whoever comes first pays for slabs that those after it find
//! half empty: so each has a turn that does not count, and the median of some others does.

use std::fs;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::contestants::{Ground, id};

/// The lines of `/proc/meminfo` that are counted.
const COUNTED: [&str; 6] = ["AnonPages", "Shmem", "Slab", "KernelStack", "PageTables", "Percpu"];

/// A way to have `count` containers: what grew by them, in kilobytes.
type Turn<'a> = Box<dyn Fn(usize) -> Option<u64> + 'a>;

/// Starts `count` containers of each contestant, one contestant after another, for some rounds, and prints what each of
/// them takes.
pub(crate) fn measure(ground: &Ground, count: usize, rounds: usize) {
    let mut all: Vec<(String, Turn<'_>)> = Vec::new();
    for (name, program) in ground.runtimes() {
        let turn = move |count| Some(created(ground, &program, count));
        all.push((format!("{name} create, start"), Box::new(turn)));
    }
    let run = || Some(ground.paddle_run("wait", true));
    all.push(("paddle run --read-only".to_owned(), Box::new(move |count| waiting(count, run))));
    let peer = || ground.bubblewrap("/wait", &[]);
    all.push(("bubblewrap, no filter".to_owned(), Box::new(move |count| waiting(count, peer))));
    let mut taken: Vec<Vec<u64>> = vec![Vec::new(); all.len()];
    for round in 0..=rounds {
        for ((_, turn), taken) in all.iter().zip(&mut taken) {
            taken.extend(turn(count).filter(|_| round > 0));
        }
    }
    println!("{:26} {:>9}", "", "kB");
    for ((name, _), mut taken) in all.into_iter().zip(taken) {
        taken.sort_unstable();
        if let Some(median) = taken.get(taken.len() / 2) {
            println!("{name:26} {:>9}", median / count as u64);
        }
    }
}

/// By `create` and `start`: nothing of the runtime stays.
fn created(ground: &Ground, program: &Path, count: usize) -> u64 {
    let before = settled();
    beside(ground, program, count, || settled().saturating_sub(before))
}

/// Does it while `count` containers of that runtime wait.
pub(crate) fn beside<T>(
    ground: &Ground,
    program: &Path,
    count: usize,
    work: impl FnOnce() -> T,
) -> T {
    let ids: Vec<String> = (0..count).map(|n| format!("{}-{n}", id("idle"))).collect();
    for id in &ids {
        for mut command in ground.create_and_start(program, "/wait", id, false) {
            assert!(command.status().expect("it starts").success(), "{command:?}");
        }
    }
    let done = work();
    for id in &ids {
        assert!(ground.delete(program, id).status().expect("it starts").success());
    }
    done
}

/// Those whose own process stays, and ends its container when it is ended.
fn waiting(count: usize, command: impl Fn() -> Option<Command>) -> Option<u64> {
    let before = settled();
    let mut all: Vec<Child> = Vec::with_capacity(count);
    for _ in 0..count {
        all.push(command()?.spawn().expect("it starts"));
    }
    let taken = settled().saturating_sub(before);
    for child in &mut all {
        let pid = Pid::from_child(child);
        kill_process(pid, Signal::TERM).expect("it waits");
    }
    for mut child in all {
        child.wait().expect("it ends");
    }
    Some(taken)
}

/// What is counted, in kilobytes, once all that was started runs and what came before has been given back: namespaces go
/// in the background, and nothing says when they are gone.
fn settled() -> u64 {
    std::thread::sleep(Duration::from_secs(2));
    let text = fs::read_to_string("/proc/meminfo").expect("procfs");
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    let counted = lines.filter(|(name, _)| COUNTED.contains(name));
    counted
        .map(|(_, rest)| rest.trim().trim_end_matches(" kB").parse::<u64>().expect("a number"))
        .sum()
}
