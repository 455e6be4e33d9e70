//! `coracle build`.

use std::io::Write;
use std::time::Instant;

use common::oci::layout::ImageLayout;
use common::report::warn as print_warning;

mod arguments;
mod words;

pub(super) use arguments::Arguments;

use super::proven::{self, RunError};
use super::request::{Inputs, surroundings};
use super::{Failure, output, signals, sizes};
use crate::image::formats::Output;
use crate::image::{self, ImageError};
use crate::proof::Paddle;
use crate::report;
use crate::resolve::Sysroot;
use crate::spec::ImageSpec;
use crate::spec::check::Check;
use crate::{Built, Destination, Error, Surroundings};

pub(in crate::cli) fn run(arguments: &Arguments, out: &mut impl Write) -> Result<(), Failure> {
    let started = Instant::now();
    let (mut spec, check) = arguments.spec()?;
    let sysroot = Sysroot::open(&arguments.source.sysroot)
        .map_err(|source| Error::Sysroot { path: arguments.source.sysroot.clone(), source })?;
    let inputs = Inputs {
        root: &arguments.source.sysroot,
        search: &arguments.source.search,
        rules: arguments.contents.rules.as_deref(),
        quiet: arguments.told.quiet,
    };
    let around = surroundings(&inputs, &spec, &sysroot)?;
    let watch = signals::watch(&around.interrupt);
    let is_proven =
        learn(arguments, &mut spec, check.as_ref(), &around).inspect_err(|_failed| watch.end())?;
    if arguments.told.dry_run {
        let (plan, warnings) = crate::plan(&spec, &around)?;
        warn(arguments, &warnings);
        return match (arguments.told.report, arguments.told.json) {
            (true, json) => sizes::print_plan(out, &plan, json),
            (false, true) => output::json(out, &plan),
            (false, false) => words::print_plan(out, &plan),
        };
    }
    let to = arguments.image.output.as_deref();
    let wanted = to
        .map(|path| Output::new(path, arguments.image.format, arguments.image.force))
        .transpose()
        .map_err(Error::Image)?;
    let store = if wanted.is_none() || arguments.image.tag.is_some() {
        let path = arguments.image.store.path()?;
        Some(ImageLayout::create(&path).map_err(ImageError::from)?)
    } else {
        None
    };
    let destination = Destination {
        store: store.as_ref().map(|layout| (layout, &spec.name)),
        output: wanted.as_ref(),
        bytes: image::Options {
            compression: arguments.image.compression,
            epoch: arguments.image.source_date_epoch,
        },
    };
    let built = if is_proven {
        proven(arguments, &spec, check.as_ref(), &around, &destination)
    } else {
        crate::build(&spec, &around, &destination).map_err(Failure::from)
    };
    let built = built.inspect_err(|_failed| watch.end())?;
    warn(arguments, &built.warnings);
    words::summary(arguments, out, &spec.name, &built, started)?;
    if !arguments.told.report || arguments.told.json {
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
    let is_proven = arguments.proof.require_check || spec.least.min && check.is_some();
    if arguments.proof.paddle.is_some() && !is_proven {
        return Err(Error::Usage("--paddle names who runs a check, and none is run").into());
    }
    proven::learn(spec, check, around, arguments.proof.paddle.as_deref())?;
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
    let paddle = Paddle::find(arguments.proof.paddle.as_deref()).map_err(RunError::from)?;
    let (built, proof) = proven::build_proven(spec, check, around, to, &paddle)?;
    if !(arguments.told.quiet && proof.holds()) {
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

fn warn(arguments: &Arguments, warnings: &[String]) {
    for warning in warnings.iter().filter(|_| !arguments.told.quiet) {
        print_warning(warning);
    }
}
