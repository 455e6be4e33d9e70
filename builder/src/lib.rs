//! `coracle`: packs one application into the smallest root filesystem that runs it.
//!
//! ```text
//! Recipe -> ImageSpec -> Gathered -> Plan -> Tree -> Image
//! spec/     (valid)      resolve/    plan/   assemble/ image/
//!                        check/
//! ```
//!
//! A stage imports only stages to its left, and `common`. Nothing executes what it packs, but `proof` in a
//! sandbox, when it is asked to.
//! [`build`] is the whole program; `cli` turns a command line into its arguments and its result
//! into words.
#![forbid(unsafe_code)]

use std::path::Path;

use common::oci::layout::ImageLayout;
use common::oci::reference::Reference;
use common::progress::Progress;
use common::report::{Diagnostic, ExitCode};
use common::root::Root;

pub mod assemble;
pub mod check;
pub mod cli;
pub mod elf;
pub mod image;
pub mod interrupt;
pub mod plan;
pub mod proof;
pub mod report;
pub mod resolve;
pub mod spec;
pub mod trace;

use check::Unmet;
use image::Image;
use image::formats::{Output, Written};
use interrupt::Interrupt;
use plan::{Node, Plan, Source};
use resolve::gather::gather;
use resolve::incomplete::Incomplete;
use resolve::rules::RuleSet;
use resolve::{Options, Sysroot};
use spec::ImageSpec;
use spec::least::Strip;

/// What surrounds a build: everything that decides its result besides the [`ImageSpec`].
#[derive(Debug)]
pub struct Surroundings<'a> {
    /// The root that programs and libraries are taken from.
    pub sysroot: &'a Sysroot,
    /// Inputs of the library search.
    pub options: Options,
    /// Folders that are searched for programs given by name, joined by `:`.
    pub path: Vec<u8>,
    /// Rules that may fire.
    pub rules: RuleSet,
    /// Who is told how far things are.
    pub progress: Progress,
    /// Who may end it early.
    pub interrupt: Interrupt,
}

/// Where an image goes.
#[derive(Debug)]
pub struct Destination<'a> {
    /// The store, and the name that the image gets there.
    pub store: Option<(&'a ImageLayout, &'a Reference)>,
    /// A file or folder.
    pub output: Option<&'a Output>,
    /// Compression and time.
    pub bytes: image::Options,
}

/// What a build made.
#[derive(Debug)]
pub struct Built {
    /// What was decided.
    pub plan: Plan,
    /// What a person should know.
    pub warnings: Vec<String>,
    /// The image in the store.
    pub stored: Option<Image>,
    /// The file or folder.
    pub written: Option<Written>,
}

/// Decides what is in the image. Writes nothing.
pub fn plan(spec: &ImageSpec, around: &Surroundings<'_>) -> Result<(Plan, Vec<String>), Error> {
    let Surroundings { sysroot, options, path, rules, progress, .. } = around;
    let resolving = progress.steps("resolving", 0);
    let gathered = gather(spec, sysroot, options, path, rules, |objects| {
        resolving.extend(objects as u64);
        resolving.advance(objects as u64);
    })?;
    Incomplete::check(&gathered.closure)?;
    Unmet::check(&gathered.closure, sysroot)?;
    let survey = plan::survey(spec, &gathered, sysroot, || resolving.advance(1))?;
    let mut plan = plan::plan(spec, &gathered, &survey)?;
    let mut warnings = gathered.warnings;
    warnings.extend(plan::warnings(spec, &plan, &survey));
    if spec.least.strip != Strip::None {
        let context = spec.context.as_deref().map(open_context).transpose()?;
        let root = sysroot.root();
        warnings.extend(assemble::strip::mark(&mut plan, spec.least.strip, root, context.as_ref()));
    }
    Ok((plan, warnings))
}

/// The whole program: decides what is in the image, and writes it.
pub fn build(
    spec: &ImageSpec,
    around: &Surroundings<'_>,
    to: &Destination<'_>,
) -> Result<Built, Error> {
    let (plan, warnings) = plan(spec, around)?;
    let (stored, written) = write(spec, &plan, around, to)?;
    Ok(Built { plan, warnings, stored, written })
}

