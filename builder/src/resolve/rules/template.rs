//! `{dir}`, `{prefix}`, `{string}` and `{1}` in the paths that a rule ships.

use common::tree::ImagePath;

/// What the names in braces stand for, once a rule has fired.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Variables {
    /// Folder of what made the rule fire.
    dir: Vec<u8>,
    /// Parent of that folder.
    prefix: Vec<u8>,
    /// What each `*` of the trigger stood for.
    captures: Vec<Vec<u8>>,
    /// The string of the trigger.
    string: Option<Vec<u8>>,
}

impl Variables {
    /// For a rule that fired on `path`.
    pub fn new(path: &ImagePath, captures: Vec<Vec<u8>>) -> Self {
        let text =
            |path: Option<ImagePath>| path.map(|p| p.as_bytes().to_vec()).unwrap_or_default();
        let dir = path.parent();
        let prefix = text(dir.as_ref().and_then(ImagePath::parent));
        Self { prefix, dir: text(dir), captures, string: None }
    }

    /// With the string that made the rule fire.
    #[must_use]
    pub fn with_string(self, string: Option<Vec<u8>>) -> Self {
        Self { string, ..self }
    }

    /// `template` with all names replaced, special characters of patterns in values escaped; `None`
    /// where a name has no value here.
    pub fn expand(&self, template: &str) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}')?;
            out.extend_from_slice(before.as_bytes());
            let value = match name {
                "dir" => &self.dir,
                "prefix" => &self.prefix,
                "string" => self.string.as_ref()?,
                number => self.captures.get(number.parse::<usize>().ok()?.checked_sub(1)?)?,
            };
            for byte in value {
                if b"*?[\\".contains(byte) {
                    out.push(b'\\');
                }
                out.push(*byte);
            }
            rest = after;
        }
        out.extend_from_slice(rest.as_bytes());
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_replaced() {
        let path = ImagePath::new("/usr/bin/python3.11").unwrap();
        let variables = Variables::new(&path, vec![b"11".to_vec()]);
        let expand = |text| variables.expand(text).map(|b| String::from_utf8(b).unwrap());
        assert_eq!(expand("{prefix}/lib/python3.{1}/*.so").unwrap(), "/usr/lib/python3.11/*.so");
        assert_eq!(expand("{dir}/x").unwrap(), "/usr/bin/x");
        assert_eq!(expand("{string}"), None);
        let text =
            variables.clone().with_string(Some(b"/bin/[".to_vec())).expand("{string}").unwrap();
        assert_eq!(text, b"/bin/\\[");
        assert_eq!(expand("{2}"), None);
        assert_eq!(expand("{nope}"), None);
        assert_eq!(expand("{"), None);
    }
}
