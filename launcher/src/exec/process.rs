//! What runs: a process as a caller wrote it down, or the container's own process with changes.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use common::accounts::UserSpec;
use common::root::Root;
use oci_spec::runtime::{Capabilities, LinuxCapabilities, Process, Spec, UserBuilder};

use super::{ExecError, Note};
use crate::spawn::Inside;
use crate::spec::{self, Capability, CapabilityChoice, CapabilitySet};

/// No process is larger (R11).
const LIMIT: u64 = 4 << 20;

/// What runs.
#[derive(Debug)]
pub enum Program {
    /// `process` of the runtime specification, in a file.
    File(PathBuf),
    /// The container's own process, but for these.
    Changed(Changes),
}

/// How a process differs from the container's own.
#[derive(Debug, Default)]
pub struct Changes {
    /// Program and arguments.
    pub args: Vec<String>,
    /// Whether it has a terminal.
    pub tty: bool,
    /// Where it starts.
    pub cwd: Option<PathBuf>,
    /// Variables, on top of the container's own.
    pub env: Vec<(String, String)>,
    /// Who runs it.
    pub user: Option<UserSpec>,
    /// Groups, on top of the user's own.
    pub groups: Vec<u32>,
    /// Capabilities, on top of the container's own.
    pub capabilities: Vec<CapabilityChoice>,
    /// Whether exec can never add privileges.
    pub no_new_privileges: Option<bool>,
    /// Its `AppArmor` profile.
    pub apparmor: Option<String>,
    /// Its `SELinux` label.
    pub label: Option<String>,
}

impl Program {
    /// The process that it means in this container.
    pub(super) fn process(
        &self,
        spec: &Spec,
        inside: &Inside,
        note: &impl Fn(Note<'_>),
    ) -> Result<Process, ExecError> {
        match self {
            Self::File(path) => read(path, spec, note),
            Self::Changed(changes) => changes.apply(spec, inside),
        }
    }
}

fn read(path: &Path, spec: &Spec, note: &impl Fn(Note<'_>)) -> Result<Process, ExecError> {
    let failed = |source: io::Error| ExecError::ReadProcess { path: path.to_owned(), source };
    let mut text = Vec::new();
    File::open(path).and_then(|file| file.take(LIMIT).read_to_end(&mut text)).map_err(failed)?;
    let (process, passed_over) = spec::parse_process(&text, spec)
        .map_err(|source| ExecError::Process { path: path.to_owned(), source })?;
    note(Note::PassedOver(&passed_over));
    Ok(process)
}

impl Changes {
    fn apply(&self, spec: &Spec, inside: &Inside) -> Result<Process, ExecError> {
        let mut process = spec.process().clone().unwrap_or_default();
        process.set_args(Some(self.args.clone())).set_terminal(Some(self.tty));
        process.set_console_size(None);
        if let Some(cwd) = &self.cwd {
            process.set_cwd(cwd.clone());
        }
        if let Some(set) = self.no_new_privileges {
            process.set_no_new_privileges(Some(set));
        }
        if let Some(profile) = &self.apparmor {
            process.set_apparmor_profile(Some(profile.clone()));
        }
        if let Some(label) = &self.label {
            process.set_selinux_label(Some(label.clone()));
        }
        self.set_user(&mut process, inside)?;
        let mut env = process.env().clone().unwrap_or_default();
        if self.user.is_some() {
            // Another user's; what it is for this one is looked up inside.
            env.retain(|entry| !entry.starts_with("HOME="));
        }
        env.extend(self.env.iter().map(|(name, value)| format!("{name}={value}")));
        process.set_env(Some(env));
        self.add_capabilities(&mut process);
        Ok(process)
    }

    fn set_user(&self, process: &mut Process, inside: &Inside) -> Result<(), ExecError> {
        let mut user = process.user().clone();
        if let Some(wanted) = &self.user {
            let root = inside.root().try_clone_to_owned().map_err(ExecError::Inside)?;
            let account = spec::look_up_user(wanted, &Root::from_fd(root, PathBuf::from("/")))?;
            let mut builder = UserBuilder::default().uid(account.uid).gid(account.gid);
            if let Some(umask) = user.umask() {
                builder = builder.umask(umask);
            }
            user = builder.additional_gids(account.groups).build().map_err(ExecError::Build)?;
        }
        if !self.groups.is_empty() {
            let mut groups = user.additional_gids().clone().unwrap_or_default();
            groups.extend(&self.groups);
            user.set_additional_gids(Some(groups));
        }
        process.set_user(user);
        Ok(())
    }

    /// To those that a program may have. What it inherits stays as it is; what of that is added is ambient, too
    /// (`capabilities(7)`: nothing else can be).
    fn add_capabilities(&self, process: &mut Process) {
        if self.capabilities.is_empty() {
            return;
        }
        let added: Capabilities = self
            .capabilities
            .iter()
            .flat_map(|choice| {
                match choice {
                    CapabilityChoice::All => CapabilitySet::all(),
                    CapabilityChoice::One(one) => CapabilitySet::of(&[*one]),
                }
                .iter()
                .collect::<Vec<_>>()
            })
            .map(Capability::to_oci)
            .collect();
        let mut sets = process.capabilities().clone().unwrap_or_else(no_capabilities);
        let with = |set: &Option<Capabilities>| {
            Some(set.iter().flatten().copied().chain(added.iter().copied()).collect())
        };
        let (bounding, effective) = (with(sets.bounding()), with(sets.effective()));
        let permitted = with(sets.permitted());
        let inherited = sets.inheritable().clone().unwrap_or_default();
        let ambient = sets.ambient().iter().flatten().chain(added.intersection(&inherited));
        let ambient = Some(ambient.copied().collect());
        sets.set_bounding(bounding).set_effective(effective).set_permitted(permitted);
        sets.set_ambient(ambient);
        process.set_capabilities(Some(sets));
    }
}

/// (The type's default is a set of some.)
fn no_capabilities() -> LinuxCapabilities {
    let mut sets = LinuxCapabilities::default();
    sets.set_bounding(None).set_effective(None).set_permitted(None);
    sets.set_inheritable(None).set_ambient(None);
    sets
}
