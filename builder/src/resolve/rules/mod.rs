//! Rules: what a program needs and its headers do not say, kept as data (`recipes/rules/*.toml`).
//!
//! Decides what a rule file may hold and which rules are on. [`fire`] finds out which of them hold
//! for a closure. The rules that come with `coracle` are part of the program; a folder of files of
//! the same form replaces rules of the same name and adds others.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use common::report::Diagnostic;
use serde::Deserialize;
use walkdir::WalkDir;

use crate::resolve::near::near;
use crate::spec::glob::Glob;

pub mod contents;
mod embedded;
pub mod fire;
mod language;
mod template;

pub use contents::Text;
pub use language::LanguageRule;
pub use template::Variables;

/// All rules by name.
#[derive(Debug, Clone)]
pub struct RuleSet {
    rules: BTreeMap<String, Rule>,
    /// The files that they stand in.
    texts: BTreeMap<String, String>,
}

/// One file of `recipes/rules`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Rule {
    /// Why programs need what it ships; one sentence.
    pub why: String,
    /// What it costs, in words, where it was measured.
    pub size: Option<String>,
    /// Whether it holds without being asked for.
    #[serde(default = "on")]
    pub default: bool,
    /// It fires when any of these holds.
    pub when: Vec<When>,
    /// What it then adds.
    #[serde(default)]
    pub ship: Vec<Ship>,
    /// The modules of an interpreter, of which what scripts import is added.
    pub modules: Option<LanguageRule>,
    /// What it then tells the person.
    pub warning: Option<String>,
    /// No warning where the closure has a file or link of this path (a pattern).
    pub warning_unless: Option<Pattern>,
}

/// A trigger; all keys that are given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct When {
    /// An object of this name (a pattern) is loaded. Its folder is `{dir}`.
    pub soname: Option<Pattern>,
    /// An object, program or script has this path (a pattern), as it was asked for or with all
    /// links resolved. Its folder is `{dir}`, that folder's parent `{prefix}`, what its `*` stood
    /// for `{1}`, `{2}` ...
    pub path: Option<Pattern>,
    /// A program of this path (a pattern) is named by the `#!` line of a script, or by `env` there.
    pub interpreter: Option<Pattern>,
    /// An object other than the C library imports one of these symbols.
    pub symbol: Vec<String>,
    /// It also has one of these texts anywhere in its read-only data, as they stand here.
    pub holds: Vec<String>,
    /// It also has one of these strings (patterns) among its read-only data, whole: `{string}`.
    pub string: Vec<Text>,
    /// Objects of this name or path (a pattern) do not count.
    pub except: Option<Pattern>,
}

/// Something to add. One kind of key for each table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Ship {
    /// Files, folders (whole) or patterns; what does not exist is left out.
    pub files: Vec<String>,
    /// Patterns that are left out of `files`, `modules` and what `nsswitch` names.
    pub exclude: Vec<String>,
    /// Objects that the program opens by path: added, and resolved in its scope.
    pub modules: Vec<String>,
    /// Files (patterns) that name modules: of `modules`, only those whose file name stands there.
    pub named_in: Vec<String>,
    /// Objects that the program opens by name: searched for as `dlopen` does.
    pub libraries: Vec<String>,
    /// Programs and scripts that the program starts.
    pub programs: Vec<String>,
    /// A switch file of glibc's name service: the modules that it names are added where they exist.
    pub nsswitch: Option<String>,
    /// A file, or a pattern of files, that lists modules by path: shipped with those that are in the
    /// image.
    pub list: Option<String>,
    /// How `list` is written.
    pub entries: Entries,
    /// All of this table is left out where one of these paths or patterns exists.
    pub unless: Vec<String>,
    /// An empty folder.
    pub folder: Option<String>,
    /// A file with this `content`, where the root has none to ship.
    pub path: Option<String>,
    /// Content of `path`.
    pub content: Option<String>,
    /// Why, where the rule's own reason does not say it.
    pub why: Option<String>,
}

/// How a file lists modules.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Entries {
    /// Paragraphs, each beginning with a path in quotes: `loaders.cache` of gdk-pixbuf,
    /// `immodules.cache` of GTK.
    #[default]
    Paragraphs,
    /// Lines `NAME: ...` for modules beside the file: `giomodule.cache` of GIO.
    Lines,
}

/// A [`Glob`] that was parsed with its file, so that the error names the line.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern(pub Glob);

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Glob::parse(text.as_bytes())
            .map(Self)
            .map_err(|why| format!("`{text}` is not a pattern: {why}"))
    }
}

fn on() -> bool {
    true
}

/// Why rules cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// A rule file or folder cannot be read.
    #[error("cannot read rules `{}`", path.display())]
    Read {
        /// File or folder.
        path: PathBuf,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// A rule file is not understood.
    #[error("cannot understand rule `{}`: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, column and what is wrong there.
        message: String,
    },
    /// A rule was switched on or off that does not exist.
    #[error("there is no rule `{name}`")]
    Unknown {
        /// The name that was given.
        name: String,
        /// Those that exist.
        known: Vec<String>,
    },
}

