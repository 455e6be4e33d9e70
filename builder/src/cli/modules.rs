//! Options that name modules of interpreters: one a language.

use clap::Args;

use crate::spec::modules::{Language, Modules, Wanted};

/// Modules, besides those that scripts import.
#[derive(Debug, Args)]
pub(super) struct ModuleArgs {
    /// Python modules besides those that scripts import, joined by `,`: json, xml.* (with all below), * (the
    /// whole standard library); may be repeated
    #[arg(long, value_name = "MODULES", value_delimiter = ',')]
    python_modules: Option<Vec<Wanted>>,
}

impl ModuleArgs {
    /// Adds what was given to what a recipe wants.
    pub(super) fn add_to(&self, modules: &mut Modules) {
        for (language, wanted) in [(Language::Python, &self.python_modules)] {
            if let Some(wanted) = wanted {
                modules.add(language, wanted.iter().cloned());
            }
        }
    }
}
