//! The options of `coracle build`, in groups as the help shows them, and what they make of a recipe.

use std::path::{Path, PathBuf};

use clap::Args;
use common::oci::reference::Reference;

use crate::Error;
use crate::assemble::Epoch;
use crate::cli::modules::ModuleArgs;
use crate::cli::request::{absolute, context, is_recipe, understand};
use crate::cli::search::SearchArgs;
use crate::cli::{Failure, StoreOption, trace};
use crate::image::Compression;
use crate::image::formats::Format;
use crate::spec::ImageSpec;
use crate::spec::check::Check;
use crate::spec::least::{Exclude, Strip};
use crate::spec::profile::Profile;
use crate::spec::recipe::Recipe;
use crate::spec::regional::{LocaleName, ZoneName};

/// Pack programs, with everything that they need to run, into an image.
///
/// The image goes into the store under the name of the first program. With -o it goes to a file or
/// folder instead (and into the store as well, if -t names it).
#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// Programs: paths, names found on PATH; or one recipe file (.toml)
    #[arg(required = true, value_name = "WHAT")]
    pub(super) what: Vec<String>,
    #[command(flatten)]
    pub(super) image: ImageArgs,
    #[command(flatten)]
    pub(super) source: SourceArgs,
    #[command(flatten)]
    pub(super) contents: ContentArgs,
    #[command(flatten)]
    pub(super) least: LeastArgs,
    #[command(flatten)]
    pub(super) proof: ProofArgs,
    #[command(flatten)]
    pub(super) told: ToldArgs,
}

/// The image, and where it goes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Image")]
pub(super) struct ImageArgs {
    /// Name of the image, NAME[:TAG]
    #[arg(short, long, value_name = "NAME")]
    pub(super) tag: Option<Reference>,
    #[command(flatten)]
    pub(super) store: StoreOption,
    /// Write a file or folder; its name says the format: .oci.tar or .oci (OCI archive), .tar,
    /// .tar.gz, .tar.zst (root filesystem), NAME/ (root filesystem as a folder)
    #[arg(short, long, value_name = "PATH")]
    pub(super) output: Option<PathBuf>,
    /// The format of the output, whatever its name says
    #[arg(long, requires = "output")]
    pub(super) format: Option<Format>,
    /// Replace the output if it exists
    #[arg(long, requires = "output")]
    pub(super) force: bool,
    /// How the layer is compressed
    #[arg(long, default_value = "gzip")]
    pub(super) compression: Compression,
    /// The time of all files and of the image, in seconds since 1970
    #[arg(long, value_name = "SECONDS", default_value = "0")]
    pub(super) source_date_epoch: Epoch,
}

/// Where programs and libraries are.
#[derive(Debug, Args)]
#[command(next_help_heading = "Where from")]
pub(super) struct SourceArgs {
    /// Take programs and libraries from this root instead of the host's
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub(super) sysroot: PathBuf,
    #[command(flatten)]
    pub(super) search: SearchArgs,
}

/// What is packed besides programs and their libraries.
#[derive(Debug, Args)]
#[command(next_help_heading = "What else")]
pub(super) struct ContentArgs {
    /// Switch a rule on that is off by default; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(super) rule: Vec<String>,
    /// Switch a rule off; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(super) no_rule: Vec<String>,
    /// A folder of rules, which replace or add to those that come with coracle
    #[arg(long, value_name = "DIR")]
    pub(super) rules: Option<PathBuf>,
    #[command(flatten)]
    pub(super) modules: ModuleArgs,
    /// Add a locale, such as de_DE.UTF-8; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(super) locale: Vec<LocaleName>,
    /// Add a time zone, such as Europe/Berlin; the first is the image's own; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(super) zone: Vec<ZoneName>,
    /// Pack what this profile of a run names as well (see `coracle trace`); may be repeated
    #[arg(long, value_name = "FILE")]
    pub(super) profile: Vec<PathBuf>,
    /// Run this command once, and pack what it opens as well: `coracle trace` and --profile in one
    #[arg(long, value_name = "COMMAND")]
    pub(super) trace: Option<String>,
}

/// What is left out.
#[derive(Debug, Args)]
#[command(next_help_heading = "What not")]
pub(super) struct LeastArgs {
    /// Leave debug sections out of ELF files, and with =all tables of symbols too
    #[arg(
        long,
        value_name = "WHAT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "debug"
    )]
    pub(super) strip: Option<Strip>,
    /// Leave out paths of the image that match this pattern, and everything below; may be repeated
    #[arg(long, value_name = "PATTERN")]
    pub(super) exclude: Vec<Exclude>,
    /// Leave out what no run used: of profiles, and of the recipe's [check], which has to pass with and
    /// without it (docs/least.md)
    #[arg(long)]
    pub(super) min: bool,
}

/// Whether it has to pass its check.
#[derive(Debug, Args)]
#[command(next_help_heading = "Proof")]
pub(super) struct ProofArgs {
    /// Write nothing unless the recipe's check passes (docs/check.md)
    #[arg(long, conflicts_with = "dry_run")]
    pub(super) require_check: bool,
    /// The launcher that runs the check [default: the `paddle` beside coracle, else on PATH]
    #[arg(long, value_name = "PROGRAM")]
    pub(super) paddle: Option<PathBuf>,
}

/// What is said.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(super) struct ToldArgs {
    /// Print what would be in the image, and why, and write nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Say what takes the room in the image, and what it is there for
    #[arg(long, conflicts_with = "quiet")]
    pub(super) report: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub(super) json: bool,
    /// No progress bars, no summary, no warnings
    #[arg(short, long)]
    pub(super) quiet: bool,
}

impl Arguments {
    /// What was asked for: a recipe's content, programs of the command line, and options over both.
    pub(super) fn spec(&self) -> Result<(ImageSpec, Option<Check>), Failure> {
        let (recipes, programs): (Vec<&String>, Vec<&String>) =
            self.what.iter().partition(|what| is_recipe(Path::new(what)));
        let (mut recipe, context) = match recipes.as_slice() {
            [] => (Recipe::default(), None),
            [path] => {
                let path = Path::new(path);
                (Recipe::read(path)?, Some(context(path)))
            }
            _ => return Err(Error::Usage("only one recipe can be built at a time").into()),
        };
        let on_host = self.source.sysroot == Path::new("/");
        for program in programs {
            recipe.executables.push(absolute(program, on_host));
        }
        if self.image.tag.is_some() {
            recipe.name.clone_from(&self.image.tag);
        }
        let contents = &self.contents;
        recipe.exclude.extend(self.least.exclude.iter().cloned());
        recipe.strip = self.least.strip.unwrap_or(recipe.strip);
        recipe.rules.on.extend(contents.rule.iter().cloned());
        recipe.rules.off.extend(contents.no_rule.iter().cloned());
        recipe.locales.extend(contents.locale.iter().cloned());
        recipe.zones.extend(contents.zone.iter().cloned());
        contents.modules.add_to(&mut recipe.modules);
        recipe.min |= self.least.min;
        let mut spec = understand(&recipe, context.as_deref(), on_host)?;
        spec.profile.merge(Profile::read_all(Path::new("."), &contents.profile)?);
        if let Some(command) = &contents.trace {
            if !on_host {
                return Err(Error::Usage(
                    "--trace runs a command of this machine, not of --sysroot",
                )
                .into());
            }
            spec.profile.merge(trace::learn(command, self.told.quiet)?);
        }
        Ok((spec, recipe.check))
    }
}
