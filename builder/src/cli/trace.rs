//! `coracle trace`.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use common::report::{self, Diagnostic};
use common::tree::ImagePath;
use nix::sys::signal::Signal;

use super::shell_words::{self, WordsError};
use crate::resolve::{Sysroot, found};
use crate::spec::glob::Glob;
use crate::spec::profile::{Profile, ProfileError};
use crate::trace::distil::{Dropped, Facts, distil};
use crate::trace::{Event, Record, Start, TraceError, Tracer};

/// Run a command once, and write down which files it and all that it starts open, execute, list and
/// look for in vain.
///
/// The command runs as usual; coracle ends with its status. What it leaves running is waited for: a
/// signal (^C, SIGTERM) ends that, and the profile is written all the same. What belongs to this machine
/// and not to the program is left out, and counted on standard error.
///
/// Example: coracle trace -o app.trace.toml -- python3 -c 'import ssl'
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub struct TraceArgs {
    /// The profile to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Add to the profile, if there is one
    #[arg(long, conflicts_with = "force")]
    append: bool,
    /// Replace the profile if it exists
    #[arg(long)]
    force: bool,
    /// Leave nothing out
    #[arg(long)]
    all: bool,
    /// Leave out nothing whose path matches this pattern (`/home/me/app/**`); may be repeated
    #[arg(long, value_name = "PATTERN")]
    keep: Vec<String>,
    /// End everything that still runs after so many seconds
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// No summary, no warnings
    #[arg(short, long)]
    quiet: bool,
    /// The command and its arguments
    #[arg(required = true, last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Time that a tree has to end by itself when it is asked to.
const GRACE: Duration = Duration::from_secs(5);
/// As timeout(1) says that the time was over.
const TIMED_OUT: u8 = 124;

/// Why there is no profile.
#[derive(Debug, thiserror::Error)]
pub enum TraceVerbError {
    /// The command was not watched.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// The profile that is to be added to.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// There is one already.
    #[error("`{}` exists", .0.display())]
    Exists(PathBuf),
    /// What is kept is no pattern.
    #[error("`{pattern}` is not a pattern: {why}")]
    Pattern {
        /// As it was given.
        pattern: String,
        /// What is wrong.
        why: &'static str,
    },
    /// The profile cannot be written.
    #[error("cannot write the profile `{}`", path.display())]
    Write {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A command in one argument cannot be split.
    #[error("`{}` is not a command: {why}", command.escape_debug())]
    Words {
        /// As it was given.
        command: String,
        /// What is wrong.
        why: WordsError,
    },
    /// A build's command failed, so that nobody knows what it would have opened.
    #[error("`{}` ended with status {code}", command.escape_debug())]
    Failed {
        /// The command.
        command: String,
        /// Its status.
        code: u8,
    },
    /// The root cannot be opened.
    #[error("cannot open the root")]
    Root(#[source] io::Error),
}

impl Diagnostic for TraceVerbError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Trace(error) => error.hint(),
            Self::Profile(error) => error.hint(),
            Self::Exists(_) => {
                Some("add to it with --append, or replace it with --force".to_owned())
            }
            Self::Pattern { .. } => {
                Some("a pattern has `*`, `?`, `[a-z]`, and `**` as a whole component".to_owned())
            }
            Self::Words { .. } => Some("give it to a shell: sh -c '...'".to_owned()),
            Self::Failed { .. } => Some(
                "run it with `coracle trace`, which takes any status, and build with --profile"
                    .to_owned(),
            ),
            Self::Write { .. } | Self::Root(_) => None,
        }
    }

    fn exit_code(&self) -> report::ExitCode {
        match self {
            Self::Trace(error) => error.exit_code(),
            Self::Exists(_) | Self::Pattern { .. } | Self::Words { .. } => report::ExitCode::Usage,
            _ => report::ExitCode::Failed,
        }
    }
}

/// What a run came to.
#[derive(Debug)]
struct Run {
    /// The command's status, as a shell says it.
    code: u8,
    /// All that was seen.
    record: Record,
    /// The program that was asked for.
    main: Option<ImagePath>,
}

pub(super) fn run(arguments: &TraceArgs) -> Result<ExitCode, TraceVerbError> {
    let output = &arguments.output;
    let keep = arguments.keep.iter().map(|text| pattern(text)).collect::<Result<_, _>>()?;
    let exists = output.symlink_metadata().is_ok();
    if exists && !arguments.append && !arguments.force {
        return Err(TraceVerbError::Exists(output.clone()));
    }
    // What is wrong with it is better known before the command has run.
    let mut whole =
        if exists && arguments.append { Profile::read(output)? } else { Profile::default() };
    let start = Start::new(arguments.command.clone());
    let run = watch(start, arguments.timeout.map(Duration::from_secs))?;
    let (profile, dropped) = if arguments.all {
        (run.record.profile.clone(), Dropped::default())
    } else {
        keepsakes(&run, keep)?
    };
    if !arguments.quiet {
        let mut text = format!("profile  {}\n", output.display());
        text += &summary(&run.record, &profile, dropped);
        // Standard output is the command's. Whoever does not read this has the profile.
        io::stderr().write_all(text.as_bytes()).ok();
    }
    whole.merge(profile);
    write(output, &whole)?;
    Ok(run.code.into())
}

