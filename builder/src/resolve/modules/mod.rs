//! Modules of interpreted languages: which of them scripts import, found without running anything.
//!
//! Decides which files of an interpreter's libraries an image needs: what the interpreter starts with, what a
//! person asked for, what packed scripts import, and what all of these import in turn. Where the libraries
//! are, and what no source says, is data: the `[modules]` table of a rule. Refuses to know what an image is,
//! and how shared objects are resolved: extension modules become requests like any other.
//!
//! ```text
//! scripts, recipe's files, -m and -c   brought.rs    \
//! [modules], --python-modules          spec::modules  > walk.rs -> Unit, Because
//! start, hidden of the rule            rules::language/    |
//!                                          Dialect: find(name) -> files, imports(source) -> names
//! library.rs: what stands in the root's folders
//! ```

use std::collections::BTreeSet;
use std::fmt::Debug;

use common::tree::ImagePath;

use crate::spec::modules::Language;

pub(super) mod brought;
mod library;
mod node;
mod perl;
mod php;
mod python;
mod ruby;
mod serve;
mod text;
mod walk;

pub(super) use library::{Library, Memory};
pub(super) use serve::serve;

/// A file that belongs to a module.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Unit {
    /// Its path in the root; it may be a link.
    pub(super) path: ImagePath,
    /// The module's name, as the language writes it; empty for a script.
    pub(super) name: String,
    /// What it holds.
    pub(super) kind: Kind,
}

/// What a module's file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Source of the language; what it imports is found by reading it.
    Source,
    /// A shared object.
    Object,
    /// Anything else that the module reads.
    Data,
}

/// One import.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Import {
    /// The module, by its full name.
    pub(super) name: String,
    /// When it happens.
    pub(super) when: When,
    /// It happens only where one of these cannot be imported.
    pub(super) instead_of: Vec<String>,
}

/// When an import happens, the surest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum When {
    /// Always, and no failure is caught.
    Always,
    /// As the module is loaded, in some cases.
    Maybe,
    /// When a function of the module is called.
    Later,
    /// When the module is run as the program.
    AsProgram,
}

impl Import {
    fn new(name: &str, when: When) -> Self {
        Self { name: name.to_owned(), when, instead_of: Vec::new() }
    }

    fn maybe(name: &str) -> Self {
        Self::new(name, When::Maybe)
    }
}

/// What a name leads to.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Files, in the order in which they are loaded; also those of the packages above it.
    pub(super) units: Vec<Unit>,
    /// Whether the module itself is among them.
    pub(super) whole: bool,
}

/// One language: how it writes imports, and where it looks for modules.
pub(super) trait Dialect: Debug {
    /// Whether a file (its name, its first bytes) that a recipe brings is source of the language.
    fn is_source(&self, name: &[u8], head: &[u8]) -> bool;

    /// What options in the words of a command line (`-m NAME`, `-c CODE`) make the interpreter import.
    /// Empty where the first word is not the interpreter.
    fn of_command(&self, words: &[String]) -> Vec<Import>;

    /// What the interpreter imports when a module is run as the program.
    fn run(&self, name: &str) -> Vec<Import>;

    /// Completes the folders in which modules are searched by what the root says of them; `interpreters`
    /// are the paths by which the interpreter is started. Returns what it reads for
    /// that: files, and folders (themselves only).
    fn prepare(&self, library: &mut Library<'_>, interpreters: &[&ImagePath]) -> Vec<ImagePath>;

    /// The files that a name leads to.
    fn find(&self, name: &str, library: &Library<'_>) -> Found;

    /// What a source or an object imports.
    fn imports(&self, unit: &Unit, bytes: &[u8], library: &Library<'_>) -> Vec<Import>;

    /// Names of all modules below one; of the empty name, of the standard library.
    fn below(&self, name: &str, library: &Library<'_>) -> BTreeSet<String>;

    /// Names of what can be imported without naming anything above it, for whoever has mistyped one.
    fn known(&self, library: &Library<'_>) -> BTreeSet<String>;

    /// Files that come with a module's file: data of its package, what is known of its distribution.
    fn beside(&self, unit: &Unit, library: &Library<'_>) -> Vec<ImagePath>;
}

/// The dialect of a language.
pub(super) fn dialect(language: Language) -> &'static dyn Dialect {
    match language {
        Language::Node => &node::Node,
        Language::Perl => &perl::Perl,
        Language::Php => &php::Php,
        Language::Python => &python::Python,
        Language::Ruby => &ruby::Ruby,
    }
}

/// All of them.
pub const LANGUAGES: [Language; 5] =
    [Language::Node, Language::Perl, Language::Php, Language::Python, Language::Ruby];

/// Names of the modules that a script of a language imports, as they are written or, where they are relative,
/// as they are found from a script in `/`. Each once, sorted.
pub fn imported(language: Language, script: &[u8], sysroot: &super::Sysroot) -> BTreeSet<String> {
    let memory = Memory::default();
    let library = Library::new(sysroot, &memory);
    let unit = Unit { path: ImagePath::root(), name: String::new(), kind: Kind::Source };
    let imports = dialect(language).imports(&unit, script, &library);
    imports.into_iter().map(|import| import.name).collect()
}
