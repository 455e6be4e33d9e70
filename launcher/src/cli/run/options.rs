//! The options of `paddle run`, and the [`Request`] that they become.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args};
use common::accounts::UserSpec;
use common::escape::Escaped;
use common::tree::ImagePath;

use super::error::UsageError;
use crate::cli::create::Making;
use crate::cli::duration::Span;
use crate::cli::resources::Resources;
use crate::host::Host;
use crate::run::Request;
use crate::runtime::ContainerId;
use crate::spec::{
    CapabilityChoice, EnvVar, HostEntry, Hostname, NetworkChoice, Overrides, Tmpfs, Ulimit, Volume,
};
use crate::store::ImageSource;
use crate::supervise::Wanted;

/// Run an image and wait for its program to end.
///
/// IMAGE is a name in the store, an OCI archive, an OCI layout folder, or a root file system as a tar
/// file or an EROFS file. ARGS follow the image's entrypoint and replace its default arguments.
///
/// Ends with the program's status; 128+n if signal n ended it; 124 after --timeout; 125 if it could
/// not be started, 126 if it is not executable, 127 if it does not exist.
///
/// With --bundle, or any other option of a bundle's, it runs an OCI bundle as the container ID instead; without them too, where there
/// is no such image and the folder that it is in is a bundle of the caller's own.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    program: Program,
    #[command(flatten)]
    pub(super) container: Container,
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    pub(super) resources: Resources,
    #[command(flatten)]
    rights: Rights,
    #[command(flatten)]
    pub(super) bundle: FromBundle,
    /// Print help
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
    /// The image, and arguments for its program
    // One list: with an argument of its own for the image, clap would take options behind it as
    // ours.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true,
          value_names = ["IMAGE|ID", "ARGS"])]
    pub(super) image_and_args: Vec<OsString>,
}

/// What runs.
#[derive(Debug, Args)]
#[command(next_help_heading = "Program")]
struct Program {
    /// Run this program instead of the image's entrypoint ("" removes the entrypoint)
    #[arg(long, value_name = "PROGRAM")]
    entrypoint: Option<String>,
    /// Set a variable; with NAME alone, pass on the caller's
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<EnvVar>,
    /// Set the variables of a file, one a line
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// Start in this folder of the image
    #[arg(short, long, value_name = "FOLDER")]
    workdir: Option<Folder>,
    /// Run as this user of the image, by name or number
    #[arg(short, long, value_name = "USER[:GROUP]")]
    user: Option<UserSpec>,
    /// Give it a terminal of its own
    #[arg(short, long)]
    tty: bool,
    /// Pass the caller's input to it
    #[arg(short, long)]
    interactive: bool,
    /// Put a small process 1 in front of it, which reaps zombies and forwards signals
    #[arg(long)]
    init: bool,
    /// End it after this time (30, 1.5s, 10m): by its stop signal, and 10 seconds later by SIGKILL
    #[arg(long, value_name = "DURATION")]
    timeout: Option<Span>,
}

/// What it is.
#[derive(Debug, Args)]
#[command(next_help_heading = "Container")]
pub(super) struct Container {
    /// Name it; otherwise it gets a random one
    #[arg(long, value_name = "NAME")]
    name: Option<ContainerId>,
    /// Forget it when it ends; otherwise `paddle ps -a` shows how it ended
    #[arg(long)]
    rm: bool,
    /// Say on standard error, when it has ended, what each step of its start took
    #[arg(long)]
    pub(super) timing: bool,
    /// Print what would be done, as JSON, and stop
    #[arg(long)]
    pub(super) print_plan: bool,
    /// Its host name [default: its name]
    #[arg(short = 'h', long, value_name = "NAME")]
    hostname: Option<Hostname>,
    /// Its network: none (loopback only) or the host's
    #[arg(long, value_name = "none|host", default_value = "none", visible_alias = "network")]
    net: NetworkChoice,
    /// Add a line to its /etc/hosts
    #[arg(long, value_name = "NAME:ADDRESS")]
    add_host: Vec<HostEntry>,
}

/// What it sees.
#[derive(Debug, Args)]
#[command(next_help_heading = "Files")]
struct Files {
    /// Show a file or folder of the host in it; both paths are absolute. `ro`: it cannot be written;
    /// `dev`: devices can be opened through it
    #[arg(short, long, value_name = "SRC:DST[:ro,dev]")]
    volume: Vec<Volume>,
    /// Mount an empty file system in memory
    #[arg(long, value_name = "DST[:OPTIONS]")]
    tmpfs: Vec<Tmpfs>,
    /// Let it write nothing but volumes and tmpfs
    #[arg(long)]
    read_only: bool,
}

