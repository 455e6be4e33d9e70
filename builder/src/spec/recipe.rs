//! `Recipe`: what a person asked for, one to one with the TOML file (docs/recipes.md).
//!
//! Decides which keys and value types exist. Every value parses into a type that cannot be wrong,
//! so that the TOML reader can name line and column; what the values mean together is
//! [`super::ImageSpec`]'s.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use common::oci::reference::Reference;
use common::report::Diagnostic;
use common::tree::ImagePath;
use serde::Deserialize;

use super::check::Check;
use super::least::{Exclude, Strip};
use super::modules::Modules;
use super::regional::{LocaleName, ZoneName};
use super::search::{Cpus, DlopenPolicy};
use super::value::{EnvName, Port, StopSignal, UserName};

/// A recipe file, or what a command line amounts to. Every key may be left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Recipe {
    /// Name of the image, `NAME[:TAG]`; the first executable's name where there is none.
    pub name: Option<Reference>,
    /// Programs: absolute paths inside the root, `./relative` to the recipe's folder, or names to
    /// be looked up on PATH.
    pub executables: Vec<String>,
    /// Further files.
    pub files: Vec<FileRequest>,
    /// Environment variables of the image.
    pub env: BTreeMap<EnvName, String>,
    /// What is always executed; the first executable where there is none.
    pub entrypoint: Option<Vec<String>>,
    /// Arguments that a launch can replace.
    pub cmd: Option<Vec<String>>,
    /// User and group to run as; `0:0` where there is none.
    pub user: Option<UserName>,
    /// Working directory; `/` where there is none.
    pub workdir: Option<ImagePath>,
    /// Ports that the program listens on.
    pub ports: Vec<Port>,
    /// Labels of the image.
    pub labels: BTreeMap<String, String>,
    /// Signal that asks the program to end.
    pub stop_signal: Option<StopSignal>,
    /// Folders that hold data; made empty in the image.
    pub volumes: Vec<ImagePath>,
    /// Profiles of runs (docs/trace.md), relative to the recipe's folder.
    pub profiles: Vec<PathBuf>,
    /// Rules that differ from their default.
    pub rules: RuleSwitches,
    /// Locales that it has besides C.
    pub locales: Vec<LocaleName>,
    /// Time zones that it knows besides UTC; the first is its own.
    pub zones: Vec<ZoneName>,
    /// Modules of interpreters, besides those that scripts import.
    pub modules: Modules,
    /// Processors that it is for.
    pub cpu: Cpus,
    /// Features of `.note.dlopen` that are followed.
    pub dlopen: DlopenPolicy,
    /// What the image has to do before it is believed to run.
    pub check: Option<Check>,
    /// Patterns of image paths that are left out.
    pub exclude: Vec<Exclude>,
    /// Sections that are left out of ELF files.
    pub strip: Strip,
    /// Leave out what no run used.
    pub min: bool,
}

/// One `[[files]]` table.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FileRequest {
    /// A file, folder or glob (`* ? [a-z] **`): absolute inside the root, or relative to the
    /// recipe's folder.
    pub source: String,
    /// Where it goes: a path, or with a slash at its end the folder that it goes into. Absolute
    /// sources may leave it out and keep their path.
    pub destination: Option<String>,
    /// Keep set-uid and set-gid bits.
    #[serde(default)]
    pub keep_setuid: bool,
}

/// The `[rules]` table: names of rules.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RuleSwitches {
    /// Rules that are off by default and wanted.
    pub on: Vec<String>,
    /// Rules that are not wanted.
    pub off: Vec<String>,
}

/// Why a recipe cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// The file cannot be read.
    #[error("cannot read recipe `{}`", path.display())]
    Read {
        /// The recipe.
        path: PathBuf,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// It is no TOML, or has a key or value that no recipe has.
    #[error("cannot understand recipe `{}`: {message}", path.display())]
    Syntax {
        /// The recipe.
        path: PathBuf,
        /// Line, column, an excerpt and what is wrong there.
        message: String,
    },
}

impl Diagnostic for RecipeError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Read { .. } => None,
            Self::Syntax { .. } => Some("docs/recipes.md lists every key of a recipe".to_owned()),
        }
    }
}

impl Recipe {
    /// Reads a recipe file.
    pub fn read(path: &Path) -> Result<Self, RecipeError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| RecipeError::Read { path: path.to_owned(), source })?;
        Self::parse(&text).map_err(|message| RecipeError::Syntax { path: path.to_owned(), message })
    }

    /// Parses a recipe's text; the error names line and column.
    pub fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_understood() {
        let recipe = Recipe::parse(
            r#"
            name = "web:1"
            executables = ["/usr/sbin/nginx", "sh", "./tool"]
            env = { LANG = "C.UTF-8" }
            entrypoint = ["/usr/sbin/nginx"]
            cmd = ["-g", "daemon off;"]
            user = "www-data"
            workdir = "/srv"
            ports = ["80", "53/udp"]
            labels = { "org.opencontainers.image.title" = "web" }
            stop-signal = "SIGQUIT"
            volumes = ["/var/cache/nginx"]
            profiles = ["web.trace.toml"]
            [[files]]
            source = "conf/*.conf"
            destination = "/etc/nginx/"
            [rules]
            on = ["tzdata"]
            off = ["gconv"]
            "#,
        )
        .unwrap();
        assert_eq!(recipe.executables.len(), 3);
        assert_eq!(recipe.profiles, [PathBuf::from("web.trace.toml")]);
        assert_eq!(recipe.ports[1].to_string(), "53/udp");
        assert_eq!(recipe.files[0].destination.as_deref(), Some("/etc/nginx/"));
    }

    #[test]
    fn errors_name_line_and_key() {
        for (text, line, fragment) in [
            ("executable = []", "line 1", "unknown field `executable`"),
            ("\nports = [\"http\"]", "line 2", "`http` is not a port"),
            ("workdir = \"srv\"", "line 1", "`srv` is not an absolute path"),
            ("stop-signal = \"SIGNOPE\"", "line 1", "`SIGNOPE` is not a signal"),
            ("env = { \"A=B\" = \"\" }", "line 1", "`A=B` is not a variable's name"),
            ("user = \":\"", "line 1", "`:` is not a user"),
            ("name = \"UP\"", "line 1", "`UP` is not an image name"),
            ("[[files]]\ndestination = \"/x\"", "line 1", "missing field `source`"),
            ("locales = [\"de/DE\"]", "line 1", "`de/DE` is not a locale"),
            ("\nzones = [\"../x\"]", "line 2", "`../x` is not a time zone"),
            ("[rules]\nof = []", "line 2", "unknown field `of`"),
            ("\nexclude = [\"doc\"]", "line 2", "`doc` is not a pattern of paths"),
            ("strip = \"most\"", "line 1", "expected true, false, \"debug\" or \"all\""),
            ("min = 1", "line 1", "expected a boolean"),
            ("[modules]\npytho = []", "line 2", "unknown variant `pytho`"),
            ("[modules]\npython = [\"a b\"]", "line 2", "`a b` is not a module's name"),
        ] {
            let message = Recipe::parse(text).unwrap_err();
            assert!(message.contains(line) && message.contains(fragment), "{text}: {message}");
        }
    }
}
