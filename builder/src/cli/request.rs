//! What a recipe means on this machine: the [`ImageSpec`], and the [`Surroundings`] that decide the rest. For
//! every verb that builds.

use std::path::{Path, PathBuf};

use common::progress::Progress;

use super::search::SearchArgs;
use crate::elf::Name;
use crate::interrupt::Interrupt;
use crate::resolve::rules::RuleSet;
use crate::resolve::{Options, Sysroot};
use crate::spec::profile::Profile;
use crate::spec::recipe::Recipe;
use crate::spec::{DEFAULT_PATH, ImageSpec};
use crate::{Error, Surroundings};

/// Whether a name of the command line is a recipe's.
pub(super) fn is_recipe(what: &Path) -> bool {
    what.extension().is_some_and(|end| end.eq_ignore_ascii_case("toml"))
}

/// The folder of a recipe.
pub(super) fn context(recipe: &Path) -> PathBuf {
    let folder = recipe.parent().filter(|parent| !parent.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    folder.canonicalize().unwrap_or_else(|_| folder.to_owned())
}

/// What a recipe means, with the profiles that it names.
pub(super) fn understand(
    recipe: &Recipe,
    context: Option<&Path>,
    on_host: bool,
) -> Result<ImageSpec, Error> {
    let mut spec = ImageSpec::new(recipe, context, on_host)?;
    spec.profile = Profile::read_all(context.unwrap_or(Path::new(".")), &recipe.profiles)?;
    Ok(spec)
}

/// A path of the command line starts where the person stands, not at the recipe. What `..` means
/// there is for the kernel to say.
pub(super) fn absolute(program: &str, on_host: bool) -> String {
    let path = Path::new(program);
    if !on_host || !program.contains('/') {
        return program.to_owned();
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return program.to_owned();
    };
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    // A plain absolute path keeps its links: they are part of what was asked for.
    if path.is_absolute() && !program.contains("/..") {
        return program.to_owned();
    }
    match parent.canonicalize().map(|parent| parent.join(name).into_os_string().into_string()) {
        Ok(Ok(whole)) => whole,
        _ => program.to_owned(),
    }
}

/// What decides the [`Surroundings`] of a recipe.
#[derive(Debug)]
pub(super) struct Inputs<'a> {
    pub(super) root: &'a Path,
    pub(super) search: &'a SearchArgs,
    pub(super) rules: Option<&'a Path>,
    pub(super) quiet: bool,
}

pub(super) fn surroundings<'a>(
    inputs: &Inputs<'_>,
    spec: &ImageSpec,
    sysroot: &'a Sysroot,
) -> Result<Surroundings<'a>, Error> {
    let image_path =
        spec.run.env.iter().find(|(name, _)| name.as_str() == "PATH").map(|(_, path)| path);
    // "A name found on PATH" is the person's own PATH on the host, and the usual one in a foreign
    // root.
    let on_host = inputs.root == Path::new("/");
    let path = std::env::var_os("PATH").filter(|path| on_host && !path.is_empty());
    Ok(Surroundings {
        sysroot,
        options: Options {
            path: image_path.map(|path| Name::from(path.as_str())),
            ..inputs.search.options(spec.cpus, &spec.dlopen)
        },
        path: path.map_or(DEFAULT_PATH.into(), std::ffi::OsString::into_encoded_bytes),
        rules: RuleSet::load(inputs.rules)?.switched(&spec.rules)?,
        progress: Progress::new(inputs.quiet),
        interrupt: Interrupt::default(),
    })
}