/// What it may do.
#[derive(Debug, Args)]
#[command(next_help_heading = "Rights")]
#[expect(clippy::doc_markdown, reason = "what describes an option is its help text")]
struct Rights {
    /// Add a capability (NET_ADMIN, ALL)
    #[arg(long, value_name = "CAPABILITY")]
    cap_add: Vec<CapabilityChoice>,
    /// Drop a capability, before any is added
    #[arg(long, value_name = "CAPABILITY")]
    cap_drop: Vec<CapabilityChoice>,
    /// Limit a resource of each process (nofile=1024:4096)
    #[arg(long, value_name = "NAME=SOFT[:HARD]")]
    ulimit: Vec<Ulimit>,
    /// Let the kernel mount an image that is an EROFS file system: only if you trust its maker with
    /// this host (root)
    #[arg(long)]
    allow_erofs: bool,
    /// Use a user namespace also when root runs it (others always get one)
    #[arg(long)]
    userns: bool,
}

/// What is not an image.
#[derive(Debug, Args)]
#[command(next_help_heading = "Bundle")]
pub(super) struct FromBundle {
    /// Run the OCI bundle in this folder [default: the one that it is in]; all but the options below is in its configuration
    #[arg(short, long, value_name = "FOLDER")]
    pub(super) bundle: Option<PathBuf>,
    /// Return as soon as the program runs
    #[arg(short, long)]
    pub(super) detach: bool,
    /// Keep its state and its cgroups when it ends; `paddle delete` forgets it
    #[arg(long, conflicts_with = "detach")]
    pub(super) keep: bool,
    /// Accepted: nothing is left to paddle when it ends
    #[arg(long, hide = true)]
    no_subreaper: bool,
    #[command(flatten)]
    pub(super) making: Making,
}

impl FromBundle {
    /// Whether any option says that it is about a bundle.
    pub(super) fn is_meant(&self) -> bool {
        self.bundle.is_some() || self.detach || self.keep || self.making.is_asked()
    }
}

/// The options that say what a bundle says itself, or that are about images.
const IMAGE_OPTIONS: [&str; 27] = [
    "entrypoint",
    "env",
    "env_file",
    "workdir",
    "user",
    "tty",
    "interactive",
    "init",
    "timeout",
    "name",
    "rm",
    "print_plan",
    "hostname",
    "net",
    "add_host",
    "volume",
    "tmpfs",
    "read_only",
    "cap_add",
    "cap_drop",
    "ulimit",
    "userns",
    "memory",
    "cpus",
    "pids_limit",
    "timing",
    "allow_erofs",
];

/// The option of an image's that was typed, if one was, as it is typed.
pub(in crate::cli) fn image_option(matches: &ArgMatches) -> Option<String> {
    let typed = |name: &&str| matches.value_source(name) == Some(ValueSource::CommandLine);
    // Of those that are there at all, which are few.
    let mut there = matches.ids().map(clap::Id::as_str);
    let found = there.find(|name| IMAGE_OPTIONS.contains(name) && typed(name));
    found.map(|name| format!("--{}", name.replace('_', "-")))
}

/// An absolute folder inside.
#[derive(Debug, Clone)]
struct Folder(ImagePath);

impl std::str::FromStr for Folder {
    type Err = FolderError;

    fn from_str(text: &str) -> Result<Self, FolderError> {
        if !text.starts_with('/') {
            return Err(FolderError);
        }
        ImagePath::new(text).ok().map(Self).ok_or(FolderError)
    }
}

/// A path that is no folder inside.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("it is an absolute path inside the image, without `..`")]
struct FolderError;

