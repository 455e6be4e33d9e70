//! Which libraries are wanted besides those that every processor loads at every start.

use std::collections::BTreeSet;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::elf::{DlopenFeature, Priority, all_levels};

/// The processors that a closure is made for. The baseline is always one of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Cpus {
    /// Every processor of the architecture.
    #[default]
    Baseline,
    /// Those of this level as well.
    Level(&'static str),
    /// Those of every level.
    All,
}

/// A text that names no level.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is no level of a processor: baseline, {}, all", .0.escape_debug(), all_levels().collect::<Vec<_>>().join(", "))]
pub struct UnknownLevel(String);

impl FromStr for Cpus {
    type Err = UnknownLevel;

    fn from_str(text: &str) -> Result<Self, UnknownLevel> {
        match text {
            "baseline" => Ok(Self::Baseline),
            "all" => Ok(Self::All),
            text => all_levels()
                .find(|level| *level == text)
                .map(Self::Level)
                .ok_or_else(|| UnknownLevel(text.to_owned())),
        }
    }
}

impl<'de> Deserialize<'de> for Cpus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// How far down the priorities of `.note.dlopen` (UAPI group, "ELF dlopen Metadata") features are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum DlopenLevel {
    /// None of them.
    None,
    /// Those without which the object does not work.
    Required,
    /// Those that users expect as well.
    #[default]
    Recommended,
    /// All of them.
    All,
}

/// Which features of `.note.dlopen` are followed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct DlopenPolicy {
    /// By priority.
    pub level: DlopenLevel,
    /// Names of features that are followed whatever their priority, and must be found.
    pub on: BTreeSet<String>,
    /// Names of features that are not followed.
    pub off: BTreeSet<String>,
}

impl DlopenPolicy {
    /// No feature at all: what the loader itself opens.
    pub fn none() -> Self {
        Self { level: DlopenLevel::None, ..Self::default() }
    }

    /// Whether a feature is wanted.
    pub fn follows(&self, feature: &DlopenFeature) -> bool {
        let lowest = match self.level {
            DlopenLevel::None => None,
            DlopenLevel::Required => Some(Priority::Required),
            DlopenLevel::Recommended => Some(Priority::Recommended),
            DlopenLevel::All => Some(Priority::Suggested),
        };
        self.on.contains(&feature.feature)
            || lowest.is_some_and(|lowest| feature.priority <= lowest)
                && !self.off.contains(&feature.feature)
    }

    /// Whether to be without it is a failure.
    pub fn insists(&self, feature: &DlopenFeature) -> bool {
        feature.priority == Priority::Required || self.on.contains(&feature.feature)
    }
}

#[cfg(test)]
mod tests {
    use super::DlopenLevel::{All, None, Recommended, Required as Needed};
    use super::Priority::{Recommended as Useful, Required, Suggested};
    use super::*;

    #[test]
    fn a_feature_is_wanted_by_priority_or_by_name() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let policy = |level, on: &[&str], off: &[&str]| DlopenPolicy {
            level,
            on: names(on),
            off: names(off),
        };
        let feature = |priority| DlopenFeature { sonames: vec![], priority, feature: "f".into() };
        for (policy, priority, follows, insists) in [
            (policy(None, &[], &[]), Required, false, true),
            (policy(None, &["f"], &[]), Suggested, true, true),
            (policy(Needed, &[], &[]), Required, true, true),
            (policy(Needed, &[], &[]), Useful, false, false),
            (policy(Recommended, &[], &[]), Useful, true, false),
            (policy(Recommended, &[], &[]), Suggested, false, false),
            (policy(All, &[], &[]), Suggested, true, false),
            (policy(All, &[], &["f"]), Suggested, false, false),
            (policy(All, &["f"], &["f"]), Suggested, true, true),
            (policy(All, &[], &["g"]), Useful, true, false),
        ] {
            let feature = feature(priority);
            let got = (policy.follows(&feature), policy.insists(&feature));
            assert_eq!(got, (follows, insists), "{policy:?} {priority:?}");
        }
    }

    #[test]
    fn a_level_is_one_that_glibc_knows() {
        assert_eq!("x86-64-v3".parse(), Ok(Cpus::Level("x86-64-v3")));
        assert_eq!("all".parse(), Ok(Cpus::All));
        let error = "x86-64-v9".parse::<Cpus>().unwrap_err().to_string();
        assert!(error.contains("`x86-64-v9`") && error.contains("power10"), "{error}");
    }
}