/// Runs a command for a build. Its standard output is not the build's.
pub(super) fn learn(command: &str, quiet: bool) -> Result<Profile, TraceVerbError> {
    let words = shell_words::split(command)
        .map_err(|why| TraceVerbError::Words { command: command.to_owned(), why })?;
    let mut start = Start::new(words.into_iter().map(OsString::from).collect());
    start.stdout = io::stderr().into();
    let run = watch(start, None)?;
    if run.code != 0 {
        return Err(TraceVerbError::Failed { command: command.to_owned(), code: run.code });
    }
    let (profile, dropped) = keepsakes(&run, Vec::new())?;
    if !quiet {
        let text = summary(&run.record, &profile, dropped)
            + "profile  not kept (coracle trace -o FILE, then --profile FILE, builds without running)\n";
        io::stderr().write_all(text.as_bytes()).ok();
    }
    Ok(profile)
}

fn pattern(text: &str) -> Result<Glob, TraceVerbError> {
    Glob::parse(text.as_bytes())
        .map_err(|why| TraceVerbError::Pattern { pattern: text.to_owned(), why })
}

/// Runs a command to the end of all that it starts.
fn watch(start: Start, timeout: Option<Duration>) -> Result<Run, TraceError> {
    let signals = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];
    let mut tracer = Tracer::new(&signals)?;
    let child = tracer.spawn(start)?;
    let main = tracer.program(child).cloned();
    let mut until = timeout.map(|timeout| Instant::now() + timeout);
    let (mut code, mut over, mut asked) = (0, false, false);
    loop {
        match tracer.wait(until)? {
            // After the time was over that is what is told.
            Event::Ended(ended, status) if ended == child && !over => {
                code = status.code();
                over = true;
            }
            Event::Ended(..) => {}
            Event::Signal { signal, .. } if over && !asked => {
                asked = true;
                until = Some(Instant::now() + GRACE);
                // What outlives the command is not in front of the terminal, where ^C reaches it.
                tracer.send_all(if signal == Signal::SIGINT { Signal::SIGTERM } else { signal });
            }
            Event::Signal { .. } if over => break,
            Event::Signal { signal, from_terminal } => {
                if !from_terminal {
                    // It may have ended just now.
                    tracer.send(child, signal).ok();
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
    Ok(Run { code, record: tracer.finish()?, main })
}

/// What of a run is worth keeping, and how much is not.
fn keepsakes(run: &Run, keep: Vec<Glob>) -> Result<(Profile, Dropped), TraceVerbError> {
    let sysroot = Sysroot::open(Path::new("/")).map_err(TraceVerbError::Root)?;
    let own =
        std::env::var_os("HOME").and_then(|home| ImagePath::new(home.as_encoded_bytes()).ok());
    let usual = ["/home", "/root"].into_iter().filter_map(|path| ImagePath::new(path).ok());
    // A service's home is often the root.
    let homes = usual.chain(own).filter(|home| home.parent().is_some()).collect();
    // A shell asks whether the folders that it is told of are there.
    let folders = ["PWD", "OLDPWD"].into_iter().filter_map(std::env::var_os);
    let folders = folders.filter_map(|folder| ImagePath::new(folder.as_encoded_bytes()).ok());
    let found = found::by_loader(&run.record.profile, &sysroot);
    let facts = Facts { main: run.main.clone(), homes, folders: folders.collect(), keep, found };
    Ok(distil(&run.record, &facts))
}

/// What was seen and what was left out, in words. Notes are told as warnings.
fn summary(record: &Record, profile: &Profile, dropped: Dropped) -> String {
    for note in &record.notes {
        report::warn(note);
    }
    let seen = || profile.programs.values();
    let opened: usize = seen().map(|seen| seen.opened.len()).sum();
    let listed: usize = seen().map(|seen| seen.listed.len()).sum();
    let missing: usize = seen().map(|seen| seen.missing.len()).sum();
    let mut text = String::new();
    let _ = writeln!(text, "programs {}", profile.programs.len());
    let _ = writeln!(text, "paths    {opened} opened, {listed} listed, {missing} missing");
    if dropped.sum() > 0 {
        let Dropped { machine, home, made, cache, found, folders, searched } = dropped;
        let parts = [
            (found, "that the loader finds"),
            (folders, "folders of others"),
            (machine, "of this machine"),
            (home, "below a home (--keep PATTERN)"),
            (made, "made by the run"),
            (cache, "in caches"),
            (searched, "found elsewhere"),
        ];
        let parts: Vec<String> = parts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        let _ = writeln!(text, "left out {}", parts.join(", "));
    }
    text
}

/// A profile appears whole or not at all.
fn write(path: &Path, profile: &Profile) -> Result<(), TraceVerbError> {
    let failed = |source| TraceVerbError::Write { path: path.to_owned(), source };
    let text = profile.text().map_err(|error| failed(io::Error::other(error)))?;
    // A link stays one, and so does who may read what it leads to.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut file = tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(0o666))
        .tempfile_in(folder.unwrap_or(Path::new(".")))
        .map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    if let Ok(found) = fs::metadata(&target) {
        file.as_file().set_permissions(found.permissions()).map_err(failed)?;
    }
    file.persist(&target).map(drop).map_err(|error| failed(error.error))
}
