//! `coracle check`: whether programs and images fit together, without running them. (What `--run` runs is
//! `run.rs`'s.)

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};

use clap::Args;
use common::oci::json;
use common::report::{Diagnostic, ExitCode, warn};
use common::tree::ImagePath;
use serde::Serialize;

mod run;

pub(super) use run::ProveError;
use run::RunArgs;

use super::proven::RunError;
use super::resolution::{ResolutionArgs, ResolutionError};
use super::subject::{Subject, SubjectError, subject};
use super::{StoreOption, signals};
use crate::check::{self, Report, Requests, agree};
use crate::image::provenance::Provenance;
use crate::image::read::Opened;
use crate::image::unpack::{self, UnpackError};
use crate::interrupt::Interrupt;
use crate::report::{check as words, problems};
use crate::resolve::{Closure, Missing, Options, Refused, ResolveError, Sysroot};
use crate::spec::DEFAULT_PATH;

/// Check that every library, version and symbol is there that a program or image needs
///
/// With --run, builds a recipe and runs its own check in a sandbox (docs/check.md). Else nothing is run,
/// except that the host's own loader is asked whether it would load the same files. A name of the store is an image; so is an archive or folder in OCI format. Anything else is a program:
/// name it by its path where an image of that name is in the store.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Images, and programs or libraries: paths, or names found on PATH; with --run a recipe
    #[arg(required = true, value_name = "WHAT")]
    pub what: Vec<OsString>,
    /// Ask loaders of other roots and of images too: they run in a jail, without rights or a network
    #[arg(long)]
    pub ask_loader: bool,
    /// Ask no loader
    #[arg(long, conflicts_with = "ask_loader")]
    pub no_loader: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub(super) store: StoreOption,
    /// Where to look.
    #[command(flatten)]
    pub resolution: ResolutionArgs,
    /// The recipe's own check.
    #[command(flatten)]
    pub run: RunArgs,
}

/// Why nothing was checked.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// A program cannot be resolved.
    #[error(transparent)]
    Resolution(#[from] ResolutionError),
    /// What was named is nothing.
    #[error(transparent)]
    Subject(#[from] SubjectError),
    /// An image cannot be unpacked.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    /// The root of an image cannot be opened.
    #[error("cannot open the unpacked image")]
    Root(#[source] io::Error),
    /// The check of a recipe.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Nothing of an image is executed.
    #[error("there is no program in the image `{0}`")]
    NoProgram(String),
}

impl Diagnostic for CheckError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Resolution(error) => error.hint(),
            Self::Subject(error) => error.hint(),
            Self::Unpack(error) => error.hint(),
            Self::Run(error) => error.hint(),
            Self::NoProgram(_) => {
                Some("`coracle inspect --files IMAGE` lists what is in it".to_owned())
            }
            Self::Root(_) => None,
        }
    }

    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Subject(error) => error.exit_code(),
            Self::Run(error) => error.exit_code(),
            _ => ExitCode::Failed,
        }
    }
}

/// One image, or all programs together.
struct Checked {
    /// The image.
    image: Option<String>,
    report: Report,
    closure: Closure,
    strangers: BTreeSet<ImagePath>,
}

/// As it is printed.
#[derive(Serialize)]
struct View<'a> {
    image: &'a Option<String>,
    #[serde(flatten)]
    report: &'a Report,
    missing: &'a [Missing],
    refused: &'a [Refused],
}

/// Runs the verb.
pub fn run(args: &CheckArgs) -> Result<ExitCode, CheckError> {
    if args.run.run {
        return Ok(run::run(args)?);
    }
    let interrupt = Interrupt::default();
    let watch = signals::watch(&interrupt);
    let result = check(args, &interrupt);
    watch.end();
    let checked = result?;
    tell(args, &checked)?;
    let fits = checked.iter().all(|checked| {
        let failing = |program| !checked.strangers.contains(program);
        checked.report.problems.is_empty()
            && !checked.closure.missing.iter().any(|missing| failing(&missing.program))
            && !checked.closure.refused.iter().any(|refused| failing(&refused.program))
    });
    Ok(if fits { ExitCode::Ok } else { ExitCode::Failed })
}

fn check(args: &CheckArgs, interrupt: &Interrupt) -> Result<Vec<Checked>, CheckError> {
    let mut programs = Vec::new();
    let mut checked = Vec::new();
    // Without a place for a store, files are still there to be read.
    let store = args.store.path().ok();
    for what in &args.what {
        match subject(what, store.as_deref(), args.resolution.sysroot.as_deref())? {
            Subject::Image(image) => checked.push(check_image(args, what, &image, interrupt)?),
            Subject::Executable => programs.push(what.clone()),
        }
    }
    if !programs.is_empty() {
        let sysroot = args.resolution.open()?;
        let closure = args.resolution.resolve_in(&sysroot, &programs)?;
        let options = args.resolution.options();
        checked.insert(0, finish(args, None, closure, &sysroot, &options, BTreeSet::new()));
    }
    Ok(checked)
}

