//! `kill -9` of paddle at any moment of any verb: `delete --force` clears everything, and nothing is in its way.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::{Bench, text};

/// How long the verb takes when nobody kills it, and how many moments of that are tried.
const MOMENTS: u32 = 40;

fn quiet(command: &mut Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Kills the command after `delay`; whether it was still there.
fn kill_after(command: &mut Command, delay: Duration) -> bool {
    let mut child = quiet(command);
    std::thread::sleep(delay);
    let alive = child.try_wait().unwrap().is_none();
    child.kill().ok();
    child.wait().unwrap();
    alive
}

/// How the container looks then, in a word.
fn found(bench: &Bench, id: &str) -> String {
    let did = bench.paddle(&["state", id]);
    match did.code {
        Some(0) => {
            let state: serde_json::Value = serde_json::from_str(&did.out).unwrap();
            state["status"].as_str().unwrap().to_owned()
        }
        _ => "absent".to_owned(),
    }
}

/// Kills `verb` at moments all over its duration, each time on a container as `prepare` leaves it; the states that were
/// met afterwards.
fn kill_everywhere(
    bench: &Bench,
    prepare: impl Fn(&str),
    verb: impl Fn(&str) -> Vec<String>,
) -> BTreeSet<String> {
    let command = |id: &str| {
        let mut command = bench.scratch.paddle();
        command.args(verb(id));
        command
    };
    let id = bench.id();
    prepare(&id);
    let begun = Instant::now();
    quiet(&mut command(&id)).wait().unwrap();
    let whole = begun.elapsed();
    bench.paddle(&["delete", "--force", &id]).ok();
    let mut met = BTreeSet::new();
    for moment in 0..MOMENTS {
        let id = bench.id();
        prepare(&id);
        kill_after(&mut command(&id), whole * moment / MOMENTS);
        met.insert(found(bench, &id));
        bench.paddle(&["delete", "--force", &id]).ok();
        bench.is_clean();
    }
    met
}

#[test]
fn create_can_be_killed_at_any_step() {
    let Some(bench) = Bench::new("killcreate") else { return };
    let bundle = bench.bundle();
    bench.write("exec sleep 1000", &json!({}));
    let verb = |id: &str| ["create", "--bundle", text(&bundle), id].map(str::to_owned).to_vec();
    let met = kill_everywhere(&bench, |_| {}, verb);
    assert!(met.contains("absent"), "some were killed before they had made anything: {met:?}");
    assert!(!met.contains("running"), "{met:?}");
}

#[test]
fn start_can_be_killed_at_any_step() {
    let Some(bench) = Bench::new("killstart") else { return };
    bench.write("exec sleep 1000", &json!({}));
    let prepare = |id: &str| {
        bench.create(id);
    };
    let met = kill_everywhere(&bench, prepare, |id| vec!["start".to_owned(), id.to_owned()]);
    assert!(met.contains("created"), "some were killed before they did anything: {met:?}");
    // Never lost: what is there is created, runs or has ended with its starter.
    assert!(!met.contains("absent"), "{met:?}");
}

#[test]
fn delete_can_be_killed_at_any_step() {
    let Some(bench) = Bench::new("killdelete") else { return };
    bench.write("exec sleep 1000", &json!({}));
    let prepare = |id: &str| {
        bench.create(id);
        bench.paddle(&["start", id]).ok();
    };
    let verb = |id: &str| ["delete", "--force", id].map(str::to_owned).to_vec();
    let met = kill_everywhere(&bench, prepare, verb);
    assert!(met.contains("running"), "some were killed before they did anything: {met:?}");
}

#[test]
fn a_run_in_the_foreground_can_be_killed_at_any_step() {
    let Some(bench) = Bench::new("killrun") else { return };
    let bundle = bench.bundle();
    bench.write("exit 0", &json!({}));
    let verb = |id: &str| ["run", "--bundle", text(&bundle), id].map(str::to_owned).to_vec();
    let met = kill_everywhere(&bench, |_| {}, verb);
    assert_eq!(met.into_iter().collect::<Vec<_>>(), ["absent"], "the next command clears it");
}
