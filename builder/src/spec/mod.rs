//! What was asked for. [`recipe`] is what a person wrote, [`ImageSpec`] is what it means: valid by
//! construction.
//!
//! Refuses to know what the root holds: whether a program or file exists is found out by the stages
//! after it.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use common::oci::reference::Reference;
use common::report::{Diagnostic, ExitCode};
use common::tree::{ImagePath, PathError};

pub mod check;
pub mod glob;
pub mod least;
pub mod modules;
pub mod profile;
pub mod recipe;
pub mod regional;
pub mod search;
pub mod used;
pub mod value;

use glob::Glob;
use least::Least;
use modules::Modules;
use profile::Profile;
use recipe::{FileRequest, Recipe};
use regional::{LocaleName, ZoneName};
use search::{Cpus, DlopenPolicy};
use value::{EnvName, Port, StopSignal, UserName};

/// PATH of an image that does not set one, and the folders that are searched for programs in a
/// foreign root (Debian's default for root, `ENV_SUPATH` of login.defs).
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// One image, as it shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSpec {
    /// Name that the image gets.
    pub name: Reference,
    /// Programs; the first is the entrypoint's default. Empty only where files were asked for.
    pub programs: Vec<Program>,
    /// Files besides programs.
    pub files: Vec<ExtraFile>,
    /// How the image runs.
    pub run: RunConfig,
    /// Rules that are switched away from their default: `true` is on.
    pub rules: BTreeMap<String, bool>,
    /// Locales that it has besides C, in order.
    pub locales: Vec<LocaleName>,
    /// Time zones that it knows besides UTC; the first is its own.
    pub zones: Vec<ZoneName>,
    /// Modules of interpreters, besides those that scripts import.
    pub modules: Modules,
    /// What runs have shown; the profiles that were named, merged.
    pub profile: Profile,
    /// Processors that it is for.
    pub cpus: Cpus,
    /// Features of `.note.dlopen` that are followed.
    pub dlopen: DlopenPolicy,
    /// What is left out.
    pub least: Least,
    /// Folder that relative sources start from: the recipe's. A host path, never part of the
    /// output.
    pub context: Option<PathBuf>,
}

/// A program, before it was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// A path of the root.
    Path(ImagePath),
    /// A name without a slash, to be looked up on PATH.
    Name(String),
}

impl Program {
    /// The last component: what the image is called after.
    pub fn file_name(&self) -> &[u8] {
        match self {
            Self::Path(path) => path.file_name().unwrap_or_default(),
            Self::Name(name) => name.as_bytes(),
        }
    }

    /// As it was written.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Path(path) => path.as_bytes(),
            Self::Name(name) => name.as_bytes(),
        }
    }
}

/// A `[[files]]` table, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtraFile {
    /// As it was written: for messages and provenance.
    pub text: String,
    /// What to copy.
    pub source: Source,
    /// Where it goes.
    pub destination: Destination,
    /// Whether set-uid and set-gid bits stay.
    pub keep_setuid: bool,
}

/// Where files come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A pattern over paths of the root.
    Root(Glob),
    /// A pattern over paths relative to [`ImageSpec::context`].
    Context(Glob),
}

/// Where a file goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// Where it was in the root.
    Same,
    /// Exactly here.
    Path(ImagePath),
    /// Into this folder, under its own name.
    Into(ImagePath),
}

/// How the image runs: the part of the OCI configuration that a person chooses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunConfig {
    /// Variables; `PATH` is always among them.
    pub env: BTreeMap<EnvName, String>,
    /// What is executed; the first program where there is none.
    pub entrypoint: Option<Vec<String>>,
    /// Arguments that a launch can replace.
    pub cmd: Option<Vec<String>>,
    /// Who runs it; root where there is none.
    pub user: Option<UserName>,
    /// Where it starts.
    pub workdir: ImagePath,
    /// Ports that it listens on.
    pub ports: BTreeSet<Port>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Signal that asks it to end.
    pub stop_signal: Option<StopSignal>,
    /// Folders that hold data.
    pub volumes: BTreeSet<ImagePath>,
}

