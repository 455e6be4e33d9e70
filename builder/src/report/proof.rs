//! What a check came to, as text.

use std::fmt::Write as _;

use common::escape::Tamed;

use super::size::count;
use crate::proof::{Proof, Tried};

/// A line for each step, and below one that failed why, and what was printed.
///
/// ```text
/// ok       0.05 s  server: redis-server --port 6379
/// failed   0.01 s  redis-cli ping
///                  expected status 0, got status 1
///                  standard error:
///                    Could not connect to Redis
/// 2 steps were not tried
/// ```
pub fn text(proof: &Proof) -> String {
    let mut text = String::new();
    for step in &proof.outcome.steps {
        tell(&mut text, step);
    }
    if proof.untried > 0 {
        let were = if proof.untried == 1 { "was" } else { "were" };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{} {were} not tried", count(proof.untried, "step"));
    }
    text
}

fn tell(text: &mut String, step: &Tried) {
    let word = if step.problem.is_none() { "ok" } else { "failed" };
    // Hundredths are as exact as a person can use.
    let (seconds, hundredths) = (step.millis / 1000, step.millis % 1000 / 10);
    let _ = writeln!(text, "{word:6} {seconds:3}.{hundredths:02} s  {}", one_line(&step.what));
    let Some(problem) = &step.problem else { return };
    for line in problem.to_string().lines() {
        let _ = writeln!(text, "{:17}{}", "", Tamed(line));
    }
    for log in &step.logs {
        let cut = if log.before > 0 {
            format!(" (its end; {} bytes before)", log.before)
        } else {
            String::new()
        };
        let _ = writeln!(text, "{:17}{}{cut}:", "", Tamed(&log.of));
        for line in log.text.lines() {
            let _ = writeln!(text, "{:19}{}", "", Tamed(line));
        }
    }
}

fn one_line(what: &str) -> String {
    /// Characters of a command that are shown; scripts are long.
    const MOST: usize = 120;
    let shown = Tamed(what).to_string();
    if shown.chars().count() <= MOST {
        return shown;
    }
    shown.chars().take(MOST).chain("...".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::{Log, Outcome, Problem};

    #[test]
    fn a_step_is_a_line_and_a_failed_one_says_why() {
        let step = |what: &str, millis, problem, logs| Tried {
            what: what.to_owned(),
            millis,
            problem,
            logs,
        };
        let log =
            Log { of: "standard error".to_owned(), text: "a\n\x1b[31mb".to_owned(), before: 7 };
        let failed = Problem::Status { expected: 0, got: 1 };
        let steps = vec![
            step("redis-server", 1234, None, Vec::new()),
            step("redis-cli ping", 5, Some(failed), vec![log]),
        ];
        let proof = Proof { outcome: Outcome { steps }, untried: 1 };
        assert_eq!(
            text(&proof),
            "ok       1.23 s  redis-server\nfailed   0.00 s  redis-cli ping\n                 \
             expected status 0, got status 1\n                 standard error (its end; 7 bytes \
             before):\n                   a\n                   \\x1b[31mb\n1 step was not tried\n"
        );
    }
}
