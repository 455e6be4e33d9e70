//! Progress bars on standard error, silent when it is no terminal.
//!
//! A stage asks for a [`Bar`] and advances it; whether anybody sees it is decided here once.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

/// Whether bars are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    visible: bool,
}

/// One stage's bar; it disappears when dropped.
#[derive(Debug)]
pub struct Bar(ProgressBar);

impl Progress {
    /// Drawn when standard error is a terminal and `quiet` was not asked for.
    pub fn new(quiet: bool) -> Self {
        Self { visible: !quiet && std::io::stderr().is_terminal() }
    }

    /// Never drawn.
    pub fn hidden() -> Self {
        Self { visible: false }
    }

    /// A bar for `length` steps named `what` ("resolving", "hashing", "packing").
    pub fn steps(self, what: &'static str, length: u64) -> Bar {
        self.bar(what, length, "{msg:10} {bar:30} {pos}/{len}")
    }

    /// A bar for `length` bytes.
    pub fn bytes(self, what: &'static str, length: u64) -> Bar {
        self.bar(what, length, "{msg:10} {bar:30} {bytes}/{total_bytes}")
    }

    fn bar(self, what: &'static str, length: u64, template: &str) -> Bar {
        if !self.visible {
            return Bar(ProgressBar::hidden());
        }
        let bar = ProgressBar::new(length).with_message(what);
        // The templates are constants of this file; a wrong one falls back to the default look.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Bar(bar)
    }
}

impl Bar {
    /// `count` steps or bytes are done.
    pub fn advance(&self, count: u64) {
        self.0.inc(count);
    }

    /// There is more to do than was known at first.
    pub fn extend(&self, count: u64) {
        self.0.inc_length(count);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
