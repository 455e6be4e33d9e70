//! As an ordinary user who has logged in: the session's scope belongs to root, and nothing is delegated there.

use crate::{Bench, own_group};

#[test]
fn a_limit_that_cannot_be_kept_says_what_to_do() {
    assert!(own_group().contains("/session-"), "{}", own_group());
    let bench = Bench::new("refused");
    bench.run(&["--memory", "64m"], &["memory", "1"]).exits(125).says(&["memory", "hint:"]);
    assert_eq!(bench.run(&[], &["memory", "1"]).ok().text(), "touched");
}
