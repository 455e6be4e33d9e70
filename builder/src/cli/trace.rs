//! `coracle trace`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use common::report;
use nix::sys::signal::Signal;

use crate::trace::{Event, Record, Start, Status, TraceError, Tracer};

/// Run a command once, and write down which files it and all that it starts open, execute, list and
/// look for in vain.
///
/// The command runs as usual; coracle ends with its status. What it leaves running is waited for: a
/// signal (^C, SIGTERM) ends that, and the profile is written all the same.
#[derive(Debug, clap::Args)]
pub struct TraceArgs {
    /// The profile to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// End everything that still runs after so many seconds
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// The command and its arguments
    #[arg(required = true, last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Time that a tree has to end by itself when it is asked to.
const GRACE: Duration = Duration::from_secs(5);
/// As timeout(1) says that the time was over.
const TIMED_OUT: u8 = 124;

pub(super) fn run(arguments: &TraceArgs) -> Result<ExitCode, TraceError> {
    let start = Start::new(arguments.command.clone());
    let (code, record) = watch(start, arguments.timeout.map(Duration::from_secs))?;
    if let Ok(text) = record.profile.text() {
        std::fs::write(&arguments.output, text).ok();
    }
    Ok(code.into())
}

/// Runs a command to the end of all that it starts.
fn watch(start: Start, timeout: Option<Duration>) -> Result<(u8, Record), TraceError> {
    let signals = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];
    let mut tracer = Tracer::new(&signals)?;
    let main = tracer.spawn(start)?;
    let mut until = timeout.map(|timeout| Instant::now() + timeout);
    let (mut code, mut over, mut asked) = (0, false, false);
    loop {
        match tracer.wait(until)? {
            // After the time was over that is what is told.
            Event::Ended(child, status) if child == main && !over => {
                code = Status::code(status);
                over = true;
            }
            Event::Ended(..) => {}
            Event::Signal { signal, .. } if over && !asked => {
                asked = true;
                until = Some(Instant::now() + GRACE);
                // What outlives the command is no longer in front of the terminal.
                tracer.send_all(if signal == Signal::SIGINT { Signal::SIGTERM } else { signal });
            }
            Event::Signal { .. } if over => break,
            Event::Signal { signal, from_terminal } => {
                if !from_terminal {
                    // It may have ended just now.
                    tracer.send(main, signal).ok();
                }
            }
            Event::Late if asked => break,
            Event::Late => {
                report::warn("the time is over; everything that still runs is ended");
                (code, over, asked) = (TIMED_OUT, true, true);
                until = Some(Instant::now() + GRACE);
                tracer.send_all(Signal::SIGTERM);
            }
            Event::Idle => break,
        }
    }
    Ok((code, tracer.finish()?))
}
