//! `Script`: all that process 1 of the sandbox has to know, as one line of JSON.

use serde::{Deserialize, Serialize};

use crate::image::read::Opened;
use crate::spec::check::{Check, Seconds, Step, TcpPort, Words};
use crate::spec::value::{StopSignal, UserName};

/// What is tried, and how the image wants to be run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Script {
    /// For all together.
    pub(super) timeout: Seconds,
    /// The image's variables, `NAME=VALUE`.
    pub(super) env: Vec<String>,
    /// Its entrypoint and cmd.
    pub(super) command: Vec<String>,
    /// Its user; root where there is none.
    pub(super) user: Option<UserName>,
    /// What asks its program to end.
    pub(super) stop_signal: StopSignal,
    /// Programs beside it.
    pub(super) peers: Vec<PeerScript>,
    /// The steps.
    pub(super) steps: Vec<Step>,
}

/// A peer, whose root is at `/.coracle/peers/NAME`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PeerScript {
    pub(super) name: String,
    pub(super) run: Words,
    pub(super) env: Vec<String>,
    pub(super) port: Option<TcpPort>,
}

/// Why an image cannot be run at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the image's {what} `{text}` means nothing", text = .text.escape_debug())]
pub struct BadConfig {
    what: &'static str,
    text: String,
}

impl Script {
    /// The check of this image.
    pub(super) fn new(check: &Check, image: &Opened) -> Result<Self, BadConfig> {
        let defaults = common::oci::Config::default();
        let config = image.config.config().as_ref().unwrap_or(&defaults);
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let list = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
        let user = text(config.user());
        let signal = text(config.stop_signal());
        let signal = if signal.is_empty() { "SIGTERM".to_owned() } else { signal };
        let peers = check.peers.iter().map(|peer| PeerScript {
            name: peer.name.to_string(),
            run: peer.run.clone(),
            env: peer.env.iter().map(|(name, value)| format!("{name}={value}")).collect(),
            port: peer.port,
        });
        Ok(Self {
            timeout: check.timeout,
            env: list(config.env()),
            command: [list(config.entrypoint()), list(config.cmd())].concat(),
            user: match user.as_str() {
                "" => None,
                name => Some(name.parse().map_err(|_same| BadConfig { what: "user", text: user })?),
            },
            stop_signal: signal
                .parse()
                .map_err(|_same| BadConfig { what: "stop signal", text: signal })?,
            peers: peers.collect(),
            steps: check.steps.clone(),
        })
    }
}
