//! `coracle rules`.

use std::io::Write;
use std::path::PathBuf;

use serde_json::json;

use super::{Failure, output};
use crate::resolve::rules::{Rule, RuleSet};

/// List the rules: what programs need and their headers do not say.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A folder of rules, which replace or add to those that come with coracle
    #[arg(long, value_name = "DIR")]
    rules: Option<PathBuf>,
    /// Print the file of one rule
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Print the result as JSON
    #[arg(long, conflicts_with = "name")]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, out: &mut impl Write) -> Result<(), Failure> {
    let rules = RuleSet::load(arguments.rules.as_deref())?;
    if let Some(name) = &arguments.name {
        let text = rules.text(name)?;
        return output::line(out, text.trim_end());
    }
    if arguments.json {
        let value = |(name, rule): (&str, &Rule)| json!({ "name": name, "default": rule.default, "why": rule.why, "size": rule.size });
        let values: Vec<_> = rules.iter().map(value).collect();
        return output::json(out, &values);
    }
    let width = rules.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, rule) in rules.iter() {
        let switch = if rule.default { "on" } else { "off" };
        let size = rule.size.as_ref().map(|size| format!(" [{size}]")).unwrap_or_default();
        output::line(out, &format!("{name:width$}  {switch:3}  {}{size}", rule.why))?;
    }
    Ok(())
}
