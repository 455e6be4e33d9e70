//! What starting a program that does nothing costs, beside the peers and beside the floor: what the kernel alone takes
//! for the same container.
//!
//! ```sh
//! cargo bench -p tests --bench launch            # as root; ROUNDS=200 for more than 50 rounds
//! ```
//!
//! ```text
//! contestants   who starts what, with which options, on the same root, limits and filter
//! floor         the shortest programs that ask the kernel for the same container
//! idle          many containers that only wait: what they take of the memory
//! ```
//!
//! The program is a static `true`, compiled here, packed by `coracle`, and laid out as a plain root for the
//! others. One round starts each once, in turn, so that a busy moment hits all of them; the median of the
//! rounds counts, from spawn to exit. Only the ratios mean something on another machine.

#![expect(clippy::print_stdout, reason = "a benchmark's output is its purpose")]
#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up has nothing to say")]

mod contestants;
mod idle;

use std::path::Path;
use std::time::{Duration, Instant};

use contestants::{Contestant, Ground};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use tests::require;

/// Containers that wait at the same time.
const IDLE: usize = 200;

/// Where all keep their states: a file system in memory, as `/run` is on a host.
const STATES: &str = "states";

fn main() {
    // `cargo test --benches` passes no `--bench`; it asks only whether this runs.
    let thorough = std::env::args().any(|argument| argument == "--bench");
    let wanted = std::env::var("ROUNDS").ok().and_then(|text| text.parse().ok());
    let rounds = if thorough { wanted.unwrap_or(50) } else { 1 };
    if !require::root() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let states = folder.path().join(STATES);
    prepare_mounts(&states);
    let Some(ground) = Ground::make(folder.path()) else { return };
    println!("a start, to the end of the program");
    race(rounds, PAUSE, ground.starts());
    println!("\na start on a machine that has been idle");
    race(rounds.div_ceil(3), IDLENESS, ground.starts());
    println!("\ncreate, start and delete, as engines do");
    race(rounds, PAUSE, ground.lives());
    let (count, times) = if thorough { (IDLE, 3) } else { (2, 1) };
    for (name, program) in ground.runtimes() {
        println!("\nbeside {count} containers of {name} that wait");
        let own = |one: &Contestant| one.name.starts_with("floor") || one.name.starts_with(name);
        let all = ground.starts().into_iter().chain(ground.lives()).filter(own).collect();
        idle::beside(&ground, &program, count, || race(rounds, PAUSE, all));
    }
    println!("\ncontainers that wait, memory of each");
    idle::measure(&ground, count, times);
    umount2(&states, MntFlags::MNT_DETACH).expect("the states' file system goes");
}

/// How long the kernel is given to clear away what the one before left to it, a network namespace above all: nobody is to pay
/// for another's.
const PAUSE: Duration = Duration::from_millis(10);

/// How long a machine does nothing before somebody starts one container on it. Whoever moves a process that runs into a group
/// then waits for a grace period of RCU, which a busy machine is always near the end of.
const IDLENESS: Duration = Duration::from_millis(300);

/// Runs all in turns, each after a pause, and prints the medians.
fn race(rounds: usize, pause: Duration, mut all: Vec<Contestant>) {
    let mut times: Vec<Vec<Duration>> = all.iter().map(|_| Vec::with_capacity(rounds)).collect();
    for round in 0..rounds + 3 {
        for (contestant, times) in all.iter_mut().zip(&mut times) {
            std::thread::sleep(pause);
            let start = Instant::now();
            contestant.once();
            // The first rounds unpack, and fill caches.
            if round >= 3 || rounds == 1 {
                times.push(start.elapsed());
            }
        }
    }
    for times in &mut times {
        times.sort();
    }
    let quantile = |index: usize, percent: usize| {
        let times: &Vec<Duration> = &times[index];
        times[(times.len() - 1) * percent / 100].as_secs_f64() * 1000.0
    };
    println!("{:26} {:>9} {:>9} {:>9} {:>9}", "", "median", "10 %", "90 %", "ratio");
    for (index, contestant) in all.iter().enumerate() {
        println!(
            "{:26} {:6.2} ms {:6.2} ms {:6.2} ms {:9.2}",
            contestant.name,
            quantile(index, 50),
            quantile(index, 10),
            quantile(index, 90),
            quantile(index, 50) / quantile(0, 50)
        );
    }
    println!("ratio: to `{}`", all[0].name);
}

/// A mount namespace of our own, in which the states are in memory. crun refuses a host that mounts v1 and v2 beside each
/// other; here v2 is taken away from it, and from the others too.
fn prepare_mounts(states: &Path) {
    unshare(CloneFlags::CLONE_NEWNS).expect("a mount namespace");
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>).expect("private mounts");
    std::fs::create_dir(states).expect("a folder for states");
    mount(Some("states"), states, Some("tmpfs"), MsFlags::empty(), Some("mode=700"))
        .expect("a tmpfs for states");
    let unified = "/sys/fs/cgroup/unified";
    if Path::new(unified).join("cgroup.procs").exists() {
        umount2(unified, MntFlags::MNT_DETACH).expect("the v2 mount goes");
    }
}
