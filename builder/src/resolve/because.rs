//! `Because`: who asks for something that no person named and no loader loads.

use common::tree::ImagePath;

/// A rule, a source that imports, or a program that used it in a run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Because {
    /// Real path of what made it so: the object or script that made a rule fire, the source, the program.
    pub trigger: ImagePath,
    /// How.
    pub cause: Cause,
}

/// How something leads to something else, if not by a loader.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// A rule fired.
    Rule {
        /// Its name.
        rule: String,
        /// Why, as the rule says it.
        why: String,
    },
    /// The trigger imports it.
    Import {
        /// Name of the rule that knows the language.
        rule: String,
        /// The module's name.
        module: String,
    },
    /// A profile says that the trigger used it in a run.
    Run,
}

impl Because {
    /// Who asks, in words.
    pub fn who(&self) -> String {
        match &self.cause {
            Cause::Rule { rule, .. } | Cause::Import { rule, .. } => format!("rule {rule}"),
            Cause::Run => "a profile".to_owned(),
        }
    }

    /// Whether a run asks.
    pub fn is_run(&self) -> bool {
        self.cause == Cause::Run
    }

    /// The same rule, for another reason.
    pub(super) fn saying(&self, why: impl Into<String>) -> Self {
        let cause = match &self.cause {
            Cause::Rule { rule, .. } | Cause::Import { rule, .. } => {
                Cause::Rule { rule: rule.clone(), why: why.into() }
            }
            Cause::Run => Cause::Run,
        };
        Self { trigger: self.trigger.clone(), cause }
    }

    /// The same rule, because `by` imports `module`.
    pub(super) fn importing(&self, by: &ImagePath, module: &str) -> Self {
        let cause = match &self.cause {
            Cause::Rule { rule, .. } | Cause::Import { rule, .. } => {
                Cause::Import { rule: rule.clone(), module: module.to_owned() }
            }
            Cause::Run => Cause::Run,
        };
        Self { trigger: by.clone(), cause }
    }
}
