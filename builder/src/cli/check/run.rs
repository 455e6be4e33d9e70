//! `coracle check --run`: builds a recipe into a temporary place, or takes an image, and runs the recipe's check.

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use common::oci::reference::Reference;
use common::report::{Diagnostic, ExitCode, warn};
use serde_json::json;

use super::CheckArgs;
use crate::cli::proven::{RunError, learn, prove_built, setting};
use crate::cli::request::{self, Inputs};
use crate::cli::signals;
use crate::image::read;
use crate::proof::{Bench, Paddle, Proof};
use crate::report::proof as words;
use crate::resolve::Sysroot;
use crate::spec::ImageSpec;
use crate::spec::check::{Check, Seconds};
use crate::spec::recipe::Recipe;
use crate::{Error, Surroundings};

/// Options of a check that runs.
#[derive(Debug, Args)]
#[command(next_help_heading = "Run")]
pub struct RunArgs {
    /// Build this recipe and run its check, in a throw-away sandbox
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

/// Process 1 of the sandbox could not do its part.
#[derive(Debug, thiserror::Error)]
#[error("cannot run the check's steps")]
pub(in crate::cli) struct ProveError {
    pub(in crate::cli) source: io::Error,
}

impl Diagnostic for ProveError {}

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
    let folder = request::context(recipe_path);
    let root = args.resolution.sysroot.as_deref().unwrap_or(Path::new("/"));
    let on_host = root == Path::new("/");
    let mut spec = request::understand(&recipe, Some(&folder), on_host)?;
    let sysroot =
        Sysroot::open(root).map_err(|source| Error::Sysroot { path: root.to_owned(), source })?;
    let inputs = Inputs {
        root,
        search: &args.resolution.search,
        rules: args.run.rules.as_deref(),
        quiet: args.json,
    };
    let around = request::surroundings(&inputs, &spec, &sysroot)?;
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
        learn(spec, Some(check), around, args.run.paddle.as_deref())?;
        return prove_built(spec, check, around, paddle, args.json);
    };
    let _writing = around.interrupt.writing();
    let bench = Bench::new()?;
    // Without a place for a store, files are still there to be read.
    let image = read::open(what, args.store.path().ok().as_deref())?;
    bench.import(&image, &spec.name)?;
    Ok(bench.prove(&spec.name, check, &setting(spec, around, paddle))?)
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