impl Arguments {
    pub(super) fn into_request(self, host: &Host) -> Result<Request, UsageError> {
        let Self { program, container, files, resources, rights, image_and_args, .. } = self;
        let mut arguments = image_and_args.into_iter();
        // Clap has seen to it that there is one.
        let image = arguments.next().unwrap_or_default();
        if image.as_encoded_bytes().starts_with(b"-") {
            return Err(UsageError::UnknownOption(escaped(&image)));
        }
        let args = arguments.map(text).collect::<Result<_, _>>()?;
        let id = container.name.map_or_else(ContainerId::random, Ok).map_err(UsageError::Random)?;
        let env = variables(program.env, &program.env_file)?;
        let overrides = Overrides {
            args,
            entrypoint: program
                .entrypoint
                .map(|word| if word.is_empty() { Vec::new() } else { vec![word] }),
            env,
            workdir: program.workdir.map(|folder| folder.0),
            user: program.user,
            hostname: container.hostname,
            volumes: files.volume,
            tmpfs: files.tmpfs,
            tty: program.tty,
            network: container.net,
            add_hosts: container.add_host,
            cap_drop: rights.cap_drop,
            cap_add: rights.cap_add,
            ulimits: rights.ulimit,
            init: program.init,
            read_only: files.read_only,
            // Nobody but the host's root can do without one.
            user_namespace: rights.userns || !host.privileged(),
            resources: resources.to_spec(),
        };
        Ok(Request {
            image: ImageSource::from(image),
            id,
            overrides,
            streams: Wanted { tty: program.tty, interactive: program.interactive },
            timeout: program.timeout.map(|span| span.0),
            remove: container.rm,
            allow_erofs: rights.allow_erofs,
            cgroup_driver: None,
        })
    }
}

pub(super) fn text(argument: OsString) -> Result<String, UsageError> {
    argument.into_string().map_err(|argument| UsageError::NotText(escaped(&argument)))
}

fn escaped(argument: &OsStr) -> String {
    Escaped(argument.as_encoded_bytes()).to_string()
}

/// Files first, then options, so that an option wins over a file, as with Docker.
fn variables(options: Vec<EnvVar>, files: &[PathBuf]) -> Result<Vec<(String, String)>, UsageError> {
    let mut variables = Vec::new();
    for path in files {
        let content = fs::read_to_string(path)
            .map_err(|source| UsageError::EnvFile { path: path.clone(), source })?;
        variables.extend(
            EnvVar::parse_file(&content)
                .map_err(|source| UsageError::EnvLine { path: path.clone(), source })?,
        );
    }
    variables.extend(options);
    let lookup = |name: &str| std::env::var(name).ok();
    Ok(variables.into_iter().filter_map(|variable| variable.resolve(lookup)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::alone;

    fn parse(words: &str) -> Result<Request, String> {
        let arguments = alone::parse::<Arguments>(words)?;
        arguments.into_request(&Host::probe().unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn options_behind_the_image_are_the_programs() {
        let request = parse("--rm -it image --rm -t --help -- -e").unwrap();
        assert_eq!(request.image, ImageSource::from(OsString::from("image")));
        assert_eq!(request.overrides.args, ["--rm", "-t", "--help", "--", "-e"]);
        assert!(request.remove && request.streams.tty && request.streams.interactive);
    }

    #[test]
    fn short_options_are_those_of_docker() {
        let request = parse("-e A=1 -w /w -u 5:6 -h box -v /a:/b:ro -m 64m -i -t image").unwrap();
        let overrides = request.overrides;
        assert_eq!(overrides.env, [("A".to_owned(), "1".to_owned())]);
        assert_eq!(overrides.workdir.map(|path| path.to_string()).as_deref(), Some("/w"));
        assert_eq!(overrides.hostname.map(|name| name.as_str().to_owned()).as_deref(), Some("box"));
        assert!(overrides.volumes.iter().all(|volume| volume.readonly));
        let memory = overrides.resources.and_then(|resources| *resources.memory());
        assert_eq!(memory.and_then(|memory| memory.limit()), Some(64 << 20));
    }

    #[test]
    fn a_wrong_value_names_its_option_and_says_what_is_right() {
        for (words, option, right) in [
            ("--net bridge x", "--net", "`none` or `host`"),
            ("--name a/b x", "--name", "not a container name"),
            ("-v a:/b x", "--volume", "SOURCE:DESTINATION"),
            ("-w rel x", "--workdir", "absolute"),
            ("-m 5x x", "--memory", "512m"),
            ("--cpus 0 x", "--cpus", "0.5"),
            ("--timeout 0 x", "--timeout", "1h30m"),
            ("--cpu-weight 0 x", "--cpu-weight", "1..=10000"),
            ("--memory-swap 1g x", "--memory", "required"),
            ("-u 4294967296 x", "--user", "4294967295"),
            ("--nonsense x", "--nonsense", "no option"),
        ] {
            let error = parse(words).unwrap_err();
            assert!(error.contains(option) && error.contains(right), "{words}: {error}");
        }
    }
}