/// Writes what was decided: the image in the store, and the file or folder.
pub fn write(
    spec: &ImageSpec,
    plan: &Plan,
    around: &Surroundings<'_>,
    to: &Destination<'_>,
) -> Result<(Option<Image>, Option<Written>), Error> {
    let tree = assemble::assemble(plan, to.bytes.epoch);
    let context = spec.context.as_deref().map(open_context).transpose()?;
    let contents = assemble::Contents {
        root: around.sysroot.root(),
        context: context.as_ref(),
        interrupt: &around.interrupt,
    };
    let _writing = around.interrupt.writing();
    let packing = around.progress.bytes("packing", bytes(plan));
    let told = |count| packing.advance(count);
    let mut stored = None;
    if let Some((layout, name)) = to.store {
        let image = image::write(&tree, plan, &contents, to.bytes, layout, told)?;
        layout.tag(name, image.manifest.clone()).map_err(image::ImageError::from)?;
        stored = Some(image);
    }
    let written = match to.output {
        Some(output) => {
            Some(image::formats::write(output, &spec.name, &tree, plan, &contents, to.bytes, told)?)
        }
        None => None,
    };
    Ok((stored, written))
}

fn open_context(folder: &Path) -> Result<Root, Error> {
    Root::open(folder).map_err(|source| Error::Context { path: folder.to_owned(), source })
}

/// Bytes of all files of a plan.
fn bytes(plan: &Plan) -> u64 {
    plan.entries
        .values()
        .map(|entry| match &entry.node {
            Node::File {
                source:
                    Source::Root { size, .. }
                    | Source::Part { size, .. }
                    | Source::Context { size, .. }
                    | Source::Stripped { size, .. },
                ..
            } => *size,
            _ => 0,
        })
        .sum()
}

/// Why there is no image: the stage that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The recipe file.
    #[error(transparent)]
    Recipe(#[from] spec::recipe::RecipeError),
    /// What was asked for means nothing.
    #[error(transparent)]
    Spec(#[from] spec::SpecError),
    /// The rules.
    #[error(transparent)]
    Rules(#[from] resolve::rules::RuleError),
    /// A profile of a run.
    #[error(transparent)]
    Profile(#[from] spec::profile::ProfileError),
    /// The root cannot be opened.
    #[error("cannot open the root `{}`", path.display())]
    Sysroot {
        /// The folder.
        path: std::path::PathBuf,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// The recipe's folder cannot be opened.
    #[error("cannot open the recipe's folder `{}`", path.display())]
    Context {
        /// The folder.
        path: std::path::PathBuf,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// A program cannot be resolved.
    #[error(transparent)]
    Gather(#[from] resolve::gather::GatherError),
    /// Libraries are missing.
    #[error(transparent)]
    Incomplete(#[from] Incomplete),
    /// A library is there, and is of another version.
    #[error(transparent)]
    Unmet(#[from] Unmet),
    /// A file cannot be read.
    #[error(transparent)]
    Survey(#[from] plan::SurveyError),
    /// The image cannot be planned.
    #[error(transparent)]
    Plan(#[from] plan::PlanError),
    /// The image cannot be written or read.
    #[error(transparent)]
    Image(#[from] image::ImageError),
    /// A recipe cannot be written.
    #[error(transparent)]
    New(#[from] cli::new::NewError),
    /// There is no place for a store.
    #[error("there is no place for the store: neither HOME nor XDG_DATA_HOME is set")]
    NoStore,
    /// Options that do not go together.
    #[error("{0}")]
    Usage(&'static str),
}

impl Diagnostic for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Recipe(error) => error.hint(),
            Self::Spec(error) => error.hint(),
            Self::Rules(error) => error.hint(),
            Self::Profile(error) => error.hint(),
            Self::Gather(error) => error.hint(),
            Self::Incomplete(error) => error.hint(),
            Self::Unmet(error) => error.hint(),
            Self::Survey(error) => error.hint(),
            Self::Plan(error) => error.hint(),
            Self::Image(error) => error.hint(),
            Self::New(error) => error.hint(),
            Self::NoStore => Some("name one with --store, or set CORACLE_STORE".to_owned()),
            Self::Sysroot { .. } | Self::Context { .. } | Self::Usage(_) => None,
        }
    }

    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Spec(error) => error.exit_code(),
            Self::Image(error) => error.exit_code(),
            Self::Usage(_) => ExitCode::Usage,
            _ => ExitCode::Failed,
        }
    }
}
