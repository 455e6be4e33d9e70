//! `coracle check --run`, and the check that `coracle build --require-check` makes: builds into a temporary
//! place, and runs the recipe's check there.

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use common::oci::reference::Reference;
use common::report::{Diagnostic, ExitCode, warn};
use serde_json::json;

use super::build::{self, Inputs};
use super::check::CheckArgs;
use super::{least, signals};
use crate::image::{self, Compression, ImageError, read};
use crate::proof::{Bench, Paddle, Proof, ProofError, SandboxError, Setting};
use crate::report::proof as words;
use crate::resolve::Sysroot;
use crate::spec::ImageSpec;
use crate::spec::check::{Check, Seconds};
use crate::spec::recipe::{Recipe, RecipeError};
use crate::{Built, Destination, Error, Surroundings};

/// Options of a check that runs.
#[derive(Debug, Args)]
#[command(next_help_heading = "Run")]
pub struct RunArgs {
    /// Build this recipe and run its [check], in a throw-away sandbox
    #[arg(long, conflicts_with_all = ["ask_loader", "no_loader"])]
    pub run: bool,
    /// Run the recipe's check in this image, instead of one that is built of it
    #[arg(long, value_name = "IMAGE", requires = "run")]
    image: Option<String>,
    /// Seconds for all steps together, instead of the recipe's: of a slow machine
    #[arg(long, value_name = "SECONDS", requires = "run")]
    timeout: Option<Seconds>,
    /// A folder of rules, which replace or add to those that come with coracle
    #[arg(long, value_name = "DIR", requires = "run")]
    rules: Option<PathBuf>,
    /// The launcher [default: the `paddle` beside coracle, else on PATH]
    #[arg(long, value_name = "PROGRAM", requires = "run")]
    paddle: Option<PathBuf>,
}

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

/// Process 1 of the sandbox could not do its part.
#[derive(Debug, thiserror::Error)]
#[error("cannot run the check's steps")]
pub(super) struct ProveError {
    pub(super) source: io::Error,
}

impl Diagnostic for ProveError {}

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

/// `coracle check --run`.
pub(super) fn run(args: &CheckArgs) -> Result<ExitCode, RunError> {
    let recipe_path = match args.what.as_slice() {
        [what] => Path::new(what),
        _ => return Err(RunError::OneRecipe),
    };
    if recipe_path.extension().is_none_or(|end| !end.eq_ignore_ascii_case("toml")) {
        return Err(RunError::OneRecipe);
    }
    let paddle = Paddle::find(args.run.paddle.as_deref())?;
    let recipe = Recipe::read(recipe_path)?;
    let Some(mut check) = recipe.check.clone() else {
        return Err(RunError::NoCheck(recipe_path.to_owned()));
    };
    check.timeout = args.run.timeout.unwrap_or(check.timeout);
    let folder = build::context(recipe_path);
    let root = args.resolution.sysroot.as_deref().unwrap_or(Path::new("/"));
    let on_host = root == Path::new("/");
    let mut spec = build::understand(&recipe, Some(&folder), on_host)?;
    let sysroot =
        Sysroot::open(root).map_err(|source| Error::Sysroot { path: root.to_owned(), source })?;
    let inputs = Inputs {
        root,
        search: &args.resolution.search,
        rules: args.run.rules.as_deref(),
        quiet: args.json,
    };
    let around = build::surroundings(&inputs, &spec, &sysroot)?;
    let watch = signals::watch(&around.interrupt);
    let proof = prove(args, &mut spec, &check, &around, &paddle);
    watch.end();
    let proof = proof?;
    tell(args, &spec.name, &proof)?;
    Ok(if proof.holds() { ExitCode::Ok } else { ExitCode::Failed })
}

fn prove(
    args: &CheckArgs,
    spec: &mut ImageSpec,
    check: &Check,
    around: &Surroundings<'_>,
    paddle: &Paddle,
) -> Result<Proof, RunError> {
    let Some(what) = &args.run.image else {
        least::learn(spec, Some(check), around, args.run.paddle.as_deref())?;
        return prove_built(spec, check, around, paddle, args.json);
    };
    let _writing = around.interrupt.writing();
    let bench = Bench::new()?;
    // Without a place for a store, files are still there to be read.
    let image = read::open(what, args.store.path().ok().as_deref())?;
    bench.import(&image, &spec.name)?;
    Ok(bench.prove(&spec.name, check, &setting(spec, around, paddle))?)
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

fn setting<'a>(
    spec: &'a ImageSpec,
    around: &'a Surroundings<'a>,
    paddle: &'a Paddle,
) -> Setting<'a> {
    let on_host = around.sysroot.root().label() == Path::new("/");
    Setting { around, context: spec.context.as_deref(), on_host, paddle }
}

fn tell(args: &CheckArgs, name: &Reference, proof: &Proof) -> Result<(), RunError> {
    use io::Write as _;
    let text = if args.json {
        let value = json!({
            "name": name.to_string(),
            "holds": proof.holds(),
            "steps": proof.outcome.steps,
            "untried": proof.outcome.untried,
            "suspects": proof.suspects,
            "unwatched": proof.outcome.unwatched,
        });
        format!("{value}\n")
    } else {
        words::text(proof)
    };
    if !args.json {
        for note in words::notes(proof) {
            warn(&note);
        }
    }
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(RunError::Output(error)),
        _ => Ok(()),
    }
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
