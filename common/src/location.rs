//! Where things live on a host.
//!
//! | what | root | other users |
//! |---|---|---|
//! | store: one OCI image layout, plus unpacked snapshots | `/var/lib/coracle` | `$XDG_DATA_HOME/coracle` (`~/.local/share/coracle`) |
//! | state of containers | `/run/coracle` | `$XDG_RUNTIME_DIR/coracle` (`/run/user/<uid>/coracle`) |
//!
//! The environment is an argument, so that a test can say what it is.

use std::ffi::OsString;
use std::path::PathBuf;

/// Environment variable that moves the store.
pub const STORE_VARIABLE: &str = "CORACLE_STORE";

/// Who is asking: the effective user, and a way to read the environment.
#[derive(Debug, Clone, Copy)]
pub struct Who<F> {
    /// Effective user id; not 0 for an ordinary user who is root in a user namespace of theirs.
    pub uid: u32,
    /// Looks up an environment variable.
    pub env: F,
}

impl Who<fn(&str) -> Option<OsString>> {
    /// The calling process.
    pub fn current() -> Self {
        let mut uid = rustix::process::geteuid().as_raw();
        // Asked only where it makes a difference: root of a host seldom has this variable.
        if uid == 0 && std::env::var_os("XDG_RUNTIME_DIR").is_some() {
            let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
            uid = behind(&map);
        }
        Self { uid, env: |name| std::env::var_os(name) }
    }
}

/// Which user outside is root in a namespace with this map (`user_namespaces(7)`): in it, engines of ordinary users start
/// their runtime.
fn behind(map: &str) -> u32 {
    let first = map.lines().find_map(|line| {
        let mut numbers = line.split_ascii_whitespace();
        if numbers.next()? == "0" { numbers.next()?.parse().ok() } else { None }
    });
    first.unwrap_or(0)
}

impl<F: Fn(&str) -> Option<OsString>> Who<F> {
    /// The store: `given` (a `--store` option), else `CORACLE_STORE`, else the default of the table
    /// above. `None` where a user has neither a data folder nor a home.
    pub fn store(&self, given: Option<PathBuf>) -> Option<PathBuf> {
        given.or_else(|| self.variable(STORE_VARIABLE)).or_else(|| {
            if self.uid == 0 {
                return Some(PathBuf::from("/var/lib/coracle"));
            }
            self.variable("XDG_DATA_HOME")
                .or_else(|| self.variable("HOME").map(|home| home.join(".local/share")))
                .map(|data| data.join("coracle"))
        })
    }

    /// The folder for the state of running containers.
    pub fn state(&self, given: Option<PathBuf>) -> PathBuf {
        given.unwrap_or_else(|| match self.variable("XDG_RUNTIME_DIR") {
            Some(runtime) if self.uid != 0 => runtime.join("coracle"),
            _ if self.uid == 0 => PathBuf::from("/run/coracle"),
            _ => PathBuf::from(format!("/run/user/{}/coracle", self.uid)),
        })
    }

    /// A variable's value as a path; empty counts as unset, as the XDG base directory
    /// specification has it, and relative ones are ignored for the same reason.
    fn variable(&self, name: &str) -> Option<PathBuf> {
        (self.env)(name).map(PathBuf::from).filter(|path| {
            path.is_absolute() || (name == STORE_VARIABLE && !path.as_os_str().is_empty())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_of_a_user_namespace_is_whoever_made_it() {
        for (map, uid) in [
            ("         0          0 4294967295\n", 0),
            ("         0       1000          1\n         1     100000      65536\n", 1000),
            ("         5       1000          1\n", 0),
            ("", 0),
        ] {
            assert_eq!(behind(map), uid, "{map}");
        }
    }

    #[test]
    fn locations_follow_the_table() {
        let env = |pairs: &'static [(&str, &str)]| {
            move |name: &str| {
                pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
            }
        };
        let at = |uid, pairs| {
            let who = Who { uid, env: env(pairs) };
            (who.store(None), who.state(None))
        };
        let path = |text: &str| PathBuf::from(text);
        assert_eq!(at(0, &[]), (Some(path("/var/lib/coracle")), path("/run/coracle")));
        assert_eq!(
            at(0, &[("XDG_RUNTIME_DIR", "/run/user/0"), ("CORACLE_STORE", "here")]),
            (Some(path("here")), path("/run/coracle"))
        );
        assert_eq!(
            at(7, &[("HOME", "/home/u"), ("XDG_RUNTIME_DIR", "/run/user/7")]),
            (Some(path("/home/u/.local/share/coracle")), path("/run/user/7/coracle"))
        );
        assert_eq!(
            at(7, &[("XDG_DATA_HOME", "/data"), ("CORACLE_STORE", "")]),
            (Some(path("/data/coracle")), path("/run/user/7/coracle"))
        );
        assert_eq!(at(7, &[]).0, None);
    }
}
