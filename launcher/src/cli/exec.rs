//! `paddle exec`: options become a [`Request`], and an outcome becomes a status.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::Args;
use common::accounts::UserSpec;
use common::escape::Escaped;
use common::report::{self, Diagnostic, ExitCode};

use super::{Done, Globals, status};
use crate::exec::{self, Changes, ExecError, Note, Program, Request, Subgroup};
use crate::runtime::{ContainerId, IdError};
use crate::spawn::{self, Handles};
use crate::spec::{CapabilityChoice, EnvVar, ParseError};
use crate::supervise::Ended;

/// Run a further program in a container that runs, and wait for its end.
///
/// Unless options say otherwise, it is as the container's own program is: user, variables, folder, rights. Ends with the
/// program's status; 128+n if signal n ended it; 126 if it is not executable, 127 if it does not exist, 255 if it could
/// not be started.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    program: Options,
    #[command(flatten)]
    caller: Caller,
    /// The container, and the program with its arguments
    // One list: with an argument of its own for the container, clap would take options behind it as ours.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true,
          value_names = ["NAME", "PROGRAM"])]
    container_and_args: Vec<OsString>,
}

/// What runs.
#[derive(Debug, Args)]
#[command(next_help_heading = "Program")]
#[expect(clippy::doc_markdown, reason = "what describes an option is its help text")]
struct Options {
    /// Read all of it from a file (`process` of the runtime specification)
    #[arg(short, long, value_name = "FILE")]
    process: Option<PathBuf>,
    /// Give it a terminal of its own
    #[arg(short, long)]
    tty: bool,
    /// Pass the caller's input to it, which is always done
    #[arg(short, long)]
    interactive: bool,
    /// Start in this folder of the container
    #[arg(short = 'w', long, value_name = "FOLDER", visible_alias = "workdir")]
    cwd: Option<PathBuf>,
    /// Set a variable; with NAME alone, pass on the caller's
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<EnvVar>,
    /// Run as this user of the container, by name or number
    #[arg(short, long, value_name = "USER[:GROUP]")]
    user: Option<UserSpec>,
    /// Add a group, by number
    #[arg(short = 'g', long, value_name = "GROUP")]
    additional_gids: Vec<u32>,
    /// Add a capability (NET_ADMIN, ALL)
    #[arg(short, long, value_name = "CAPABILITY", visible_alias = "cap-add")]
    cap: Vec<String>,
    /// Whether exec can never add privileges
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true,
          default_missing_value = "true")]
    no_new_privs: Option<bool>,
    /// Confine it by this AppArmor profile
    #[arg(long, value_name = "PROFILE")]
    apparmor: Option<String>,
    /// Run it under this SELinux label
    #[arg(long, value_name = "LABEL")]
    process_label: Option<String>,
    /// Put it into a group below the container's cgroup
    #[arg(long, value_name = "[CONTROLLER:]PATH")]
    cgroup: Vec<Subgroup>,
}

/// What the caller gets.
#[derive(Debug, Args)]
#[command(next_help_heading = "Caller")]
struct Caller {
    /// Do not wait for its end
    #[arg(short, long)]
    detach: bool,
    /// Write its pid to a file
    #[arg(long, value_name = "FILE")]
    pid_file: Option<PathBuf>,
    /// Send the controlling side of its terminal to this socket
    #[arg(long, value_name = "SOCKET")]
    console_socket: Option<PathBuf>,
    /// Send its pidfd to this socket
    #[arg(long, value_name = "SOCKET")]
    pidfd_socket: Option<PathBuf>,
    /// Let it keep this many of the caller's descriptors, from 3 on
    #[arg(long, value_name = "COUNT", default_value_t = 0,
          value_parser = clap::value_parser!(u32).range(..=1 << 20))]
    preserve_fds: u32,
    /// Also in a paused container, where it starts when that goes on
    #[arg(long)]
    ignore_paused: bool,
}

/// What turns out wrong only after parsing.
#[derive(Debug, thiserror::Error)]
enum UsageError {
    #[error("`exec` has no option `{0}`")]
    UnknownOption(String),
    #[error("`{}` is no container", Escaped(.0.as_bytes()))]
    Name(String, #[source] IdError),
    #[error("no program is named")]
    NoProgram,
    #[error("the argument `{0}` is not UTF-8, which the runtime specification cannot hold")]
    NotText(String),
}

impl Diagnostic for UsageError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownOption(_) => Some(
                "options stand before the container; `paddle exec --help` lists them".to_owned(),
            ),
            Self::NoProgram => {
                Some("name one after the container: paddle exec NAME PROGRAM [ARGS]".to_owned())
            }
            Self::Name(..) | Self::NotText(_) => None,
        }
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }
}

/// Runs it.
pub(super) fn run(arguments: Arguments, globals: &Globals) -> Done {
    status::of_exec(execute(arguments, globals))
}

