//! Why what was typed is none of the values that an option takes.

/// Why a value of an option cannot be understood. Each variant carries the text as it was typed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// `--net`.
    #[error("`{0}` is no network: it is `none` or `host`")]
    Network(String),
    /// `--env`, or a line of an `--env-file`.
    #[error("`{0}` is no environment variable: it is NAME=VALUE, or NAME to pass on the caller's")]
    Env(String),
    /// `--hostname`.
    #[error("`{0}` is no host name: letters, digits, `-` and `.`, at most 64 bytes")]
    Hostname(String),
    /// `--volume`.
    #[error(
        "`{0}` is no volume: it is SOURCE:DESTINATION, both absolute, or the same with :ro or :dev"
    )]
    Volume(String),
    /// `--tmpfs`.
    #[error(
        "`{0}` is no tmpfs: it is DESTINATION or DESTINATION:OPTION,OPTION (size=, mode=, ro, rw, exec, noexec ...)"
    )]
    Tmpfs(String),
    /// `--add-host`.
    #[error("`{0}` is no host entry: it is NAME:ADDRESS")]
    HostEntry(String),
    /// `--cap-add` and `--cap-drop`.
    #[error(
        "`{0}` is no capability: it is ALL or a name from capabilities(7), with or without CAP_"
    )]
    Capability(String),
    /// `--ulimit`.
    #[error("`{0}` is no limit: it is NAME=SOFT or NAME=SOFT:HARD, a number or `unlimited`")]
    Ulimit(String),
}
