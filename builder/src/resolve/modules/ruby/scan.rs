//! What a source of ruby loads: `require`, `require_relative`, `load` and `autoload` with a literal name.

use std::collections::BTreeMap;

use common::tree::ImagePath;

use crate::resolve::modules::text::{Form, Parts, import, literal, word_at, words};
use crate::resolve::modules::{Import, When};

const DOCUMENTATION: Form = Form { opens: |line| line.starts_with(b"=begin"), closes: b"=end" };

/// Features, and absolute paths for what is named by its place beside `source`. What stands at the begin of a
/// line is loaded with the source, the rest may be inside a method.
pub(super) fn imports(text: &[u8], source: &ImagePath) -> Vec<Import> {
    let parts = Parts::of(text, DOCUMENTATION);
    let mut found: BTreeMap<String, When> = BTreeMap::new();
    let mut add = |name: String, when: When| {
        let known = found.entry(name).or_insert(when);
        *known = when.min(*known);
    };
    for (text, is_code) in [(&parts.code, true), (&parts.quoted, false)] {
        for (before, word, after) in words(text) {
            if before.last().is_some_and(|byte| b"$@:-/".contains(byte)) {
                continue;
            }
            let at_begin = is_code && matches!(before.last(), None | Some(b'\n'));
            let when = if at_begin && word != b"autoload" { When::Maybe } else { When::Later };
            let named = match word {
                b"require" | b"load" | b"require_relative" => literal(after),
                b"autoload" => after
                    .iter()
                    .take_while(|&&byte| byte != b'\n')
                    .position(|&byte| byte == b',')
                    .and_then(|comma| literal(&after[comma + 1..])),
                _ => None,
            };
            let Some((name, rest)) = named else {
                if let Some(name) = expanded(word, after, source) {
                    add(name, when);
                }
                continue;
            };
            let Ok(name) = std::str::from_utf8(name) else { continue };
            // `require "a" + x` and `require "a" if x` are no promise.
            let alone =
                matches!(rest.trim_ascii_start_on_line().first(), None | Some(b'\n' | b')'));
            let always = at_begin && alone && word == b"require";
            let name = match word {
                b"require_relative" => beside(source, name),
                _ => Some(name.to_owned()),
            };
            if let Some(name) = name {
                add(name, if always { When::Always } else { when });
            }
        }
    }
    found.into_iter().map(|(name, when)| import(name, when)).collect()
}

/// `File.expand_path("a", __dir__)`, and the same with `"../a", __FILE__`, behind one of the words.
fn expanded(word: &[u8], after: &[u8], source: &ImagePath) -> Option<String> {
    const CALL: &[u8] = b"File.expand_path";
    if !matches!(word, b"require" | b"load" | b"autoload") {
        return None;
    }
    let line = after.split(|&byte| byte == b'\n').next()?;
    let at = line.windows(CALL.len()).position(|window| window == CALL)?;
    let (name, rest) = literal(&line[at + CALL.len()..])?;
    let name = std::str::from_utf8(name).ok()?;
    let of = rest.trim_ascii_start().strip_prefix(b",")?.trim_ascii_start();
    match word_at(of) {
        b"__dir__" => beside(source, name),
        b"__FILE__" => beside(source, name.strip_prefix("../")?),
        _ => None,
    }
}

/// Where `require_relative` looks.
fn beside(source: &ImagePath, name: &str) -> Option<String> {
    let mut folder = source.parent()?;
    for part in name.split('/') {
        folder = match part {
            "" | "." => folder,
            ".." => folder.parent()?,
            part => folder.join(part.as_bytes()).ok()?,
        };
    }
    String::from_utf8(folder.as_bytes().to_vec()).ok()
}

trait OnLine {
    /// Without blanks at the begin; the end of the line stays.
    fn trim_ascii_start_on_line(&self) -> &[u8];
}

impl OnLine for [u8] {
    fn trim_ascii_start_on_line(&self) -> &[u8] {
        let start = self.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b'\r'));
        &self[start.unwrap_or(self.len())..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names that are found: with a `!` what is always loaded, with a `?` what is when the source is.
    fn found(text: &str) -> String {
        let source = ImagePath::new("/usr/lib/ruby/a/b.rb").unwrap();
        let mark = |when| match when {
            When::Always => "!",
            When::Maybe => "?",
            When::Later | When::AsProgram => "",
        };
        let show = |import: Import| format!("{}{}", import.name, mark(import.when));
        let names = imports(text.as_bytes(), &source).into_iter().map(show);
        names.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn features_are_found_where_ruby_would_load_them() {
        for (text, wanted) in [
            ("require 'json'\nrequire(\"set\")", "json! set!"),
            ("  require 'json' unless x", "json"),
            ("require 'json' rescue nil", "json?"),
            ("require 'a'\ndef x\n  require 'b'\nend", "a! b"),
            ("begin\n  require \"x/y.so\"\nrescue LoadError\nend", "x/y.so"),
            (
                "require_relative 'c'; require_relative '../d/e'",
                "/usr/lib/ruby/a/c? /usr/lib/ruby/d/e",
            ),
            ("autoload :Foo, 'foo/foo'\nautoload(:Bar, \"bar\")", "bar foo/foo"),
            ("load 'a.rb'", "a.rb?"),
            ("autoload :A, File.expand_path('c/d', __dir__)", "/usr/lib/ruby/a/c/d"),
            ("require File.expand_path('../c', __FILE__)", "/usr/lib/ruby/a/c?"),
            ("require \"#{dir}/x\"\nrequire x\nrequire File.join('a')", ""),
            ("# require 'a'\nx # require 'b'\n=begin\nrequire 'c'\n=end\nrequire 'd'", "d!"),
            ("eval <<~E\n  require 'a'\nE\n__END__\nrequire 'b'", "a"),
            ("obj.require 'a'; @require 'b'", "a"),
            ("require", ""),
            ("autoload :A", ""),
            ("require_relative '../../../../../../x'", ""),
        ] {
            assert_eq!(found(text), wanted, "{text}");
        }
    }
}