fn execute(arguments: Arguments, globals: &Globals) -> Done {
    let request = arguments.into_request()?;
    spawn::keep_places(request.preserved).map_err(ExecError::Preserved)?;
    spawn::out_of_reach()?;
    let states = globals.places.states()?;
    let ended = exec::exec(&request, &states, |note| match note {
        Note::Decided(what) => globals.log.debug(what),
        // An engine keeps, or returns, what is on standard error as its program's own.
        Note::PassedOver(what) if request.detach => {
            what.warnings.iter().chain(&what.notes).for_each(|one| globals.log.warning(one));
        }
        Note::PassedOver(what) => globals.warn_of_passed_over(what),
    })?;
    Ok(ended.map_or(ExitCode::Ok.into(), Ended::code))
}

impl Arguments {
    fn into_request(self) -> Result<Request, UsageError> {
        let Self { program, caller, container_and_args } = self;
        let mut words = container_and_args.into_iter();
        // Clap has seen to it that there is one.
        let name = text(words.next().unwrap_or_default())?;
        if name.starts_with('-') {
            return Err(UsageError::UnknownOption(escaped(OsStr::new(&name))));
        }
        let id: ContainerId = name.parse().map_err(|error| UsageError::Name(name, error))?;
        let args = words.map(text).collect::<Result<Vec<_>, _>>()?;
        let program_of = match program.process {
            Some(file) => Program::File(file),
            None if args.is_empty() => return Err(UsageError::NoProgram),
            None => Program::Changed(Changes {
                args,
                tty: program.tty,
                cwd: program.cwd,
                env: variables(program.env),
                user: program.user,
                groups: program.additional_gids,
                capabilities: capabilities(&program.cap),
                no_new_privileges: program.no_new_privs,
                apparmor: program.apparmor,
                label: program.process_label,
            }),
        };
        Ok(Request {
            id,
            program: program_of,
            detach: caller.detach,
            ignore_paused: caller.ignore_paused,
            subgroups: program.cgroup,
            handles: Handles {
                pid_file: caller.pid_file,
                console_socket: caller.console_socket,
                pidfd_socket: caller.pidfd_socket,
            },
            preserved: caller.preserve_fds,
        })
    }
}

/// Those that this program knows. Others are passed over with a warning, as in a bundle: a newer kernel may have more.
fn capabilities(names: &[String]) -> Vec<CapabilityChoice> {
    let known = |name: &String| {
        let parsed = name.parse().map_err(|error: ParseError| error.to_string());
        parsed.map_err(|error| report::warn(&format!("{error}; it is not added"))).ok()
    };
    names.iter().filter_map(known).collect()
}

fn text(argument: OsString) -> Result<String, UsageError> {
    argument.into_string().map_err(|argument| UsageError::NotText(escaped(&argument)))
}

fn escaped(argument: &OsStr) -> String {
    Escaped(argument.as_encoded_bytes()).to_string()
}

fn variables(options: Vec<EnvVar>) -> Vec<(String, String)> {
    let lookup = |name: &str| std::env::var(name).ok();
    options.into_iter().filter_map(|variable| variable.resolve(lookup)).collect()
}

#[cfg(test)]
mod tests {
    use crate::cli::alone;

    use super::*;

    fn parse(words: &str) -> Result<Request, String> {
        alone::parse::<Arguments>(words)?.into_request().map_err(|error| error.to_string())
    }

    #[test]
    fn options_behind_the_container_are_the_programs() {
        let request = parse("-it -e A=1 -u 5:6 -w /w web ls -t --help -- -e").unwrap();
        assert_eq!(request.id.as_str(), "web");
        let Program::Changed(changes) = request.program else { panic!("no file was named") };
        assert_eq!(changes.args, ["ls", "-t", "--help", "--", "-e"]);
        assert!(changes.tty && changes.env == [("A".to_owned(), "1".to_owned())]);
    }

    #[test]
    fn callers_of_runtimes_pass_a_file() {
        let words = "--process /p.json --detach --pid-file /pid --preserve-fds 2 \
                     --console-socket /s --pidfd-socket /t id"
            .replace("                     ", "");
        let request = parse(&words).unwrap();
        assert!(matches!(&request.program, Program::File(path) if path.as_os_str() == "/p.json"));
        assert!(request.detach && request.preserved == 2 && !request.ignore_paused);
        assert_eq!(request.handles.console_socket, Some(PathBuf::from("/s")));
    }

    #[test]
    fn privileges_can_be_given_back() {
        for (words, expected) in [
            ("web a", None),
            ("--no-new-privs web a", Some(true)),
            ("--no-new-privs=false web a", Some(false)),
        ] {
            let Program::Changed(changes) = parse(words).unwrap().program else { panic!() };
            assert_eq!(changes.no_new_privileges, expected, "{words}");
        }
    }

    #[test]
    fn a_wrong_value_names_its_option_and_says_what_is_right() {
        for (words, said) in [
            ("web", "no program"),
            ("--nonsense web a", "no option"),
            ("a/b ls", "no container"),
            ("--cgroup ../x web a", "CONTROLLER"),
            ("-u 4294967296 web a", "4294967295"),
            ("-g x web a", "--additional-gids"),
        ] {
            let error = parse(words).unwrap_err();
            assert!(error.contains(said), "{words}: {error}");
        }
    }
}
