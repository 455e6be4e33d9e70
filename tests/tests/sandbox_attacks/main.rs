//! Each rule R1 to R10 of the sandbox as the attack that it ends.

mod paths;
mod process;
#[path = "../sandbox_support/mod.rs"]
mod sandbox_support;

use launcher::spec::Overrides;

fn with(change: impl FnOnce(&mut Overrides)) -> Overrides {
    let mut overrides = Overrides::default();
    change(&mut overrides);
    overrides
}
