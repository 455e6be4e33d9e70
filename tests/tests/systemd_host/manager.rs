//! As an ordinary user, in a service of the user's own manager as it is by default: its group is the user's, without controllers.

use crate::{Bench, UNIFIED};

/// The user's manager.
const MANAGER: &str = "/user.slice/user-1000.slice/user@1000.service";

#[test]
fn limits_hold() {
    Bench::new("limits").limits_hold(&[], &format!("{UNIFIED}{MANAGER}"));
}

#[test]
fn a_killed_paddle_leaves_nothing() {
    Bench::new("killed").a_killed_paddle_leaves_nothing(&[]);
}
