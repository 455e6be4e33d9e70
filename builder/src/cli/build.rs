//! `coracle build`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use common::oci::layout::ImageLayout;
use common::oci::reference::Reference;
use common::progress::Progress;
use common::report::warn as print_warning;
use serde_json::json;

use super::check_run::{self, RunError};
use super::modules::ModuleArgs;
use super::search::SearchArgs;
use super::{Failure, StoreOption, least, output, signals, sizes, trace};
use crate::assemble::Epoch;
use crate::elf::Name;
use crate::image::formats::{Format, Output};
use crate::image::{self, Compression, ImageError};
use crate::interrupt::Interrupt;
use crate::plan::{Node, Plan, Source};
use crate::proof::Paddle;
use crate::report;
use crate::resolve::rules::RuleSet;
use crate::resolve::{Options, Sysroot};
use crate::spec::check::Check;
use crate::spec::least::{Exclude, Strip};
use crate::spec::recipe::Recipe;
use crate::spec::regional::{LocaleName, ZoneName};
use crate::spec::{DEFAULT_PATH, ImageSpec};
use crate::trace::profile::Profile;
use crate::{Built, Destination, Error, Surroundings};

/// Pack programs, with everything that they need to run, into an image.
///
/// The image goes into the store under the name of the first program. With -o it goes to a file or
/// folder instead (and into the store as well, if -t names it).
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(super) struct Arguments {
    /// Programs: paths, names found on PATH; or one recipe file (.toml)
    #[arg(required = true, value_name = "WHAT")]
    what: Vec<String>,
    /// Write a file or folder; its name says the format: .oci.tar or .oci (OCI archive), .tar,
    /// .tar.gz, .tar.zst (root filesystem), NAME/ (root filesystem as a folder)
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// The format of the output, whatever its name says
    #[arg(long, requires = "output")]
    format: Option<Format>,
    /// Replace the output if it exists
    #[arg(long, requires = "output")]
    force: bool,
    /// Name of the image, NAME[:TAG]
    #[arg(short, long, value_name = "NAME")]
    tag: Option<Reference>,
    #[command(flatten)]
    store: StoreOption,
    /// Take programs and libraries from this root instead of the host's
    #[arg(long, value_name = "DIR", default_value = "/")]
    sysroot: PathBuf,
    #[command(flatten)]
    search: SearchArgs,
    #[command(flatten)]
    modules: ModuleArgs,
    /// A folder of rules, which replace or add to those that come with coracle
    #[arg(long, value_name = "DIR")]
    rules: Option<PathBuf>,
    /// Switch a rule on that is off by default; may be repeated
    #[arg(long, value_name = "NAME")]
    rule: Vec<String>,
    /// Switch a rule off; may be repeated
    #[arg(long, value_name = "NAME")]
    no_rule: Vec<String>,
    /// Leave debug sections out of ELF files, and with =all tables of symbols too
    #[arg(
        long,
        value_name = "WHAT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "debug"
    )]
    strip: Option<Strip>,
    /// Leave out paths of the image that match this pattern, and everything below; may be repeated
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<Exclude>,
    /// Add a locale, such as de_DE.UTF-8; may be repeated
    #[arg(long, value_name = "NAME")]
    locale: Vec<LocaleName>,
    /// Add a time zone, such as Europe/Berlin; the first is the image's own; may be repeated
    #[arg(long, value_name = "NAME")]
    zone: Vec<ZoneName>,
    /// Pack what this profile of a run names as well (see `coracle trace`); may be repeated
    #[arg(long, value_name = "FILE")]
    profile: Vec<PathBuf>,
    /// Run this command once, and pack what it opens as well: `coracle trace` and --profile in one
    #[arg(long, value_name = "COMMAND")]
    trace: Option<String>,
    /// How the layer is compressed
    #[arg(long, default_value = "gzip")]
    compression: Compression,
    /// The time of all files and of the image, in seconds since 1970
    #[arg(long, value_name = "SECONDS", default_value = "0")]
    source_date_epoch: Epoch,
    /// Leave out what no run used: of profiles, and of the recipe's [check], which has to pass with and
    /// without it (docs/least.md)
    #[arg(long)]
    min: bool,
    /// Write nothing unless the recipe's check passes (docs/check.md)
    #[arg(long, conflicts_with = "dry_run")]
    require_check: bool,
    /// The launcher that runs the check [default: the `paddle` beside coracle, else on PATH]
    #[arg(long, value_name = "PROGRAM")]
    paddle: Option<PathBuf>,
    /// Print what would be in the image, and why, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Say what takes the room in the image, and what it is there for
    #[arg(long, conflicts_with = "quiet")]
    report: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    /// No progress bars, no summary, no warnings
    #[arg(short, long)]
    quiet: bool,
}

