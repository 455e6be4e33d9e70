//! What a source of ruby loads: `require`, `require_relative`, `load` and `autoload` with a literal name.

use std::collections::BTreeMap;

use common::tree::ImagePath;

use crate::resolve::modules::text::{Form, Parts, import, literal, word_at, words};
use crate::resolve::modules::{Import, When};

const DOCUMENTATION: Form = Form { opens: |line| line.starts_with(b"=begin"), closes: b"=end" };

/// Begin of the name that means a program of a gem: `bin:rake/rake`.
pub(super) const BIN: &str = "bin:";

/// What rubygems loads to start a program of a gem (`Gem.activate_bin_path`).
const OF_PROGRAMS: [&str; 4] =
    ["rubygems/request_set", "rubygems/resolver", "rubygems/source", "set"];

/// Features, and absolute paths for what is named by its place beside `source`. What stands inside of a method is
/// loaded later, or never.
pub(super) fn imports(text: &[u8], source: &ImagePath) -> Vec<Import> {
    let parts = Parts::of(text, DOCUMENTATION);
    let mut found: BTreeMap<String, When> = BTreeMap::new();
    let mut add = |name: String, when: When| {
        let known = found.entry(name).or_insert(when);
        *known = when.min(*known);
    };
    for (text, is_code) in [(&parts.code, true), (&parts.quoted, false)] {
        let lines = lines(text);
        for (before, word, after) in words(text) {
            if before.last().is_some_and(|byte| b"$@:-/".contains(byte)) {
                continue;
            }
            let at_begin = is_code && matches!(before.last(), None | Some(b'\n'));
            let line = lines.partition_point(|(start, _)| *start <= before.len());
            let in_method = line.checked_sub(1).is_some_and(|line| lines[line].1);
            let later = in_method || !is_code || word == b"autoload";
            let when = if later { When::Later } else { When::Maybe };
            let named = match word {
                b"require" | b"load" | b"require_relative" => literal(after),
                // What rubygems writes as a program: `load Gem.activate_bin_path('rake', 'rake', version)`.
                b"activate_bin_path" | b"bin_path" => {
                    if let Some((gem, rest)) = literal(after)
                        && let Some((program, _)) =
                            rest.trim_ascii_start().strip_prefix(b",").and_then(literal)
                        && let (Ok(gem), Ok(program)) =
                            (std::str::from_utf8(gem), std::str::from_utf8(program))
                    {
                        add(format!("{BIN}{gem}/{program}"), When::Maybe);
                        for feature in OF_PROGRAMS {
                            add(feature.to_owned(), When::Maybe);
                        }
                    }
                    None
                }
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

/// Where lines begin, and whether they are inside of a method, as their indentation says.
fn lines(text: &[u8]) -> Vec<(usize, bool)> {
    let mut found = Vec::new();
    // Lines around the one at hand: how far each is indented, and whether it begins a method.
    let mut around: Vec<(usize, bool)> = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        let code = line.trim_ascii_start();
        let indent = line.len() - code.len();
        if !code.is_empty() {
            while around.last().is_some_and(|(outer, _)| *outer >= indent) {
                around.pop();
            }
            found.push((start, around.iter().any(|(_, begins)| *begins)));
            let begins = code.starts_with(b"def ") && !code.trim_ascii_end().ends_with(b"end");
            around.push((indent, begins));
        }
        start += line.len();
    }
    found
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
            ("  require 'json' unless x", "json?"),
            ("require 'json' rescue nil", "json?"),
            ("require 'a'\ndef x\n  require 'b'\nend", "a! b"),
            (
                "class A\n  require 'a'\n  def x\n    if y\n      require 'b'\n    end\n  end\n  require 'c'\nend",
                "a? b c?",
            ),
            ("begin\n  require \"x/y.so\"\nrescue LoadError\nend", "x/y.so?"),
            (
                "require_relative 'c'; require_relative '../d/e'",
                "/usr/lib/ruby/a/c? /usr/lib/ruby/d/e?",
            ),
            ("autoload :Foo, 'foo/foo'\nautoload(:Bar, \"bar\")", "bar foo/foo"),
            ("load 'a.rb'", "a.rb?"),
            (
                "load Gem.activate_bin_path('rake', 'rk', v)",
                "bin:rake/rk? rubygems/request_set? rubygems/resolver? rubygems/source? set?",
            ),
            ("autoload :A, File.expand_path('c/d', __dir__)", "/usr/lib/ruby/a/c/d"),
            ("require File.expand_path('../c', __FILE__)", "/usr/lib/ruby/a/c?"),
            ("require \"#{dir}/x\"\nrequire x\nrequire File.join('a')", ""),
            ("# require 'a'\nx # require 'b'\n=begin\nrequire 'c'\n=end\nrequire 'd'", "d!"),
            ("eval <<~E\n  require 'a'\nE\n__END__\nrequire 'b'", "a"),
            ("Kernel.require 'a'; @require 'b'", "a?"),
            ("require", ""),
            ("autoload :A", ""),
            ("require_relative '../../../../../../x'", ""),
        ] {
            assert_eq!(found(text), wanted, "{text}");
        }
    }
}