/// Why a recipe means nothing.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// Neither programs nor files.
    #[error("there is nothing to pack: no executable and no file was named")]
    Empty,
    /// Only files, and no name to call the image.
    #[error("an image without executables needs a name")]
    Nameless,
    /// A path of the recipe is none.
    #[error("`{key}` has a wrong path")]
    Path {
        /// The key.
        key: &'static str,
        /// What is wrong.
        source: PathError,
    },
    /// A relative path where there is no recipe folder to start from.
    #[error("`{0}` is relative, and there is no folder that it could start from")]
    Relative(String),
    /// A glob does not parse.
    #[error("`{pattern}` is not a pattern: {why}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong.
        why: &'static str,
    },
    /// A source outside the root needs a destination.
    #[error("`{0}` comes from outside the root and has no destination")]
    NoDestination(String),
    /// A text with a NUL byte, which neither an argument nor a variable can have (execve(2)).
    #[error("`{key}` has a NUL byte in it")]
    Nul {
        /// The key.
        key: &'static str,
    },
    /// A rule is switched on and off.
    #[error("rule `{0}` is switched both on and off")]
    Contradiction(String),
}

impl Diagnostic for SpecError {
    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Empty => "name a program, or give a recipe `executables` or `files`",
            Self::Nameless => "add `name = \"NAME\"` to the recipe, or use -t NAME",
            Self::NoDestination(_) => "add `destination = \"/path/in/the/image\"` to its table",
            Self::Relative(_) => "use an absolute path inside the root",
            Self::Pattern { .. } => {
                "a pattern has `*`, `?`, `[a-z]`, and `**` as a whole component"
            }
            Self::Path { .. } | Self::Nul { .. } | Self::Contradiction(_) => return None,
        };
        Some(text.to_owned())
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }
}

impl ImageSpec {
    /// What `recipe` means. `context` is the folder of the recipe file; relative programs start
    /// there, if the root is the host's (`on_host`) and the folder therefore part of it.
    pub fn new(recipe: &Recipe, context: Option<&Path>, on_host: bool) -> Result<Self, SpecError> {
        let folder = context.filter(|_| on_host);
        let programs = recipe
            .executables
            .iter()
            .map(|text| program(text, folder))
            .collect::<Result<Vec<_>, _>>()?;
        if programs.is_empty() && recipe.files.is_empty() {
            return Err(SpecError::Empty);
        }
        let name = match (&recipe.name, programs.first()) {
            (Some(name), _) => name.clone(),
            (None, Some(first)) => Reference::from_program_name(first.file_name()),
            (None, None) => return Err(SpecError::Nameless),
        };
        let files = recipe
            .files
            .iter()
            .map(|file| extra_file(file, context.is_some()))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            name,
            programs,
            files,
            run: run_config(recipe)?,
            rules: switches(recipe)?,
            locales: recipe.locales.clone(),
            zones: recipe.zones.clone(),
            modules: recipe.modules.clone(),
            profile: Profile::default(),
            cpus: recipe.cpu,
            dlopen: recipe.dlopen.clone(),
            least: Least {
                exclude: recipe.exclude.clone(),
                strip: recipe.strip,
                min: recipe.min,
                used: None,
            },
            context: context.map(Path::to_owned),
        })
    }
}

fn program(text: &str, context: Option<&Path>) -> Result<Program, SpecError> {
    let path = |text: &[u8]| {
        ImagePath::new(text)
            .map(Program::Path)
            .map_err(|source| SpecError::Path { key: "executables", source })
    };
    if text.starts_with('/') {
        return path(text.as_bytes());
    }
    if !text.contains('/') {
        return Ok(Program::Name(text.to_owned()));
    }
    // The recipe's folder is where the person stands; what `..` means there is for the kernel to
    // say.
    let folder = context.ok_or_else(|| SpecError::Relative(text.to_owned()))?;
    let found = folder.join(text);
    let found = match (found.parent().map(Path::canonicalize), found.file_name()) {
        (Some(Ok(parent)), Some(name)) => parent.join(name),
        _ => found,
    };
    path(found.as_os_str().as_bytes())
}

