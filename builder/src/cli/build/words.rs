//! A plan and a finished build, for people and as JSON.

use std::io::Write;
use std::time::Instant;

use common::oci::reference::Reference;
use serde_json::json;

use super::arguments::Arguments;
use crate::Built;
use crate::cli::{Failure, output, sizes};
use crate::image;
use crate::plan::{Node, Plan, Source};

/// One line for each entry: mode, kind, path, where from, and the first reason.
pub(super) fn print_plan(out: &mut impl Write, plan: &Plan) -> Result<(), Failure> {
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

/// What was made.
pub(super) fn summary(
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
    if arguments.told.json {
        let value = json!({
            "name": name.to_string(),
            "digest": digest,
            "diffId": image.map(|image| image.diff_id.to_string()),
            "files": files,
            "entries": built.plan.entries.len(),
            "size": size,
            "output": arguments.image.output.as_ref().map(|path| path.display().to_string()),
            "warnings": built.warnings,
            "sizes": arguments.told.report.then(|| sizes::of_plan(&built.plan)).transpose()?,
        });
        return output::json(out, &value);
    }
    if arguments.told.quiet {
        return digest.map_or(Ok(()), |digest| output::line(out, &digest));
    }
    if let Some(path) = &arguments.image.output {
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