pub(super) fn run(arguments: &Arguments, out: &mut impl Write) -> Result<(), Failure> {
    let started = Instant::now();
    let (mut spec, check) = spec(arguments)?;
    let sysroot = Sysroot::open(&arguments.sysroot)
        .map_err(|source| Error::Sysroot { path: arguments.sysroot.clone(), source })?;
    let inputs = Inputs {
        root: &arguments.sysroot,
        search: &arguments.search,
        rules: arguments.rules.as_deref(),
        quiet: arguments.quiet,
    };
    let around = surroundings(&inputs, &spec, &sysroot)?;
    let watch = signals::watch(&around.interrupt);
    let is_proven =
        learn(arguments, &mut spec, check.as_ref(), &around).inspect_err(|_failed| watch.end())?;
    if arguments.dry_run {
        let (plan, warnings) = crate::plan(&spec, &around)?;
        warn(arguments, &warnings);
        return match (arguments.report, arguments.json) {
            (true, json) => sizes::print_plan(out, &plan, json),
            (false, true) => output::json(out, &plan),
            (false, false) => print_plan(out, &plan),
        };
    }
    let to = arguments.output.as_deref();
    let wanted = to
        .map(|path| Output::new(path, arguments.format, arguments.force))
        .transpose()
        .map_err(Error::Image)?;
    let store = if wanted.is_none() || arguments.tag.is_some() {
        let path = arguments.store.path()?;
        Some(ImageLayout::create(&path).map_err(ImageError::from)?)
    } else {
        None
    };
    let destination = Destination {
        store: store.as_ref().map(|layout| (layout, &spec.name)),
        output: wanted.as_ref(),
        bytes: image::Options {
            compression: arguments.compression,
            epoch: arguments.source_date_epoch,
        },
    };
    let built = if is_proven {
        proven(arguments, &spec, check.as_ref(), &around, &destination)
    } else {
        crate::build(&spec, &around, &destination).map_err(Failure::from)
    };
    let built = built.inspect_err(|_failed| watch.end())?;
    warn(arguments, &built.warnings);
    summary(arguments, out, &spec.name, &built, started)?;
    if !arguments.report || arguments.json {
        return Ok(());
    }
    output::line(out, "")?;
    sizes::print_plan(out, &built.plan, false)
}

/// Finds out what is used, where only that is wanted. Whether the image has to pass its check.
fn learn(
    arguments: &Arguments,
    spec: &mut ImageSpec,
    check: Option<&Check>,
    around: &Surroundings<'_>,
) -> Result<bool, Failure> {
    let is_proven = arguments.require_check || spec.least.min && check.is_some();
    if arguments.paddle.is_some() && !is_proven {
        return Err(Error::Usage("--paddle names who runs a check, and none is run").into());
    }
    least::learn(spec, check, around, arguments.paddle.as_deref())?;
    Ok(is_proven)
}

/// Builds what passes its check. How that went is told on standard error, beside warnings.
fn proven(
    arguments: &Arguments,
    spec: &ImageSpec,
    check: Option<&Check>,
    around: &Surroundings<'_>,
    to: &Destination<'_>,
) -> Result<Built, Failure> {
    let check = check.ok_or(RunError::NothingToRequire)?;
    let paddle = Paddle::find(arguments.paddle.as_deref()).map_err(RunError::from)?;
    let (built, proof) = check_run::build_proven(spec, check, around, to, &paddle)?;
    if !(arguments.quiet && proof.holds()) {
        std::io::stderr().write_all(report::proof::text(&proof).as_bytes()).ok();
    }
    warn(arguments, &report::proof::notes(&proof));
    let name = spec.name.clone();
    match (proof.holds(), spec.least.used.is_some()) {
        (true, _) => Ok(built),
        (false, true) => Err(RunError::Least(name).into()),
        (false, false) => Err(RunError::Failed(name).into()),
    }
}

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