fn extra_file(request: &FileRequest, has_context: bool) -> Result<ExtraFile, SpecError> {
    let text = &request.source;
    let glob = Glob::parse(text.as_bytes())
        .map_err(|why| SpecError::Pattern { pattern: text.clone(), why })?;
    let source = match (text.starts_with('/'), has_context) {
        (true, _) => Source::Root(glob),
        (false, true) => Source::Context(glob),
        (false, false) => return Err(SpecError::Relative(text.clone())),
    };
    let destination = match &request.destination {
        None if text.starts_with('/') => Destination::Same,
        None => return Err(SpecError::NoDestination(text.clone())),
        Some(path) => {
            let parsed = ImagePath::new(path)
                .map_err(|source| SpecError::Path { key: "files.destination", source })?;
            if path.ends_with('/') { Destination::Into(parsed) } else { Destination::Path(parsed) }
        }
    };
    Ok(ExtraFile { text: text.clone(), source, destination, keep_setuid: request.keep_setuid })
}

fn run_config(recipe: &Recipe) -> Result<RunConfig, SpecError> {
    for (key, words) in [("entrypoint", &recipe.entrypoint), ("cmd", &recipe.cmd)] {
        no_nul(key, words.iter().flatten())?;
    }
    no_nul("env", recipe.env.values())?;
    let mut env = recipe.env.clone();
    if let Ok(path) = "PATH".parse() {
        env.entry(path).or_insert_with(|| DEFAULT_PATH.to_owned());
    }
    Ok(RunConfig {
        env,
        entrypoint: recipe.entrypoint.clone(),
        cmd: recipe.cmd.clone(),
        user: recipe.user.clone(),
        workdir: recipe.workdir.clone().unwrap_or_else(ImagePath::root),
        ports: recipe.ports.iter().copied().collect(),
        labels: recipe.labels.clone(),
        stop_signal: recipe.stop_signal.clone(),
        volumes: recipe.volumes.iter().cloned().collect(),
    })
}

fn no_nul<'t>(
    key: &'static str,
    mut texts: impl Iterator<Item = &'t String>,
) -> Result<(), SpecError> {
    if texts.any(|text| text.contains('\0')) { Err(SpecError::Nul { key }) } else { Ok(()) }
}

fn switches(recipe: &Recipe) -> Result<BTreeMap<String, bool>, SpecError> {
    let mut rules = BTreeMap::new();
    for (names, on) in [(&recipe.rules.on, true), (&recipe.rules.off, false)] {
        for name in names {
            if rules.insert(name.clone(), on) == Some(!on) {
                return Err(SpecError::Contradiction(name.clone()));
            }
        }
    }
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str, context: Option<&str>) -> Result<ImageSpec, SpecError> {
        ImageSpec::new(&Recipe::parse(text).unwrap(), context.map(Path::new), true)
    }

    #[test]
    fn defaults_come_from_the_first_program() {
        let spec = spec("executables = [\"/usr/bin/curl\", \"sh\"]", None).unwrap();
        assert_eq!(spec.name.to_string(), "curl:latest");
        assert_eq!(spec.programs[1], Program::Name("sh".to_owned()));
        assert_eq!(spec.run.workdir, ImagePath::root());
        assert_eq!(spec.run.env.values().next().unwrap(), DEFAULT_PATH);
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for (text, message) in [
            ("", "there is nothing to pack: no executable and no file was named"),
            ("[[files]]\nsource = \"/etc/x\"", "an image without executables needs a name"),
            (
                "executables = [\"a/b\"]",
                "`a/b` is relative, and there is no folder that it could start from",
            ),
            ("executables = [\"/a/../b\"]", "`executables` has a wrong path"),
            (
                "executables=[\"a\"]\nrules = { on = [\"x\"], off = [\"x\"] }",
                "rule `x` is switched both on and off",
            ),
            ("executables=[\"a\"]\ncmd = [\"x\", \"a\\u0000b\"]", "`cmd` has a NUL byte in it"),
            ("executables=[\"a\"]\nenv = { A = \"\\u0000\" }", "`env` has a NUL byte in it"),
            (
                "executables=[\"a\"]\n[[files]]\nsource = \"/a[\"",
                "`/a[` is not a pattern: `[` without `]`",
            ),
        ] {
            assert_eq!(spec(text, None).unwrap_err().to_string(), message);
        }
        assert_eq!(
            spec("name=\"n\"\n[[files]]\nsource = \"x\"", Some("/c")).unwrap_err().to_string(),
            "`x` comes from outside the root and has no destination"
        );
    }
}
