//! What a source of perl loads: `use`, `require`, and what the core loads for something that is written.
//!
//! perl can only be parsed by running it, so words are looked for: in code, and in texts that may be code for
//! `eval`. What is found too much is a file too many; only a `use` at the begin of a line counts as needed.

use std::collections::BTreeMap;

use crate::resolve::modules::text::{Form, Parts, import, literal, word_at, words};
use crate::resolve::modules::{Import, When};

const POD: Form =
    Form { opens: |line| matches!(line, [b'=', b'a'..=b'z' | b'A'..=b'Z', ..]), closes: b"=cut" };
/// What follows a word is looked at so far.
const STATEMENT: usize = 4096;
/// Functions that load the module whose name they are given (`Module::Runtime`, `Module::Load`, `Class::Load` ...).
const LOADERS: [&[u8]; 9] = [
    b"require_module",
    b"use_module",
    b"use_package_optimistically",
    b"load_module",
    b"load_class",
    b"try_load_class",
    b"autoload",
    b"load",
    b"bootstrap",
];
/// Pragmas whose arguments are modules, with `::` in their names or not.
const OF_MODULES: [&str; 6] = ["parent", "base", "if", "autouse", "aliased", "mixin"];
/// Text that makes the core load a module (perlio.c, `PerlIO_find_layer`; regcomp.c, toke.c: `_charnames`).
const IMPLIED: [(&[u8], &str); 5] = [
    (b":encoding(", "PerlIO::encoding"),
    (b":via(", "PerlIO::via"),
    (b"\\N{", "_charnames"),
    (b"\\p{na", "_charnames"),
    (b"\\p{Name", "_charnames"),
];

/// Names of encodings, in lower case, and the module that knows them.
const ENCODINGS: [(&[u8], &str); 9] = [
    (b"8859-", "Encode::Byte"),
    (b"big5", "Encode::TW"),
    (b"cp125", "Encode::Byte"),
    (b"euc-jp", "Encode::JP"),
    (b"euc-kr", "Encode::KR"),
    (b"gb2312", "Encode::CN"),
    (b"koi8-", "Encode::Byte"),
    (b"shiftjis", "Encode::JP"),
    (b"windows-125", "Encode::Byte"),
];

/// Modules of encodings that a source names.
pub(super) fn encodings(text: &[u8]) -> Vec<Import> {
    let lower = Parts::of(text, POD).code.to_ascii_lowercase();
    let named = ENCODINGS.iter().filter(|(name, _)| contains(&lower, name));
    named.map(|(_, module)| import(*module, When::Maybe)).collect()
}

/// Names of modules (`A::B`) and files (`a/b.pl`), each once.
pub(super) fn imports(text: &[u8]) -> Vec<Import> {
    let parts = Parts::of(text, POD);
    let mut scan = Scan::default();
    scan.words(&parts.code, true);
    scan.words(&parts.quoted, false);
    for (needle, module) in IMPLIED {
        if [&parts.code, &parts.quoted].into_iter().any(|text| contains(text, needle)) {
            scan.add(module, When::Maybe);
        }
    }
    scan.found.into_iter().map(|(name, when)| import(name, when)).collect()
}

#[derive(Debug, Default)]
struct Scan {
    found: BTreeMap<String, When>,
}

impl Scan {
    fn add(&mut self, name: &str, when: When) {
        let known = self.found.entry(name.to_owned()).or_insert(when);
        *known = when.min(*known);
    }

    fn words(&mut self, text: &[u8], is_code: bool) {
        for (before, word, after) in words(text) {
            if before.last().is_some_and(|byte| b"$@%&:>/-\\.".contains(byte)) {
                continue;
            }
            let after = &after[..after.len().min(STATEMENT)];
            let at_begin = matches!(before.last(), None | Some(b'\n'));
            let when = if at_begin { When::Maybe } else { When::Later };
            match word {
                b"use" | b"no" if starts_blank(after) => {
                    let always = is_code && at_begin && word == b"use";
                    self.used(after, if always { When::Always } else { When::Maybe });
                }
                b"require" => self.required(after, when),
                b"do" => self.file(literal(after).map(|(name, _)| name), when),
                b"extends" | b"with" => self.arguments(statement(after), true),
                b"XSLoader" | b"DynaLoader" => {
                    let arguments = after.iter().position(|byte| b"'\"(".contains(byte));
                    let name = arguments.and_then(|at| literal(&after[at..]));
                    self.module(name.map(|(name, _)| name));
                }
                b"open" if takes_a_reference(statement(after)) => {
                    self.add("PerlIO::scalar", When::Maybe);
                }
                b"dbi" | b"DBI" => {
                    if let [b':', rest @ ..] = after
                        && let driver = word_at(rest)
                        && rest.get(driver.len()) == Some(&b':')
                        && !driver.is_empty()
                    {
                        self.module(Some(&[b"DBD::", driver].concat()));
                    }
                }
                word if LOADERS.contains(&word) => {
                    self.module(literal(after).map(|(name, _)| name));
                }
                _ => {}
            }
        }
    }

