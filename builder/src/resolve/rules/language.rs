//! The `[modules]` table of a rule: where an interpreter finds modules, and what no source says of them.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::spec::modules::Language;

/// How the modules of one interpreter are found. Folders are templates as in `[[ship]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LanguageRule {
    /// Whose.
    pub language: Language,
    /// Folders of the standard library, in the order in which they are searched.
    pub standard: Vec<String>,
    /// Folders of other modules, searched after those.
    #[serde(default)]
    pub site: Vec<String>,
    /// Modules that the interpreter imports by itself.
    #[serde(default)]
    pub start: Vec<String>,
    /// Modules that are inside the interpreter, or of other systems: to have no file is no mistake.
    #[serde(default)]
    pub built_in: Vec<String>,
    /// Modules (`x.*`: with everything below) that are not meant by "the whole standard library".
    #[serde(default)]
    pub except: Vec<String>,
    /// Imports in functions that are not followed, by module; those of `*` in all modules.
    #[serde(default)]
    pub lazy: BTreeMap<String, Vec<String>>,
    /// What modules import without saying it in a source: compiled ones, and computed names (`x*`: all that
    /// start so).
    #[serde(default)]
    pub hidden: BTreeMap<String, Vec<String>>,
}

impl LanguageRule {
    /// Whether "the whole standard library" leaves a module out.
    pub fn excepts(&self, module: &str) -> bool {
        self.except.iter().any(|except| covers(except, module))
    }

    /// Whether it is no reason to have a module that a function of another imports it.
    pub fn is_lazy(&self, by: &str, module: &str) -> bool {
        let lists = [self.lazy.get("*"), self.lazy.get(by)];
        // `from x import y` may mean a module `x.y`, which is as little wanted.
        let is_below = |name: &str| {
            module.strip_prefix(name).is_some_and(|rest| rest.starts_with(['.', ':', '/']))
        };
        lists.into_iter().flatten().flatten().any(|name| covers(name, module) || is_below(name))
    }

    /// Whether a module needs no file.
    pub fn is_built_in(&self, module: &str) -> bool {
        self.built_in.iter().any(|name| covers(name, module))
    }
}

/// Whether a name, or `x.*`, means a module.
fn covers(pattern: &str, module: &str) -> bool {
    let Some(above) = pattern.strip_suffix('*') else { return pattern == module };
    let whole = above.trim_end_matches(['.', ':', '/']);
    module == whole || module.starts_with(above)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_means_the_module_and_all_below() {
        for (pattern, module, wanted) in [
            ("test", "test", true),
            ("test", "test.support", false),
            ("test.*", "test", true),
            ("test.*", "test.support.os_helper", true),
            ("test.*", "tests", false),
            ("Test::*", "Test::More", true),
            ("Test::*", "Test", true),
            ("Test::*", "Tester", false),
        ] {
            assert_eq!(covers(pattern, module), wanted, "{pattern} {module}");
        }
    }
}
