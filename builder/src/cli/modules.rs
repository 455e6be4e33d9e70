//! Options that name modules of interpreters: one a language.

use clap::Args;

use crate::spec::modules::{Language, Modules, Wanted};

/// Modules, besides those that scripts import.
#[derive(Debug, Args)]
#[expect(clippy::struct_field_names, reason = "they are the names of the options")]
pub(super) struct ModuleArgs {
    /// Packages of Node.js besides those that scripts import, joined by `,`, each with those that it depends on
    #[arg(long, value_name = "PACKAGES", value_delimiter = ',')]
    node_modules: Option<Vec<Wanted>>,
    /// Perl modules besides those that scripts use, joined by `,`: `JSON::PP`, `File::*` (with all below), `*` (the
    /// whole standard library)
    #[arg(long, value_name = "MODULES", value_delimiter = ',')]
    perl_modules: Option<Vec<Wanted>>,
    /// Extensions of PHP besides those whose functions and classes scripts name, joined by `,`; * (all that the
    /// root has switched on)
    #[arg(long, value_name = "EXTENSIONS", value_delimiter = ',')]
    php_modules: Option<Vec<Wanted>>,
    /// Python modules besides those that scripts import, joined by `,`: json, xml.* (with all below), * (the
    /// whole standard library); may be repeated
    #[arg(long, value_name = "MODULES", value_delimiter = ',')]
    python_modules: Option<Vec<Wanted>>,
    /// Ruby features besides those that scripts require, joined by `,`: json, net/* (with all below), * (the
    /// whole standard library)
    #[arg(long, value_name = "FEATURES", value_delimiter = ',')]
    ruby_modules: Option<Vec<Wanted>>,
}

impl ModuleArgs {
    /// Adds what was given to what a recipe wants.
    pub(super) fn add_to(&self, modules: &mut Modules) {
        for (language, wanted) in [
            (Language::Node, &self.node_modules),
            (Language::Perl, &self.perl_modules),
            (Language::Php, &self.php_modules),
            (Language::Python, &self.python_modules),
            (Language::Ruby, &self.ruby_modules),
        ] {
            if let Some(wanted) = wanted {
                modules.add(language, wanted.iter().cloned());
            }
        }
    }
}
