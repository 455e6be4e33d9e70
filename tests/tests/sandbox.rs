//! The sandbox from inside: what a program in a container sees, can do, and cannot. Each container is made from a folder of
//! one static program (`src/probe.c`) by the real stages spec, plan and spawn.

mod sandbox_support;

use launcher::plan::{CapabilitySet, NamespaceKind};
use launcher::spec::Overrides;
use sandbox_support::Box;
use tests::require;

#[test]
fn a_static_program_from_a_folder() {
    if !require::root() {
        return;
    }
    let container = Box::new("static");
    container.check(&["echo=hello", "pid", "ids", "cwd", "host"], "hello\n1\n0 0\n/\nstatic\n");
    container.check_status(&Overrides::default(), &["exit=7"], 7);
    container.check_status(&Overrides::default(), &["kill=15"], 0);
    container.check_status(&Overrides::default(), &["kill=11"], 0);
}