impl Diagnostic for RuleError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { name, known } => {
                let near = near(name, known.iter().map(String::as_str));
                Some(match near.as_slice() {
                    [] => "coracle rules lists them".to_owned(),
                    near => format!("there is {}; coracle rules lists all", near.join(", ")),
                })
            }
            Self::Syntax { .. } => Some("docs/rules.md lists every key of a rule".to_owned()),
            Self::Read { .. } => None,
        }
    }
}

impl RuleSet {
    /// The rules that come with the program, then those of `folder` and its subfolders.
    pub fn load(folder: Option<&Path>) -> Result<Self, RuleError> {
        let mut set = Self { rules: BTreeMap::new(), texts: BTreeMap::new() };
        for (name, text) in embedded::RULES {
            set.add(name, &Path::new(name).with_extension("toml"), (*text).to_owned())?;
        }
        let Some(folder) = folder else { return Ok(set) };
        // By name, so that of two mistakes the same one is told on every file system.
        for entry in WalkDir::new(folder).follow_links(true).sort_by_file_name() {
            let entry = entry.map_err(|error| RuleError::Read {
                path: error.path().unwrap_or(folder).to_owned(),
                source: error.into(),
            })?;
            let path = entry.path();
            let (true, Some(stem), Some("toml")) = (
                entry.file_type().is_file(),
                path.file_stem().and_then(|stem| stem.to_str()),
                path.extension().and_then(|extension| extension.to_str()),
            ) else {
                continue;
            };
            let text = std::fs::read_to_string(path)
                .map_err(|source| RuleError::Read { path: path.to_owned(), source })?;
            set.add(stem, path, text)?;
        }
        Ok(set)
    }

    fn add(&mut self, name: &str, path: &Path, text: String) -> Result<(), RuleError> {
        self.rules.insert(name.to_owned(), parse(path, &text)?);
        self.texts.insert(name.to_owned(), text);
        Ok(())
    }

    /// The file of one rule.
    pub fn text(&self, name: &str) -> Result<&str, RuleError> {
        let text = self.texts.get(name).map(String::as_str);
        text.ok_or_else(|| self.unknown(name))
    }

    fn unknown(&self, name: &str) -> RuleError {
        RuleError::Unknown { name: name.to_owned(), known: self.rules.keys().cloned().collect() }
    }

    /// Leaves only rules that are on: by default, or by `switches` (`true` is on).
    pub fn switched(mut self, switches: &BTreeMap<String, bool>) -> Result<Self, RuleError> {
        for name in switches.keys() {
            if !self.rules.contains_key(name) {
                return Err(self.unknown(name));
            }
        }
        self.rules.retain(|name, rule| switches.get(name).copied().unwrap_or(rule.default));
        Ok(self)
    }

    /// All of them, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Rule)> {
        self.rules.iter().map(|(name, rule)| (name.as_str(), rule))
    }
}

fn parse(path: &Path, text: &str) -> Result<Rule, RuleError> {
    toml::from_str(text).map_err(|error| RuleError::Syntax {
        path: path.to_owned(),
        message: error.to_string().trim_end().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_file_is_embedded_and_parses() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../recipes/rules");
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        names.sort();
        let embedded: Vec<&str> = embedded::RULES.iter().map(|(name, _)| *name).collect();
        assert_eq!(embedded, names);
        for (name, rule) in RuleSet::load(None).unwrap().iter() {
            assert!(!rule.when.is_empty(), "{name} never fires");
            assert!(rule.size.is_some(), "{name} does not say what it costs");
            let does = !rule.ship.is_empty() || rule.modules.is_some() || rule.warning.is_some();
            assert!(does, "{name} does nothing");
        }
    }

    #[test]
    fn an_unknown_rule_is_an_error_that_names_near_ones() {
        let error = RuleSet::load(None)
            .unwrap()
            .switched(&BTreeMap::from([("tzdate".to_owned(), false)]))
            .unwrap_err();
        assert_eq!(error.to_string(), "there is no rule `tzdate`");
        assert_eq!(error.hint().unwrap(), "there is tzdata; coracle rules lists all");
    }

    #[test]
    fn a_folder_replaces_and_adds_rules() {
        let folder = tempfile::tempdir().unwrap();
        let text = "why = \"x\"\nwhen = [{ soname = \"a\" }]\nwarning = \"w\"";
        std::fs::write(folder.path().join("nss.toml"), text).unwrap();
        std::fs::create_dir(folder.path().join("own")).unwrap();
        std::fs::write(folder.path().join("own/mine.toml"), text).unwrap();
        let set = RuleSet::load(Some(folder.path())).unwrap();
        let find = |name| set.iter().find(|(n, _)| *n == name).unwrap().1.why.clone();
        assert_eq!((find("nss"), find("mine")), ("x".to_owned(), "x".to_owned()));
        std::fs::write(folder.path().join("own/mine.toml"), "why = \"x\"\nwhen = [{ sonam = 1 }]")
            .unwrap();
        let error = RuleSet::load(Some(folder.path())).unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("sonam"), "{error}");
    }
}
