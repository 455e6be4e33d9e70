//! Options of every verb that looks for libraries.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;

use clap::Args;

use crate::elf::Name;
use crate::resolve::Options;
use crate::spec::search::{Cpus, DlopenLevel, DlopenPolicy};

/// Options that change which libraries are found.
#[derive(Debug, Args)]
pub struct SearchArgs {
    /// Folders to search as with `LD_LIBRARY_PATH`, joined by `:` (the environment's own is ignored)
    #[arg(long, value_name = "DIRS")]
    library_path: Option<OsString>,
    /// Load this object first, as with `LD_PRELOAD` (the environment's own is ignored); may be repeated
    #[arg(long, value_name = "OBJECT")]
    preload: Vec<OsString>,
    /// Find what processors of this level load as well: x86-64-v2, -v3, -v4, power9, power10, z13 to
    /// z16, or all [default: baseline]
    #[arg(long, value_name = "LEVEL")]
    cpu: Option<Cpus>,
    /// Follow what objects say in `.note.dlopen` that they open at run time, down to this priority
    /// [default: recommended]
    #[arg(long, value_name = "PRIORITY")]
    dlopen: Option<DlopenLevel>,
    /// Follow this feature of `.note.dlopen`, whatever its priority; may be repeated
    #[arg(long, value_name = "FEATURE")]
    dlopen_feature: Vec<String>,
    /// Do not follow this feature of `.note.dlopen`; may be repeated
    #[arg(long, value_name = "FEATURE")]
    no_dlopen_feature: Vec<String>,
}

impl SearchArgs {
    /// Inputs of the search; what is not given here is as `cpus` and `dlopen` (a recipe's) say.
    pub fn options(&self, cpus: Cpus, dlopen: &DlopenPolicy) -> Options {
        let mut dlopen = dlopen.clone();
        if let Some(level) = self.dlopen {
            dlopen.level = level;
        }
        dlopen.on.extend(self.dlopen_feature.iter().cloned());
        dlopen.off.extend(self.no_dlopen_feature.iter().cloned());
        Options {
            library_path: self.library_path.as_ref().map(|list| Name::from(list.as_bytes())),
            preload: self.preload.iter().map(|name| Name::from(name.as_bytes())).collect(),
            path: None,
            cpus: self.cpu.unwrap_or(cpus),
            dlopen,
        }
    }
}
