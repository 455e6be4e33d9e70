//! Builds whose image has to pass its recipe's check: first into a temporary place, where the check is run.
//!
//! Decides what is built how often, and what is handed over: never anything else than what passed.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use common::oci::reference::Reference;
use common::report::{Diagnostic, ExitCode, warn};

use crate::image::{self, Compression, ImageError, read};
use crate::proof::{Bench, Paddle, Proof, ProofError, SandboxError, Setting};
use crate::report::proof as words;
use crate::spec::ImageSpec;
use crate::spec::check::Check;
use crate::spec::recipe::RecipeError;
use crate::spec::used::Used;
use crate::{Built, Destination, Error, Surroundings};

/// Why a check was not run, or a build not believed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Not exactly one recipe was named.
    #[error("`check --run` takes one recipe, a file that ends in .toml")]
    OneRecipe,
    /// A build has no recipe that could have a check.
    #[error("there is no check: the build has no recipe with a `[check]`")]
    NothingToRequire,
    /// The recipe is wrong.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// The recipe has no check.
    #[error("the recipe `{}` has no `[check]`", .0.display())]
    NoCheck(PathBuf),
    /// The image cannot be built.
    #[error(transparent)]
    Build(#[from] Error),
    /// The check cannot be tried.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The result cannot be printed.
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
    /// The check failed before anything was left out.
    #[error("the check of `{0}` fails in the whole image, so it cannot tell what is used")]
    Whole(Reference),
    /// The check passes, and nobody saw what it used.
    #[error("the check cannot tell what is used: {0}")]
    Unwatched(String),
    /// Nothing tells what is used.
    #[error("`min` has nothing to go by: there is neither a profile nor a `[check]`")]
    NothingUsed,
    /// The check failed in the image that has the least.
    #[error(
        "the check of `{0}` passes in the whole image, and fails without what no run used: nothing \
         was written"
    )]
    Least(Reference),
    /// The check failed.
    #[error("the check of `{0}` failed: nothing was written")]
    Failed(Reference),
}

impl From<SandboxError> for RunError {
    fn from(error: SandboxError) -> Self {
        Self::Proof(error.into())
    }
}

impl From<ImageError> for RunError {
    fn from(error: ImageError) -> Self {
        Self::Build(error.into())
    }
}

impl Diagnostic for RunError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NoCheck(_) | Self::NothingToRequire => {
                Some("docs/check.md says what a check can do".to_owned())
            }
            Self::Recipe(error) => error.hint(),
            Self::Build(error) => error.hint(),
            Self::Proof(error) => error.hint(),
            Self::NothingUsed => Some(
                "record a run with `coracle trace -o FILE -- COMMAND` and name it with --profile"
                    .to_owned(),
            ),
            Self::Least(_) => {
                Some("name what it lacks in `files`, or in a profile (docs/least.md)".to_owned())
            }
            Self::OneRecipe
            | Self::Output(_)
            | Self::Whole(_)
            | Self::Unwatched(_)
            | Self::Failed(_) => None,
        }
    }

    fn exit_code(&self) -> ExitCode {
        match self {
            Self::OneRecipe | Self::NothingToRequire | Self::NothingUsed => ExitCode::Usage,
            Self::Build(error) => error.exit_code(),
            Self::Proof(error) => error.exit_code(),
            _ => ExitCode::Failed,
        }
    }
}

/// Finds out what was used, if the recipe is to have the least; the check has then passed once. `paddle` is
/// what was named as the launcher.
pub(super) fn learn(
    spec: &mut ImageSpec,
    check: Option<&Check>,
    around: &Surroundings<'_>,
    paddle: Option<&Path>,
) -> Result<(), RunError> {
    if !spec.least.min {
        return Ok(());
    }
    let mut used = Used::outside(&spec.profile);
    match check {
        Some(check) => {
            let proof = prove_built(spec, check, around, &Paddle::find(paddle)?, true)?;
            if !proof.holds() {
                io::stderr().write_all(words::text(&proof).as_bytes()).ok();
                return Err(RunError::Whole(spec.name.clone()));
            }
            if let Some(why) = proof.outcome.unwatched {
                return Err(RunError::Unwatched(why));
            }
            used.add_inside(&proof.record.profile);
        }
        None if spec.profile.programs.is_empty() => return Err(RunError::NothingUsed),
        None => {}
    }
    spec.least.used = Some(used);
    Ok(())
}

/// Builds into a temporary place, and runs the check there.
pub(super) fn prove_built(
    spec: &ImageSpec,
    check: &Check,
    around: &Surroundings<'_>,
    paddle: &Paddle,
    quiet: bool,
) -> Result<Proof, RunError> {
    let _writing = around.interrupt.writing();
    let bench = Bench::new()?;
    // Nobody keeps it, so it is not worth compressing.
    let bytes = image::Options { compression: Compression::None, ..image::Options::default() };
    let to = Destination { store: Some((bench.store(), &spec.name)), output: None, bytes };
    let built = crate::build(spec, around, &to)?;
    if !quiet {
        built.warnings.iter().for_each(|warning| warn(warning));
    }
    Ok(bench.prove(&spec.name, check, &setting(spec, around, paddle))?)
}

/// What surrounds a check of an image.
pub(super) fn setting<'a>(
    spec: &'a ImageSpec,
    around: &'a Surroundings<'a>,
    paddle: &'a Paddle,
) -> Setting<'a> {
    let on_host = around.sysroot.root().label() == Path::new("/");
    Setting { around, context: spec.context.as_deref(), on_host, paddle }
}

/// Builds, checks what was built, and hands over exactly that: into the store the very blobs, into a file or
/// folder the same plan.
pub(super) fn build_proven(
    spec: &ImageSpec,
    check: &Check,
    around: &Surroundings<'_>,
    to: &Destination<'_>,
    paddle: &Paddle,
) -> Result<(Built, Proof), RunError> {
    let (plan, warnings) = crate::plan(spec, around)?;
    let _writing = around.interrupt.writing();
    let bench = Bench::new()?;
    let kept =
        Destination { store: Some((bench.store(), &spec.name)), output: None, bytes: to.bytes };
    let (mut stored, _) = crate::write(spec, &plan, around, &kept)?;
    let proof = bench.prove(&spec.name, check, &setting(spec, around, paddle))?;
    let mut written = None;
    if proof.holds() {
        let output = Destination { store: None, output: to.output, bytes: to.bytes };
        (_, written) = crate::write(spec, &plan, around, &output)?;
        match to.store {
            Some((layout, name)) => {
                let image = read::open(&spec.name.to_string(), Some(bench.store().path()))?;
                let manifest = image.copy_to(layout)?;
                layout.tag(name, manifest).map_err(ImageError::from)?;
            }
            None => stored = None,
        }
    }
    Ok((Built { plan, warnings, stored, written }, proof))
}
