//! A first recipe, as text: what a build found, commented, for a person to go on with.
//!
//! Everything that is not a comment is what `coracle build` of the same programs would do; nothing is guessed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use common::tree::ImagePath;

use super::size::{count, size};
use super::sizes::{Share, Sizes};
use crate::plan::{Plan, Why};

/// What is known of the programs.
#[derive(Debug)]
pub struct Draft<'a> {
    /// Name of the image.
    pub name: String,
    /// Programs, as the recipe shall have them.
    pub executables: Vec<String>,
    /// How the recipe is called on a command line.
    pub file: String,
    /// `--sysroot` and the like, which the recipe's user has to give again.
    pub options: String,
    /// What a build makes.
    pub plan: &'a Plan,
    /// Its sizes.
    pub sizes: &'a Sizes,
    /// Its warnings.
    pub warnings: &'a [String],
    /// Rules that are off and would bring something: how much, and why.
    pub off: &'a BTreeMap<String, (Share, String)>,
    /// Bytes that `strip` would save.
    pub debug: u64,
}

/// The recipe.
pub fn text(draft: &Draft<'_>) -> String {
    let mut out = String::new();
    head(&mut out, draft);
    how_it_runs(&mut out, draft.plan);
    if draft.debug > 0 {
        let _ =
            writeln!(out, "\nstrip = true # leaves out {} of debug sections", size(draft.debug));
    }
    out.push_str(
        "\n# Further files.\n\
         #[[files]]\n\
         #source = \"conf/*.conf\"         # relative to this file; or absolute: a path of the root\n\
         #destination = \"/etc/app/\"      # with a slash at its end: into this folder\n\n",
    );
    rules(&mut out, draft);
    modules(&mut out, draft.plan);
    check(&mut out, draft.plan);
    out
}

fn head(out: &mut String, draft: &Draft<'_>) {
    let (total, file, options) = (draft.sizes.total, &draft.file, &draft.options);
    let _ = writeln!(
        out,
        "# {} in {}. docs/recipes.md of coracle tells what each key means.\n#\n\
         #   coracle build{options} --report {file}\n\
         #   coracle check{options} --run {file}",
        size(total.bytes.saturating_sub(draft.debug)),
        count(total.files, "file"),
    );
    for warning in draft.warnings {
        let mut lines = warning.lines();
        let _ = writeln!(out, "#\n# Warning: {}", tamed(lines.next().unwrap_or_default()));
        for line in lines {
            let _ = writeln!(out, "#   {}", tamed(line));
        }
    }
    let _ = writeln!(out, "name = {}", quoted(&draft.name));
    let _ = writeln!(out, "executables = [");
    for executable in &draft.executables {
        let _ = writeln!(out, "    {},", quoted(executable));
    }
    out.push_str("]\n");
    for (interpreter, script) in interpreters(draft.plan) {
        let _ = writeln!(out, "# {interpreter} runs the script {script}.");
    }
}

fn is_asked(plan: &Plan, path: &ImagePath) -> bool {
    plan.entries.get(path).is_some_and(|entry| entry.why.contains(&Why::Asked))
}

/// What runs scripts that were asked for.
fn interpreters(plan: &Plan) -> BTreeSet<(&ImagePath, &ImagePath)> {
    let mut found = BTreeSet::new();
    for (path, entry) in &plan.entries {
        for why in &entry.why {
            if let Why::Script { by } = why
                && is_asked(plan, by)
            {
                found.insert((path, by));
            }
        }
    }
    found
}

fn how_it_runs(out: &mut String, plan: &Plan) {
    let entrypoint: Vec<String> = plan.config.entrypoint.iter().map(|word| quoted(word)).collect();
    let _ = writeln!(out, "\n# How it runs; each as it is without the key.");
    let _ = writeln!(out, "#entrypoint = [{}]", entrypoint.join(", "));
    out.push_str(
        "#cmd = []                       # arguments that a launch can replace\n\
         #user = \"0:0\"                   # NAME or UID, then :GROUP or :GID\n\
         #workdir = \"/\"\n\
         #env = {}                       # { LANG = \"C.UTF-8\" }\n\
         #ports = []                     # [\"8080\", \"53/udp\"]\n\
         #volumes = []                   # folders that hold data, made empty\n",
    );
}

