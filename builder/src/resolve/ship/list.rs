//! Files in which a library's own tool lists modules. The image's list what the image has.
//!
//! Decides which part of such a file belongs to which module; which modules the image has is known when
//! all of it is planned.
//!
//! ```text
//! paragraphs                                        lines
//! # a comment                                       libgiognutls.so: gio-tls-backend
//! "/usr/lib/.../loaders/libpixbufloader-bmp.so"
//! "bmp" 5 "gdk-pixbuf" "BMP" "LGPL"
//! ```

use common::tree::ImagePath;
use serde::Serialize;

use super::{Added, Firing, ShipError, Shipping};
use crate::elf::Name;
use crate::resolve::Because;
use crate::resolve::rules::Entries;

/// A part of a list of modules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// The module that it is about; `None`: it stays whatever the image has.
    pub module: Option<ImagePath>,
    /// Its bytes.
    pub text: Name,
}

impl Shipping<'_> {
    /// Adds every list that a template means.
    pub(super) fn list(
        &mut self,
        firing: &Firing<'_>,
        template: &str,
        entries: Entries,
        because: &Because,
    ) -> Result<(), ShipError> {
        for path in self.paths(firing, template)? {
            let Some(text) = self.text(firing, path.as_bytes())? else { continue };
            let parts = parts(&text, &path, entries);
            self.add(path, Added::List(parts), because);
        }
        Ok(())
    }
}

/// The parts of a list that stands at `list`, in order.
pub fn parts(text: &[u8], list: &ImagePath, entries: Entries) -> Vec<Part> {
    match entries {
        Entries::Paragraphs => paragraphs(text, list),
        Entries::Lines => lines(text, list),
    }
}

/// Comments and blank lines stay; a paragraph that begins with no path is nobody's, and goes.
fn paragraphs(text: &[u8], list: &ImagePath) -> Vec<Part> {
    // Module, whether it is a paragraph at all, bytes.
    let mut found: Vec<(Option<ImagePath>, bool, Vec<u8>)> = Vec::new();
    let mut inside = false;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let blank = line.trim_ascii().is_empty();
        if let Some((_, _, bytes)) = found.last_mut().filter(|_| inside) {
            bytes.extend_from_slice(line);
            inside = !blank;
        } else {
            inside = !blank && !line.starts_with(b"#");
            let module = inside.then(|| quoted(line, list)).flatten();
            found.push((module, inside, line.to_vec()));
        }
    }
    found
        .into_iter()
        .filter(|(module, belongs, _)| module.is_some() || !belongs)
        .map(|(module, _, bytes)| Part { module, text: bytes.into() })
        .collect()
}

/// The path in quotes that a line consists of; one that is not absolute starts at the list's folder.
fn quoted(line: &[u8], list: &ImagePath) -> Option<ImagePath> {
    let path = line.trim_ascii().strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    // Escaped characters are for the library to read; no distribution has such paths.
    if path.is_empty() || path.iter().any(|byte| b"\"\\".contains(byte)) {
        return None;
    }
    if path.starts_with(b"/") { ImagePath::new(path).ok() } else { list.parent()?.join(path).ok() }
}

fn lines(text: &[u8], list: &ImagePath) -> Vec<Part> {
    let part = |line: &[u8]| {
        if line.trim_ascii().is_empty() || line.starts_with(b"#") {
            return Some(Part { module: None, text: line.into() });
        }
        let end = line.iter().position(|byte| *byte == b':')?;
        let module = list.parent()?.join(&line[..end]).ok()?;
        Some(Part { module: Some(module), text: line.into() })
    };
    text.split_inclusive(|byte| *byte == b'\n').filter_map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each part as its module, and how many bytes it has.
    fn check(parts: &[Part], expected: &[(&str, usize)]) {
        let found: Vec<(String, usize)> = parts
            .iter()
            .map(|part| {
                let module = part.module.as_ref().map(ToString::to_string).unwrap_or_default();
                (module, part.text.as_bytes().len())
            })
            .collect();
        let found: Vec<(&str, usize)> = found.iter().map(|(m, size)| (m.as_str(), *size)).collect();
        assert_eq!(found, expected);
    }

    fn list() -> ImagePath {
        ImagePath::new("/l/x.cache").unwrap()
    }

    #[test]
    fn paragraphs_belong_to_the_path_that_they_begin_with() {
        check(
            &paragraphs(b"# c\n\n\"/m/a.so\" \n\"a\" 1\n\n\"b.so\"\nx", &list()),
            &[("", 4), ("", 1), ("/m/a.so", 18), ("/l/b.so", 8)],
        );
        check(&paragraphs(b"not a path\n\"/m/a.so\"\n\n\"/m/\\\"b\"\n", &list()), &[]);
        check(&paragraphs(b"", &list()), &[]);
    }

    #[test]
    fn lines_belong_to_the_name_before_their_colon() {
        check(
            &lines(b"# c\na.so: x\nno colon\n../b.so: y\nc.so:", &list()),
            &[("", 4), ("/l/a.so", 8), ("/l/c.so", 5)],
        );
    }
}