/// What was asked for: a recipe's content, programs of the command line, and options over both.
fn spec(arguments: &Arguments) -> Result<(ImageSpec, Option<Check>), Failure> {
    let (recipes, programs): (Vec<&String>, Vec<&String>) =
        arguments.what.iter().partition(|what| is_recipe(Path::new(what)));
    let (mut recipe, context) = match recipes.as_slice() {
        [] => (Recipe::default(), None),
        [path] => {
            let path = Path::new(path);
            (Recipe::read(path)?, Some(context(path)))
        }
        _ => return Err(Error::Usage("only one recipe can be built at a time").into()),
    };
    let on_host = arguments.sysroot == Path::new("/");
    for program in programs {
        recipe.executables.push(absolute(program, on_host));
    }
    if arguments.tag.is_some() {
        recipe.name.clone_from(&arguments.tag);
    }
    recipe.exclude.extend(arguments.exclude.iter().cloned());
    recipe.strip = arguments.strip.unwrap_or(recipe.strip);
    recipe.rules.on.extend(arguments.rule.iter().cloned());
    recipe.rules.off.extend(arguments.no_rule.iter().cloned());
    recipe.locales.extend(arguments.locale.iter().cloned());
    recipe.zones.extend(arguments.zone.iter().cloned());
    arguments.modules.add_to(&mut recipe.modules);
    recipe.min |= arguments.min;
    let mut spec = understand(&recipe, context.as_deref(), on_host)?;
    spec.profile.merge(Profile::read_all(Path::new("."), &arguments.profile)?);
    if let Some(command) = &arguments.trace {
        if !on_host {
            return Err(
                Error::Usage("--trace runs a command of this machine, not of --sysroot").into()
            );
        }
        spec.profile.merge(trace::learn(command, arguments.quiet)?);
    }
    Ok((spec, recipe.check))
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

fn warn(arguments: &Arguments, warnings: &[String]) {
    for warning in warnings.iter().filter(|_| !arguments.quiet) {
        print_warning(warning);
    }
}

/// One line for each entry: mode, kind, path, where from, and the first reason.
fn print_plan(out: &mut impl Write, plan: &Plan) -> Result<(), Failure> {
    for (path, entry) in &plan.entries {
        let (mode, kind, detail) = match &entry.node {
            Node::Folder { mode } => (*mode, "folder", String::new()),
            Node::Volume { mode, uid, gid } => (*mode, "volume", format!(" of {uid}:{gid}")),
            Node::Link { target } => (0o777, "link", format!(" -> {target}")),
            Node::HardLink { target } => (0, "name", format!(" = {target}")),
            Node::File { mode, source } => (*mode, "file", describe(source, path.as_bytes())),
        };
        let mode = if mode == 0 { "    -".to_owned() } else { format!("{mode:05o}") };
        let why = entry.why.first().map(|why| {
            let value = serde_json::to_value(why).unwrap_or_default();
            format!("  # {}", image::provenance::words(&value))
        });
        let why = why.unwrap_or_default();
        output::line(out, &format!("{mode} {kind:6} {path}{detail}{why}"))?;
    }
    let config = serde_json::to_value(&plan.config).unwrap_or_default();
    output::line(out, &format!("config {config}"))
}

fn describe(source: &Source, path: &[u8]) -> String {
    match source {
        Source::Root { path: from, size } if from.as_bytes() == path => format!(" ({size} bytes)"),
        Source::Root { path: from, size } => format!(" ({size} bytes of {from})"),
        Source::Context { path: from, size } => format!(" ({size} bytes of the recipe's {from})"),
        Source::Part { path: from, size, .. } => format!(" ({size} bytes out of {from})"),
        Source::Generated { .. } => " (generated)".to_owned(),
        Source::Stripped { of, size, .. } => format!("{}, stripped to {size}", describe(of, path)),
    }
}

fn summary(
    arguments: &Arguments,
    out: &mut impl Write,
    name: &Reference,
    built: &Built,
    started: Instant,
) -> Result<(), Failure> {
    let written = built.written.as_ref();
    let image =
        built.stored.as_ref().or_else(|| written.and_then(|written| written.image.as_ref()));
    let files = built
        .plan
        .entries
        .values()
        .filter(|entry| matches!(entry.node, Node::File { .. } | Node::HardLink { .. }))
        .count();
    // Of an image in the store, its own; else what there is of the output.
    let digest = match (&built.stored, written) {
        (Some(image), _) => Some(image.manifest.digest().to_string()),
        (None, Some(written)) => written.digest.map(|digest| digest.to_string()),
        (None, None) => None,
    };
    let size = written.map_or_else(|| image.map_or(0, |image| image.size), |written| written.size);
    let seconds = started.elapsed().as_secs_f64();
    if arguments.json {
        let value = json!({
            "name": name.to_string(),
            "digest": digest,
            "diffId": image.map(|image| image.diff_id.to_string()),
            "files": files,
            "entries": built.plan.entries.len(),
            "size": size,
            "output": arguments.output.as_ref().map(|path| path.display().to_string()),
            "warnings": built.warnings,
            "sizes": arguments.report.then(|| sizes::of_plan(&built.plan)).transpose()?,
        });
        return output::json(out, &value);
    }
    if arguments.quiet {
        return digest.map_or(Ok(()), |digest| output::line(out, &digest));
    }
    if let Some(path) = &arguments.output {
        output::line(out, &format!("output   {}", path.display()))?;
    }
    output::line(out, &format!("name     {name}"))?;
    if let Some(digest) = digest {
        output::line(out, &format!("digest   {digest}"))?;
    }
    output::line(out, &format!("files    {files} ({} entries)", built.plan.entries.len()))?;
    let unpacked = image.map(|image| format!(" ({} unpacked)", output::size(image.unpacked)));
    output::line(out, &format!("size     {}{}", output::size(size), unpacked.unwrap_or_default()))?;
    output::line(out, &format!("time     {seconds:.2} s"))
}
