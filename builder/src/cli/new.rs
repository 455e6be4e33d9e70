//! `coracle new`.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use common::report::Diagnostic;

use super::request::{self, Inputs};
use super::search::SearchArgs;
use super::{Failure, sizes};
use crate::assemble::strip;
use crate::plan::{Node, Plan, Source};
use crate::report::draft::{self, Draft};
use crate::report::sizes::Share;
use crate::resolve::Sysroot;
use crate::resolve::rules::RuleSet;
use crate::spec::ImageSpec;
use crate::spec::least::Strip;
use crate::spec::recipe::Recipe;
use crate::{Error, Surroundings};

/// Write a first recipe: what was found for programs, commented
///
/// It builds as it is. Rules that have fired stand in it with what they bring and why, so that
/// taking away a `#` switches one off.
///
/// Example: coracle new curl -o curl.toml
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Programs: paths, or names found on PATH
    #[arg(required = true, value_name = "PROGRAM")]
    programs: Vec<String>,
    /// Write this file, which must not exist [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Take programs and libraries from this root instead of the host's
    #[arg(long, value_name = "DIR", default_value = "/")]
    sysroot: PathBuf,
    #[command(flatten)]
    search: SearchArgs,
    /// A folder of rules, which replace or add to those that come with coracle
    #[arg(long, value_name = "DIR")]
    rules: Option<PathBuf>,
}

/// Why there is no recipe.
#[derive(Debug, thiserror::Error)]
pub enum NewError {
    /// The file is there.
    #[error("`{}` exists", .0.display())]
    Exists(PathBuf),
    /// The file cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A name that does not end as recipes do.
    #[error("`{}` would not be taken for a recipe", .0.display())]
    Name(PathBuf),
}

impl Diagnostic for NewError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Exists(_) => Some("choose another name, or remove it first".to_owned()),
            Self::Name(_) => Some("let its name end in .toml".to_owned()),
            Self::Write { .. } => None,
        }
    }
}

pub(super) fn run(arguments: &Arguments, out: &mut impl Write) -> Result<(), Failure> {
    if let Some(path) = &arguments.output {
        if !request::is_recipe(path) {
            return Err(Error::New(NewError::Name(path.clone())).into());
        }
        if path.symlink_metadata().is_ok() {
            return Err(Error::New(NewError::Exists(path.clone())).into());
        }
    }
    let text = recipe(arguments)?;
    let Some(path) = &arguments.output else {
        return out.write_all(text.as_bytes()).map_err(Failure::Print);
    };
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|source| {
        let path = path.clone();
        Error::New(match source.kind() {
            io::ErrorKind::AlreadyExists => NewError::Exists(path),
            _ => NewError::Write { path, source },
        })
        .into()
    })
}

fn recipe(arguments: &Arguments) -> Result<String, Failure> {
    let on_host = arguments.sysroot == Path::new("/");
    let found = |program: &String| request::absolute(program, on_host);
    let recipe =
        Recipe { executables: arguments.programs.iter().map(found).collect(), ..Recipe::default() };
    let spec = ImageSpec::new(&recipe, None, on_host)?;
    let sysroot = Sysroot::open(&arguments.sysroot)
        .map_err(|source| Error::Sysroot { path: arguments.sysroot.clone(), source })?;
    let inputs = Inputs {
        root: &arguments.sysroot,
        search: &arguments.search,
        rules: arguments.rules.as_deref(),
        quiet: true,
    };
    let around = request::surroundings(&inputs, &spec, &sysroot)?;
    let (plan, warnings) = crate::plan(&spec, &around)?;
    let sizes = sizes::of_plan(&plan)?;
    Ok(draft::text(&Draft {
        name: spec.name.to_string().trim_end_matches(":latest").to_owned(),
        executables: recipe.executables.iter().map(|path| beside(path, arguments)).collect(),
        file: arguments
            .output
            .as_ref()
            .map_or("FILE.toml".into(), |path| path.display().to_string()),
        options: options(arguments),
        off: &off(&spec, around, arguments)?,
        debug: debug(&plan, &sysroot),
        plan: &plan,
        sizes: &sizes,
        warnings: &warnings,
    }))
}

/// A program in or below the recipe's folder is named from there, so that both can be moved.
fn beside(program: &str, arguments: &Arguments) -> String {
    let folder = arguments.output.as_deref().map_or(PathBuf::from("."), request::context);
    let below = folder.canonicalize().ok().and_then(|folder| {
        let below = Path::new(program).strip_prefix(folder).ok()?;
        (arguments.sysroot == Path::new("/")).then(|| format!("./{}", below.display()))
    });
    below.unwrap_or_else(|| program.to_owned())
}

/// What a build of the recipe has to be told again.
fn options(arguments: &Arguments) -> String {
    let root = Some(&arguments.sysroot).filter(|root| root.as_path() != Path::new("/"));
    [("--sysroot", root), ("--rules", arguments.rules.as_ref())]
        .iter()
        .filter_map(|(option, path)| Some(format!(" {option} {}", path.as_ref()?.display())))
        .collect()
}

/// Rules that are off, and what each would bring.
fn off(
    spec: &ImageSpec,
    around: Surroundings<'_>,
    arguments: &Arguments,
) -> Result<BTreeMap<String, (Share, String)>, Failure> {
    let all = RuleSet::load(arguments.rules.as_deref()).map_err(Error::from)?;
    let off: Vec<String> =
        all.iter().filter(|(_, rule)| !rule.default).map(|(name, _)| name.to_owned()).collect();
    let switches = off.iter().map(|name| (name.clone(), true)).collect();
    let around = Surroundings { rules: all.switched(&switches).map_err(Error::from)?, ..around };
    // What fails only with them says nothing about the recipe.
    let Ok((plan, _)) = crate::plan(spec, &around) else { return Ok(BTreeMap::new()) };
    let sizes = sizes::of_plan(&plan)?;
    let whys = draft::whys(&plan);
    let found = sizes.only_for.iter().filter_map(|part| {
        let name = part.what.strip_prefix("rule ")?;
        let is_off = off.iter().any(|other| other == name);
        let why = whys.get(name).copied().filter(|_| is_off)?;
        Some((name.to_owned(), (part.share, why.to_owned())))
    });
    Ok(found.collect())
}

/// Bytes of debug sections.
fn debug(plan: &Plan, sysroot: &Sysroot) -> u64 {
    let mut plan = plan.clone();
    // What cannot be stripped is told by the build that is asked to.
    let _refused = strip::mark(&mut plan, Strip::Debug, sysroot.root(), None);
    plan.entries
        .values()
        .map(|entry| match &entry.node {
            Node::File { source: Source::Stripped { of, size, .. }, .. } => match &**of {
                Source::Root { size: whole, .. } => whole - size,
                _ => 0,
            },
            _ => 0,
        })
        .sum()
}
