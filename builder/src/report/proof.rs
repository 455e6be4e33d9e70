//! What a check came to, as text.

use std::fmt::Write as _;

use common::escape::Tamed;

use super::size::count;
use crate::proof::{Proof, Suspect, Tried};

/// A line for each step, and below one that failed why, and what was printed.
///
/// ```text
/// ok       0.05 s  server: redis-server --port 6379
/// failed   0.01 s  redis-cli ping
///                  expected status 0, got status 1
///                  standard error:
///                    Could not connect to Redis
/// 2 steps were not tried
/// looked for in vain in the image, and there in the root:
///   /etc/redis/redis.conf  (by /usr/bin/redis-server)
/// ```
pub fn text(proof: &Proof) -> String {
    let mut text = String::new();
    for step in &proof.outcome.steps {
        tell(&mut text, step);
    }
    if proof.outcome.untried > 0 {
        let were = if proof.outcome.untried == 1 { "was" } else { "were" };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{} {were} not tried", count(proof.outcome.untried, "step"));
    }
    suspects(&mut text, &proof.suspects);
    text
}

/// What a person should know of how it was watched.
pub fn notes(proof: &Proof) -> Vec<String> {
    let seen = proof.outcome.seen.iter().flat_map(|seen| &seen.notes).cloned();
    let unwatched = proof.outcome.unwatched.iter().map(|why| {
        format!("the check was not watched, so that nothing is known of what was looked for: {why}")
    });
    seen.chain(unwatched).collect()
}

/// What may be missing.
fn suspects(text: &mut String, suspects: &[Suspect]) {
    /// A run that lacks a whole folder looks for all that is in it.
    const MOST: usize = 25;
    /// Programs that are named.
    const FEW: usize = 3;
    if suspects.is_empty() {
        return;
    }
    let _ = writeln!(text, "looked for in vain in the image, and there in the root:");
    for Suspect { path, by, rule } in suspects.iter().take(MOST) {
        let more = by.len().saturating_sub(FEW);
        let more = (more > 0).then(|| format!("{more} more"));
        let by: Vec<String> = by.iter().take(FEW).map(ToString::to_string).chain(more).collect();
        let rule =
            rule.as_ref().map(|rule| format!("; rule `{rule}` ships it")).unwrap_or_default();
        let _ = writeln!(text, "  {path}  (by {}{rule})", by.join(", "));
    }
    if let Some(more @ 1..) = suspects.len().checked_sub(MOST) {
        let _ = writeln!(text, "  and {more} more");
    }
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
    use common::tree::ImagePath;

    use super::*;
    use crate::proof::{Log, Outcome, Problem};
    use crate::trace::Record;

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
        let path = |text: &str| ImagePath::new(text).unwrap();
        let suspect = Suspect {
            path: path("/etc/redis.conf"),
            by: [path("/bin/a"), path("/bin/b")].into(),
            rule: Some("redis".to_owned()),
        };
        let proof = Proof {
            outcome: Outcome { steps, untried: 1, ..Outcome::default() },
            record: Record::default(),
            suspects: vec![suspect],
        };
        assert_eq!(
            text(&proof),
            "ok       1.23 s  redis-server\nfailed   0.00 s  redis-cli ping\n                 \
             expected status 0, got status 1\n                 standard error (its end; 7 bytes \
             before):\n                   a\n                   \\x1b[31mb\n1 step was not tried\nlooked for in \
             vain in the image, and there in the root:\n  /etc/redis.conf  (by /bin/a, /bin/b; rule \
             `redis` ships it)\n"
        );
    }
}