    /// Behind `use`.
    fn used(&mut self, after: &[u8], when: When) {
        let after = after.trim_ascii_start();
        let Some(name) = module_at(after) else {
            self.version(after);
            return;
        };
        let rest = &after[name.len()..];
        // `use => 1` is a word of a list, `use X` without an end a sentence of English.
        if !ends_name(rest) {
            return;
        }
        // Its colons may be old-fashioned quotes.
        let name = name.replace('\'', "::");
        self.add(&name, when);
        self.arguments(statement(rest), OF_MODULES.contains(&name.as_str()));
    }

    /// `use v5.36` brings what is then on by itself.
    fn version(&mut self, after: &[u8]) {
        let digits = match after {
            [b'v', rest @ ..] | rest => rest,
        };
        if digits.first().is_some_and(u8::is_ascii_digit) {
            for name in ["feature", "strict", "warnings"] {
                self.add(name, When::Maybe);
            }
        }
    }

    /// Behind `require`.
    fn required(&mut self, after: &[u8], when: When) {
        if let Some((name, _)) = literal(after) {
            self.file(Some(name), when);
        } else if starts_blank(after)
            && let name = after.trim_ascii_start()
            && let Some(module) = module_at(name)
            && ends_name(&name[module.len()..])
        {
            self.add(&module.replace('\'', "::"), when);
        }
    }

    /// A file that is named: `require "a/B.pm"` is what `require a::B` means.
    fn file(&mut self, name: Option<&[u8]>, when: When) {
        let Some(name) = name.and_then(|name| std::str::from_utf8(name).ok()) else { return };
        let known = [".pl", ".ph", ".pm", ".al"].iter().any(|end| name.ends_with(end));
        if let Some(module) = name.strip_suffix(".pm").filter(|name| !name.starts_with(['.', '/']))
        {
            self.add(&module.replace('/', "::"), when);
        } else if known {
            self.add(name, when);
        }
    }

    fn module(&mut self, name: Option<&[u8]>) {
        if let Some(name) = name
            && module_at(name).is_some_and(|module| module.len() == name.len())
        {
            self.add(&String::from_utf8_lossy(name), When::Maybe);
        }
    }

    /// Words in quotes, and before `=>`: modules, where they have `::` in them or `all` are.
    fn arguments(&mut self, text: &[u8], all: bool) {
        let mut at = 0;
        while let Some(start) = text[at..].iter().position(u8::is_ascii_alphabetic) {
            let start = at + start;
            let quoted = start > 0 && b" \t\n'\"(/[{,".contains(&text[start - 1]);
            let Some(name) = module_at(&text[start..]) else {
                at = start + 1;
                continue;
            };
            at = start + name.len();
            if quoted && (name.contains("::") || all && name != "qw" && name != "q") {
                self.add(name, When::Maybe);
            }
        }
    }
}

/// A module's name at the begin of a text.
fn module_at(text: &[u8]) -> Option<&str> {
    if !matches!(text.first(), Some(b'_' | b'a'..=b'z' | b'A'..=b'Z')) {
        return None;
    }
    let mut end = word_at(text).len();
    loop {
        let length = match &text[end..] {
            [b':', b':', rest @ ..] => 2 + word_at(rest).len(),
            [b'\'', b'a'..=b'z' | b'A'..=b'Z', ..] => 1 + word_at(&text[end + 1..]).len(),
            _ => 0,
        };
        // A version's v5.36 is none, and `A::` or a word in quotes end before what follows.
        if length < 2 || (length == 2 && text[end] == b':') {
            break;
        }
        end += length;
    }
    let name = &text[..end];
    let version = name[0] == b'v' && name.len() > 1 && name[1..].iter().all(u8::is_ascii_digit);
    if version { None } else { std::str::from_utf8(name).ok() }
}

/// Whether a module's name can end before this text.
fn ends_name(rest: &[u8]) -> bool {
    let next = rest.trim_ascii_start();
    let blank = next.len() < rest.len();
    match next {
        [b'=', b'>', ..] => false,
        [] | [b';' | b'}' | b'(' | b')' | b'"' | b'\'', ..] => true,
        _ => blank,
    }
}

fn starts_blank(text: &[u8]) -> bool {
    text.first().is_some_and(u8::is_ascii_whitespace)
}

