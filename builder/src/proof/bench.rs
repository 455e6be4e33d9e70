//! `Bench`: a temporary folder for one image and its check. It goes with the value, with all that was made
//! in it.
//!
//! ```text
//! coracle-check-XXXXXX/store   the image, and what paddle unpacks of it
//!                      state   paddle's, of the one sandbox
//!                      given/files, given/peers/NAME   what the check shows beside the image
//! ```

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use common::oci::layout::ImageLayout;
use common::oci::reference::Reference;
use common::report::{Diagnostic, ExitCode};
use common::tree::ImagePath;
use tempfile::TempDir;

use super::sandbox::{Paddle, Sandbox, SandboxError};
use super::script::{BadConfig, Script};
use super::suspects::suspects;
use super::{Outcome, Proof, Seen};
use crate::assemble;
use crate::image::formats::{Format, Output};
use crate::image::read::{self, Opened};
use crate::image::{self, Compression, ImageError};
use crate::plan::{Plan, Why};
use crate::spec::ImageSpec;
use crate::spec::check::{Check, Peer};
use crate::spec::recipe::{FileRequest, Recipe};
use crate::{Destination, Surroundings};

/// See the module.
#[derive(Debug)]
pub struct Bench {
    folder: TempDir,
    store: ImageLayout,
}

/// What surrounds a check.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    /// Where the programs and files of the check come from: what the image was built from.
    pub around: &'a Surroundings<'a>,
    /// The recipe's folder.
    pub context: Option<&'a Path>,
    /// Whether the root is the host's.
    pub on_host: bool,
    /// Who runs it.
    pub paddle: &'a Paddle,
}

/// Why a check could not be tried. (One that was tried and failed is no error.)
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// The temporary folder cannot be made.
    #[error("cannot make a temporary folder for the check")]
    Folder(#[source] io::Error),
    /// The image cannot be read or copied.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A peer, or the check's files, cannot be had from the root.
    #[error("cannot make {what} of the check")]
    Given {
        /// "the files", "the peer `x`".
        what: String,
        /// Why.
        source: Box<crate::Error>,
    },
    /// The image says how it is run, and that means nothing.
    #[error(transparent)]
    Config(#[from] BadConfig),
    /// The sandbox.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

impl Diagnostic for ProofError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Folder(_) => {
                Some("it is made in the folder that TMPDIR names, else in /tmp".to_owned())
            }
            Self::Image(error) => error.hint(),
            Self::Given { source, .. } => source.hint(),
            Self::Config(_) => None,
            Self::Sandbox(error) => error.hint(),
        }
    }

    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Given { source, .. } => source.exit_code(),
            _ => ExitCode::Failed,
        }
    }
}

impl Bench {
    /// An empty one.
    pub fn new() -> Result<Self, ProofError> {
        let folder = tempfile::Builder::new()
            .prefix("coracle-check-")
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir()
            .and_then(|folder| {
                fs::create_dir_all(folder.path().join("given/peers"))?;
                Ok(folder)
            })
            .map_err(ProofError::Folder)?;
        let store = ImageLayout::create(&folder.path().join("store")).map_err(ImageError::from)?;
        Ok(Self { folder, store })
    }

    /// Where the image goes.
    pub fn store(&self) -> &ImageLayout {
        &self.store
    }

    /// Brings an image from elsewhere, under this name.
    pub fn import(&self, image: &Opened, name: &Reference) -> Result<(), ProofError> {
        let manifest = image.copy_to(&self.store)?;
        self.store.tag(name, manifest).map_err(ImageError::from)?;
        Ok(())
    }

    /// Runs the check in the image of this name.
    pub fn prove(
        &self,
        name: &Reference,
        check: &Check,
        setting: &Setting<'_>,
    ) -> Result<Proof, ProofError> {
        let _writing = setting.around.interrupt.writing();
        let store = Some(self.store.path());
        let image = read::open(&name.to_string(), store)?;
        let script = Script::new(check, &image)?;
        if !check.files.is_empty() {
            self.give_files(&check.files, setting)?;
        }
        for peer in &check.peers {
            self.give_peer(peer, setting)?;
        }
        let sandbox = Sandbox {
            folder: self.folder.path(),
            name,
            hosts: check.hosts.iter().map(ToString::to_string).collect(),
            peers: check.peers.iter().map(|peer| peer.name.to_string()).collect(),
            timeout: check.timeout,
            interrupt: &setting.around.interrupt,
        };
        let outcome: Outcome = sandbox.run(setting.paddle, &script)?;
        if outcome.steps.len() + outcome.untried < script.peers.len() + script.steps.len() {
            return Err(SandboxError::Short.into());
        }
        let seen = outcome.seen.as_ref().map(Seen::record).transpose();
        let record = seen.map_err(SandboxError::Unread)?.unwrap_or_default();
        let around = setting.around;
        let suspects = suspects(&record, around.sysroot, &check.ignore, &around.rules);
        Ok(Proof { outcome, record, suspects })
    }

    fn given(&self, below: &str) -> PathBuf {
        self.folder.path().join("given").join(below)
    }

    /// The check's files as a folder, made as those of an image are.
    fn give_files(&self, files: &[FileRequest], setting: &Setting<'_>) -> Result<(), ProofError> {
        let recipe = Recipe {
            name: Some(Reference::from_program_name(b"files")),
            files: files.to_vec(),
            ..Recipe::default()
        };
        self.give("the files".to_owned(), "files", &recipe, setting, only_files)
    }

    fn give_peer(&self, peer: &Peer, setting: &Setting<'_>) -> Result<(), ProofError> {
        let recipe = Recipe {
            name: Some(Reference::from_program_name(peer.name.as_str().as_bytes())),
            executables: peer.executables.clone(),
            files: peer.files.clone(),
            ..Recipe::default()
        };
        let what = format!("the peer `{}`", peer.name);
        self.give(what, &format!("peers/{}", peer.name), &recipe, setting, |plan| plan)
    }

    fn give(
        &self,
        what: String,
        below: &str,
        recipe: &Recipe,
        setting: &Setting<'_>,
        choose: impl FnOnce(Plan) -> Plan,
    ) -> Result<(), ProofError> {
        let write = || -> Result<(), crate::Error> {
            let spec = ImageSpec::new(recipe, setting.context, setting.on_host)?;
            let (plan, _) = crate::plan(&spec, setting.around)?;
            let plan = choose(plan);
            let output = Output::new(&self.given(below), Some(Format::Dir), false)?;
            let to = Destination {
                store: None,
                output: Some(&output),
                bytes: image::Options {
                    compression: Compression::None,
                    epoch: assemble::Epoch::default(),
                },
            };
            crate::write(&spec, &plan, setting.around, &to)?;
            Ok(())
        };
        write().map_err(|source| ProofError::Given { what, source: Box::new(source) })
    }
}

/// Of an image that has nothing but the check's files, these, without what every image has.
fn only_files(mut plan: Plan) -> Plan {
    let is_ours = |why: &Why| matches!(why, Why::Recipe { .. });
    let ours: Vec<ImagePath> = plan
        .entries
        .iter()
        .filter(|(_, entry)| entry.why.iter().any(is_ours))
        .map(|(path, _)| path.clone())
        .collect();
    plan.entries.retain(|path, _| ours.iter().any(|our| our.starts_with(path)));
    plan
}