fn rules(out: &mut String, draft: &Draft<'_>) {
    let whys = whys(draft.plan);
    out.push_str("[rules]\n");
    let fired: Vec<(&str, Share)> = draft
        .sizes
        .only_for
        .iter()
        .filter_map(|part| Some((part.what.strip_prefix("rule ")?, part.share)))
        .filter(|(name, _)| whys.contains_key(name))
        .collect();
    if !fired.is_empty() {
        out.push_str("# These have fired, and bring what nothing else brings. Without its `#` a rule brings nothing.\n");
        out.push_str("off = [\n");
        for (name, share) in fired {
            let why = whys.get(name).copied().unwrap_or_default();
            rule(out, name, share, why);
        }
        out.push_str("]\n");
    }
    if !draft.off.is_empty() {
        out.push_str("# These would fire, and are off unless they are named here.\non = [\n");
        for (name, (share, why)) in draft.off {
            rule(out, name, *share, why);
        }
        out.push_str("]\n");
    }
}

fn rule(out: &mut String, name: &str, share: Share, why: &str) {
    let amount = format!("{} in {}", size(share.bytes), count(share.files, "file"));
    let _ = writeln!(out, "    #{}, # {amount}: {}", quoted(name), tamed(why));
}

/// What each rule that brought something says for itself.
pub fn whys(plan: &Plan) -> BTreeMap<&str, &str> {
    let mut whys = BTreeMap::new();
    for why in plan.entries.values().flat_map(|entry| &entry.why) {
        if let Why::Rule { rule, why, .. } = why {
            whys.entry(rule.as_str()).or_insert(why.as_str());
        }
    }
    whys
}

/// Languages whose modules a recipe can name, by the rule that knows each.
const LANGUAGES: [&str; 5] = ["node", "perl", "php", "python", "ruby"];
/// Names of imported modules that are told.
const NAMED: usize = 12;

/// What scripts import, for each language that is spoken.
fn modules(out: &mut String, plan: &Plan) {
    let mut imported: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for why in plan.entries.values().flat_map(|entry| &entry.why) {
        match why {
            Why::Imported { name, rule, by } => {
                let names = imported.entry(rule).or_default();
                names.extend(Some(name.as_str()).filter(|_| is_asked(plan, by)));
            }
            Why::Rule { rule, .. } => drop(imported.entry(rule).or_default()),
            _ => {}
        }
    }
    imported.retain(|rule, _| LANGUAGES.contains(rule));
    if imported.is_empty() {
        return;
    }
    out.push_str("\n# Modules besides those that scripts import; \"*\" is the whole standard library.\n#[modules]\n");
    for (language, names) in imported {
        let told: Vec<&str> = names.iter().copied().take(NAMED).collect();
        let more = names.len().saturating_sub(NAMED);
        let found = match (told.is_empty(), more) {
            (true, _) => "no script that was asked for imports any".to_owned(),
            (false, 0) => format!("imported: {}", told.join(", ")),
            (false, more) => format!("imported: {} and {more} more", told.join(", ")),
        };
        let _ = writeln!(out, "#{language} = [] # {}", tamed(&found));
    }
}

fn check(out: &mut String, plan: &Plan) {
    let Some(program) = plan.config.entrypoint.first() else { return };
    let _ = writeln!(
        out,
        "\n# What the image has to do before it is believed to run (docs/check.md). That it starts is a\n\
         # beginning: let it do what it is for.\n\
         [[check.step]]\n\
         run = [{}, \"--version\"]\n\
         #stdout-has = [\"\"]",
        quoted(program)
    );
}

/// A TOML string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// Text behind a `#`: control characters are no part of a comment (TOML 1.0, "Comment").
fn tamed(text: &str) -> String {
    common::escape::Tamed(text).to_string()
}