fn check_image(
    args: &CheckArgs,
    what: &OsStr,
    image: &Opened,
    interrupt: &Interrupt,
) -> Result<Checked, CheckError> {
    // The temporary folder goes with this function, whoever interrupts it.
    let _writing = interrupt.writing();
    let unpacked = unpack::unpack(image, interrupt)?;
    let sysroot = Sysroot::open(&unpacked.root()).map_err(CheckError::Root)?;
    let options = args.resolution.options();
    let provenance = image.provenance().ok();
    let asked = asked(image, provenance.as_ref(), &sysroot)?;
    let opened = |path: &ImagePath| provenance.as_ref().is_some_and(|p| is_opened(p, path));
    let resolution = |error: ResolveError| CheckError::Resolution(error.into());
    let Requests { requests, strangers } =
        Requests::of(&sysroot, &unpacked.files, &asked, &options, opened).map_err(resolution)?;
    let label = what.to_string_lossy().into_owned();
    if requests.is_empty() {
        return Err(CheckError::NoProgram(label.escape_debug().to_string()));
    }
    let closure = crate::resolve::closure(&requests, &sysroot, &options).map_err(resolution)?;
    interrupt.check().map_err(CheckError::Root)?;
    Ok(finish(args, Some(label), closure, &sysroot, &options, strangers))
}

/// The programs that an image is for: its entry point, and what its builder was asked for.
fn asked(
    image: &Opened,
    provenance: Option<&Provenance>,
    sysroot: &Sysroot,
) -> Result<Vec<ImagePath>, CheckError> {
    let mut programs = Vec::new();
    if let Some(config) = image.config.config() {
        let words = config.entrypoint().iter().chain(config.cmd()).flatten();
        let path =
            config.env().iter().flatten().find_map(|variable| variable.strip_prefix("PATH="));
        if let Some(first) = words.into_iter().next() {
            let path = path.unwrap_or(DEFAULT_PATH).as_bytes();
            programs.push(sysroot.locate(first.as_bytes(), path).map_err(ResolutionError::from)?);
        }
    }
    let entries = provenance.iter().flat_map(|provenance| &provenance.entries);
    for (path, _) in entries.filter(|(_, known)| is_started(&known.why)) {
        programs.extend(ImagePath::new(path));
    }
    Ok(programs)
}

/// Whether the image's builder put a file there for a program to open it.
fn is_opened(provenance: &Provenance, path: &ImagePath) -> bool {
    let known = provenance.entries.get(&path.to_string());
    known.is_some_and(|known| has_reason(&known.why, &["rule", "loaded", "opened", "traced"]))
}

/// Whether a person, or a program in a run, starts it.
fn is_started(whys: &[serde_json::Value]) -> bool {
    let executed = |why: &serde_json::Value| why.get("by").is_none();
    has_reason(whys, &["asked"])
        || whys
            .iter()
            .any(|why| has_reason(std::slice::from_ref(why), &["traced"]) && executed(why))
}

fn has_reason(whys: &[serde_json::Value], reasons: &[&str]) -> bool {
    whys.iter().any(|why| {
        why.get("reason").and_then(|reason| reason.as_str()).is_some_and(|r| reasons.contains(&r))
    })
}

fn finish(
    args: &CheckArgs,
    image: Option<String>,
    closure: Closure,
    sysroot: &Sysroot,
    options: &Options,
    strangers: BTreeSet<ImagePath>,
) -> Checked {
    let mut report = check::check(&closure, sysroot, &strangers);
    if !args.no_loader {
        agree(&mut report, &closure, sysroot, options, args.ask_loader);
    }
    Checked { image, report, closure, strangers }
}

/// Results to standard output; problems and warnings to standard error.
fn tell(args: &CheckArgs, checked: &[Checked]) -> Result<(), CheckError> {
    let mut output = Vec::new();
    if args.json {
        let views: Vec<View<'_>> = checked.iter().map(view).collect();
        output = json::canonical(&views).map_err(ResolutionError::Json)?;
        output.push(b'\n');
    } else {
        for checked in checked {
            output.extend_from_slice(words::text(&checked.report).as_bytes());
        }
    }
    let mut out = io::stdout().lock();
    match out.write_all(&output).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            return Err(ResolutionError::Output(error).into());
        }
        _ => {}
    }
    for Checked { report, closure, strangers, .. } in checked {
        let mut closure = closure.clone();
        for warning in &closure.warnings {
            warn(&warning.to_string());
        }
        closure.missing.retain(|missing| !strangers.contains(&missing.program));
        closure.refused.retain(|refused| !strangers.contains(&refused.program));
        for notice in &report.notices {
            warn(&notice.to_string());
        }
        let errors = problems::text(&closure) + &words::problems(report);
        // Where standard error is closed there is nobody to tell; the status still does.
        let _told = io::stderr().write_all(errors.as_bytes());
    }
    Ok(())
}

fn view(checked: &Checked) -> View<'_> {
    View {
        image: &checked.image,
        report: &checked.report,
        missing: &checked.closure.missing,
        refused: &checked.closure.refused,
    }
}
