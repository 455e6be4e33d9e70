//! Modules that configuration names: those of a name service switch, and those whose file names stand in
//! other files (PAM's, p11-kit's).

use std::collections::BTreeSet;
use std::io::{self, Read as _};

use super::{Firing, ShipError, Shipping, is_kept, look};
use crate::resolve::{Because, expand};
use crate::spec::glob::Glob;

/// Bytes of a file that are read: configuration and lists of modules are far smaller.
const MAX_FILE: u64 = 1 << 20;

impl Shipping<'_> {
    /// The first bytes of a file of the root; `None` where there is none.
    pub(super) fn text(
        &self,
        firing: &Firing<'_>,
        path: &[u8],
    ) -> Result<Option<Vec<u8>>, ShipError> {
        if self.sysroot.is_folder(path) {
            return Ok(None);
        }
        let read = || {
            let mut text = Vec::new();
            self.sysroot.root().open_file(path)?.take(MAX_FILE).read_to_end(&mut text)?;
            io::Result::Ok(text)
        };
        match read() {
            Ok(text) => Ok(Some(text)),
            Err(error) if expand::is_absence(&error) => Ok(None),
            Err(source) => Err(look(firing, path, source)),
        }
    }

    /// Every file name that stands in one of the files; `None` where no file is to be asked.
    pub(super) fn names(
        &self,
        firing: &Firing<'_>,
        templates: &[String],
    ) -> Result<Option<BTreeSet<Vec<u8>>>, ShipError> {
        if templates.is_empty() {
            return Ok(None);
        }
        let mut names = BTreeSet::new();
        for template in templates {
            for path in self.paths(firing, template)? {
                let text = self.text(firing, path.as_bytes())?.unwrap_or_default();
                names.extend(words(&text).map(<[u8]>::to_vec));
            }
        }
        Ok(Some(names))
    }

    /// The modules that a name service switch names: `libnss_NAME.so.2` beside the C library
    /// (nsswitch.conf(5); the version is part of glibc's interface, `nss/nss_module.c`).
    pub(super) fn nsswitch(
        &mut self,
        firing: &Firing<'_>,
        file: &str,
        excluded: &[Glob],
        because: &Because,
    ) -> Result<(), ShipError> {
        let Some(text) = self.text(firing, file.as_bytes())? else { return Ok(()) };
        for module in services(&String::from_utf8_lossy(&text)) {
            for path in self.paths(firing, &format!("{{dir}}/libnss_{module}.so.2"))? {
                if is_kept(&path, excluded) {
                    self.module(firing, path, because);
                }
            }
        }
        Ok(())
    }
}

/// Words of a configuration file, of paths the last component; what stands behind a `#` is no word.
fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n')
        .filter_map(|line| line.split(|byte| *byte == b'#').next())
        .flat_map(|line| {
            line.split(|byte| byte.is_ascii_whitespace() || b"/=:,;'\"()[]<>".contains(byte))
        })
        .filter(|word| !word.is_empty())
}

/// The services that a switch file names, sorted, each once.
fn services(text: &str) -> BTreeSet<String> {
    let mut services = BTreeSet::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let Some((_, actions)) = line.split_once(':') else { continue };
        let mut in_action = false;
        for word in actions.split_whitespace() {
            // `[NOTFOUND=return]` may have spaces in it.
            if word.starts_with('[') {
                in_action = true;
            }
            if !in_action && word.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_') {
                services.insert(word.to_owned());
            }
            if word.ends_with(']') {
                in_action = false;
            }
        }
    }
    services
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_configuration() {
        let text = b"auth [success=1 default=ignore] pam_unix.so nullok # pam_no.so\n\
                     session required /lib/security/pam_limits.so\nmodule: p11-kit-trust.so\n";
        let found: Vec<&[u8]> = words(text).filter(|word| word.ends_with(b".so")).collect();
        assert_eq!(found, [&b"pam_unix.so"[..], b"pam_limits.so", b"p11-kit-trust.so"]);
    }

    #[test]
    fn services_of_a_switch_file() {
        let text = "# passwd: x\npasswd: files systemd # y\nhosts: files [ NOTFOUND = return ] dns\n\
                    bad line\nnet: ../evil files\n";
        let found: Vec<String> = services(text).into_iter().collect();
        assert_eq!(found, ["dns", "files", "systemd"]);
    }
}
