//! The folders of a search path: divided, tokens replaced, each once. And tokens in names.
//!
//! Knowledge: glibc `elf/dl-load.c` (`fillin_rpath`, `expand_dynamic_string_token`,
//! `is_trusted_path_normalize`), musl `ldso/dynlink.c` (`fixup_rpath`).

use std::collections::HashSet;

use super::search::Search;
use super::{Libc, Warning};
use crate::elf::{Expanded, Name, Tokens, expand, has_origin, has_token, origin_is_unsafe};

impl Search<'_, '_> {
    /// musl knows `$ORIGIN` only; any other dollar voids the whole list.
    pub(super) fn musl_folders(&mut self, list: &Name, load: usize) -> Option<Vec<Name>> {
        let text = list.as_bytes();
        let dollars = text.split(|&byte| byte == b'$').count() - 1;
        let known = [&b"$ORIGIN"[..], b"${ORIGIN}"]
            .iter()
            .map(|token| text.windows(token.len()).filter(|part| part == token).count())
            .sum::<usize>();
        // With privileges the program's own path is what its caller chose; a library's is to be trusted.
        if dollars != known || (dollars > 0 && self.rules.secure && load == 0) {
            return None;
        }
        let origin = self.scope.origin(load);
        let mut text = text.to_vec();
        // musl replaces by prefix, without looking at what follows the name.
        if dollars > 0 {
            text = replace(&replace(&text, b"${ORIGIN}", origin), b"$ORIGIN", origin);
        }
        Some(self.split(&text, list, b":\n"))
    }

    /// The folders of a search path, tokens replaced; each once.
    pub(super) fn folders(&mut self, list: &Name, load: usize, separators: &[u8]) -> Vec<Name> {
        let expanded: Vec<Vec<u8>> = list
            .as_bytes()
            .split(|byte| separators.contains(byte))
            .filter_map(|element| self.expand(element, load))
            .collect();
        self.keep_absolute(expanded, list)
    }

    fn split(&mut self, text: &[u8], list: &Name, separators: &[u8]) -> Vec<Name> {
        let parts = text.split(|byte| separators.contains(byte)).filter(|part| !part.is_empty());
        self.keep_absolute(parts.map(<[u8]>::to_vec).collect(), list)
    }

    fn keep_absolute(&mut self, folders: Vec<Vec<u8>>, list: &Name) -> Vec<Name> {
        let musl = self.rules.facts.libc == Libc::Musl;
        let mut kept: Vec<Name> = Vec::new();
        let mut known = HashSet::new();
        for mut folder in folders {
            // musl leaves folders as they are written.
            while !musl && folder.len() > 1 && folder.ends_with(b"/") {
                folder.pop();
            }
            if !folder.starts_with(b"/") {
                let warning = Warning::RelativeFolder { list: list.clone() };
                if !self.warnings.contains(&warning) {
                    self.warnings.push(warning);
                }
            } else if known.insert(folder.clone()) {
                kept.push(folder.into());
            }
        }
        kept
    }

    /// Replaces the tokens of one string of a load; `None` where the loader drops it.
    pub(super) fn expand(&self, text: &[u8], load: usize) -> Option<Vec<u8>> {
        if !has_token(text) {
            return Some(text.to_vec());
        }
        if self.rules.secure && origin_is_unsafe(text) {
            return None;
        }
        let tokens = Tokens {
            origin: Some(self.scope.origin(load)),
            lib: self.rules.facts.lib.as_ref().map(Name::as_bytes),
            platform: self.rules.hwcaps.platform().map(str::as_bytes),
        };
        match expand(text, tokens) {
            // The origin of a program with privileges is held to folders that only root writes to.
            Expanded::Value(value) if self.rules.secure && load == 0 && has_origin(text) => {
                self.is_trusted(&value).then_some(value)
            }
            Expanded::Value(value) => Some(value),
            Expanded::Dropped => None,
        }
    }

    /// Whether a path lies in a system folder, `.` and `..` taken by text (`is_trusted_path_normalize`).
    fn is_trusted(&self, path: &[u8]) -> bool {
        let mut parts: Vec<&[u8]> = Vec::new();
        for part in path.split(|&byte| byte == b'/') {
            match part {
                b"" | b"." => {}
                b".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        let normal = parts.iter().flat_map(|part| [&b"/"[..], part]).collect::<Vec<_>>().concat();
        self.rules.facts.folders.iter().any(|folder| {
            normal
                .strip_prefix(folder.as_bytes())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
        })
    }
}

fn replace(text: &[u8], token: &[u8], value: &[u8]) -> Vec<u8> {
    let mut result = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(&byte) = rest.first() {
        if let Some(after) = rest.strip_prefix(token) {
            result.extend_from_slice(value);
            rest = after;
        } else {
            result.push(byte);
            rest = &rest[1..];
        }
    }
    result
}