/// Up to the end of the statement.
fn statement(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|&byte| byte == b';');
    &text[..end.unwrap_or(text.len())]
}

/// `open my $f, '<', \$text`.
fn takes_a_reference(text: &[u8]) -> bool {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|&byte| byte == b'\\') {
        rest = rest[at + 1..].trim_ascii_start();
        if matches!(rest, [b'$' | b'(' | b'"' | b'\'', ..])
            || matches!(word_at(rest), b"my" | b"do")
        {
            return true;
        }
    }
    false
}

fn contains(text: &[u8], needle: &[u8]) -> bool {
    text.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names that are found: with a `!` what is always loaded, with a `?` what may be called for later.
    fn found(text: &str) -> String {
        let mark = |when| match when {
            When::Always => "!",
            When::Maybe => "",
            When::Later | When::AsProgram => "?",
        };
        let show = |import: Import| format!("{}{}", import.name, mark(import.when));
        let mut names: Vec<String> = imports(text.as_bytes()).into_iter().map(show).collect();
        names.sort();
        names.join(" ")
    }

    #[test]
    fn modules_are_found_where_perl_would_load_them() {
        for (text, wanted) in [
            ("use strict; use warnings;", "strict! warnings"),
            ("use JSON::PP 2.0 qw(encode_json);", "JSON::PP!"),
            ("use POSIX();\nuse Carp;", "Carp! POSIX!"),
            ("\tuse Carp;", "Carp"),
            ("use 5.010;", "feature strict warnings"),
            ("use v5.36;", "feature strict warnings"),
            ("no warnings 'once';", "warnings"),
            ("use parent -norequire, 'A', qw(B C::D);", "A B C::D parent!"),
            ("use base\n  qw(\n A\n B\n);\nuse C;", "A B C! base!"),
            ("use if $] < 5.01, 'MRO::Compat' => ();", "MRO::Compat if!"),
            ("use Mojo::Base 'Mojolicious::Plugin';", "Mojo::Base! Mojolicious::Plugin"),
            ("eval { require Foo::Bar; 1 } or die", "Foo::Bar?"),
            ("eval \"use Foo; 1\";", "Foo"),
            ("eval 'require Foo';", "Foo?"),
            ("require 'a/b.pl'; require \"A/B.pm\"; do './c.pl';", "./c.pl? A::B? a/b.pl"),
            ("require \"$x.pl\"; require $module;", ""),
            ("require_module('A::B'); use_module(\"C\")->new;", "A::B C"),
            ("extends 'A::B';\nwith qw(C D::E);", "A::B C D::E"),
            ("XSLoader::load('List::Util', $V); bootstrap Foo $V;", "List::Util"),
            ("open(my $f, '<', \\$text); open my $g, '>', \\my $b;", "PerlIO::scalar"),
            ("open(my $f, '<:encoding(UTF-8)', $p);", "PerlIO::encoding"),
            ("print \"\\N{GREEK SMALL LETTER ALPHA}\"", "_charnames"),
            ("DBI->connect(\"dbi:SQLite:dbname=x\")", "DBD::SQLite"),
            // Neither code nor a name.
            ("# use A;\n  # use B;\n1; # use C;", ""),
            ("=head1 X\n\n use A;\n\n=cut\nuse B;", "B!"),
            ("use A;\n__END__\nuse B;", "A!"),
            ("__DATA__\nuse B;", ""),
            ("print <<E;\nuse A;\nE\nuse B;", "A B!"),
            ("$use A; $x->use B; %h = (use => 1, require => 2);", ""),
            ("use => A", ""),
            ("use", ""),
            ("use ", ""),
            ("require", ""),
            ("use A'B;", "A::B!"),
            ("use A::;", ""),
        ] {
            assert_eq!(found(text), wanted, "{text}");
        }
    }

    #[test]
    fn an_encoding_that_is_named_has_a_module() {
        let found = |text: &str| -> Vec<String> {
            encodings(text.as_bytes()).into_iter().map(|import| import.name).collect()
        };
        assert_eq!(found("decode('ISO-8859-15', $x)"), ["Encode::Byte"]);
        assert_eq!(found("open F, '<:encoding(EUC-JP)'"), ["Encode::JP"]);
        assert_eq!(found("# iso-8859-15\ndecode('UTF-8', $x)"), [""; 0]);
    }

    #[test]
    fn bytes_of_any_kind_are_read() {
        for text in [
            &b"use \xff\xfe; use A\x80;"[..],
            b"\\N{",
            b"dbi:",
            b"dbi:a",
            b"use '",
            b"<<\"",
            b"<<~",
        ] {
            let _any = imports(text);
        }
    }
}
