//! What a Python source imports: statements, and calls with a literal name.
//!
//! Reads statements, not lines: strings, comments and continued lines are told apart by `tokens.rs`. What is
//! imported in functions, in branches and in `try` counts, as it may happen; it does not under `if
//! TYPE_CHECKING:` and under tests for another system than Linux, as it never does.
//! (The Python Language Reference, "Simple statements", "The import statement".)

use std::collections::BTreeMap;

use super::blocks::{Blocks, Context};
use super::tokens::{Line, Token, lines};
use crate::resolve::modules::{Import, When};

/// Functions whose first argument is a module's name.
const IMPORTERS: [&str; 3] = ["__import__", "import_module", "run_module"];

/// Functions whose arguments name encodings.
const ENCODERS: [&str; 5] = ["encode", "decode", "lookup", "getreader", "getwriter"];

/// What a source imports, each module once. `package` is what relative names start from.
pub(super) fn imports(text: &[u8], package: Option<&str>) -> Vec<Import> {
    let mut found = Imports { package, ..Imports::default() };
    let mut skipped: Option<usize> = None;
    let mut blocks = Blocks::default();
    for line in lines(text) {
        if skipped.is_some_and(|indent| line.indent > indent) {
            continue;
        }
        skipped = never_holds(&line.tokens).then_some(line.indent);
        if skipped.is_some() {
            continue;
        }
        let (around, inside) = blocks.enter(&line);
        found.line(&line, around, &inside);
        blocks.tried(&found.stated);
    }
    if let Some(encoding) = declared_encoding(text) {
        found.encoding(&encoding);
    }
    let import = |(name, (when, instead_of))| Import { name, when, instead_of };
    found.names.into_iter().map(import).collect()
}

/// Names that `__all__` lists: what `from package import *` imports of it.
pub(super) fn listed(text: &[u8]) -> Vec<String> {
    let is_list = |line: &Line| {
        line.indent == 0 && line.tokens.first().is_some_and(|token| token.is_name("__all__"))
    };
    let texts = lines(text).into_iter().filter(is_list).flat_map(|line| line.tokens);
    texts.filter_map(|token| token.literal().map(str::to_owned)).collect()
}

/// Pairs of texts with a colon between them: a dictionary written down.
pub(super) fn pairs(text: &[u8]) -> BTreeMap<String, String> {
    let mut pairs = BTreeMap::new();
    for line in lines(text) {
        for window in line.tokens.windows(3) {
            if let [key, Token::Mark(b':'), value] = window
                && let (Some(key), Some(value)) = (key.literal(), value.literal())
            {
                pairs.insert(key.to_owned(), value.to_owned());
            }
        }
    }
    pairs
}

/// As `encodings.normalize_encoding`, and in lower case as `codecs.lookup` does.
pub(super) fn normalized(encoding: &str) -> String {
    let mut name = String::new();
    for letter in encoding.chars() {
        if letter.is_alphanumeric() || letter == '.' {
            name.extend(letter.to_lowercase());
        } else if !name.is_empty() && !name.ends_with('_') {
            name.push('_');
        }
    }
    name.trim_end_matches('_').to_owned()
}

/// Whether a line opens a block that no Linux ever enters.
fn never_holds(tokens: &[Token]) -> bool {
    let words: Vec<&str> = tokens.iter().map(Token::text).collect();
    match words.as_slice() {
        ["if", "TYPE_CHECKING", ":", ..]
        | ["if", "typing" | "t", ".", "TYPE_CHECKING", ":", ..] => true,
        ["if" | "elif", "sys", ".", "platform", "=", "=", system, ":", ..] => {
            !system.is_empty() && *system != "linux"
        }
        ["if" | "elif", "os", ".", "name", "=", "=", system, ":", ..] => {
            !system.is_empty() && *system != "posix"
        }
        _ => false,
    }
}

/// The encoding that a comment in the first two lines declares (PEP 263).
fn declared_encoding(text: &[u8]) -> Option<String> {
    for line in text.split(|&byte| byte == b'\n').take(2) {
        let line = String::from_utf8_lossy(line);
        if !line.trim_start().starts_with('#') {
            continue;
        }
        let Some((_, rest)) = line.split_once("coding") else { continue };
        let Some(rest) = rest.strip_prefix([':', '=']) else { continue };
        let is_part = |c: &char| c.is_ascii_alphanumeric() || "-_.".contains(*c);
        return Some(rest.trim_start().chars().take_while(is_part).collect());
    }
    None
}

#[derive(Default)]
struct Imports<'p> {
    package: Option<&'p str>,
    /// By name, when it is imported at the surest, and in whose place.
    names: BTreeMap<String, (When, Vec<String>)>,
    /// What holds for the statement that is read.
    context: Context,
    /// Modules that the statements of the last line name.
    stated: Vec<String>,
}

impl Imports<'_> {
    fn add(&mut self, name: String, when: When) {
        let instead_of = &self.context.instead_of;
        let known = self.names.entry(name).or_insert_with(|| (when, instead_of.clone()));
        known.0 = when.min(known.0);
        if known.1 != *instead_of {
            known.1.clear();
        }
    }

    /// What may be a module, or happen in some cases.
    fn maybe(&mut self, name: String) {
        self.add(name, self.context.when.max(When::Maybe));
    }

    fn encoding(&mut self, name: &str) {
        let name = normalized(name);
        if !name.is_empty() {
            self.maybe(format!("encodings.{name}"));
        }
    }

    /// `around` holds for what starts the line, `inside` for what follows a colon.
    fn line(&mut self, line: &Line, around: Context, inside: &Context) {
        let tokens = &line.tokens;
        let mut depth = 0_usize;
        let mut starts = true;
        self.context = around;
        self.stated.clear();
        for (at, token) in tokens.iter().enumerate() {
            let rest = &tokens[at..];
            if starts {
                match token {
                    Token::Name(word) if word == "import" => self.import(&rest[1..]),
                    Token::Name(word) if word == "from" => self.from(&rest[1..]),
                    _ => {}
                }
            }
            starts = false;
            match token {
                Token::Mark(b'(' | b'[' | b'{') => depth += 1,
                Token::Mark(b')' | b']' | b'}') => depth = depth.saturating_sub(1),
                Token::Mark(b';') => starts = depth == 0,
                Token::Mark(b':') if depth == 0 => {
                    starts = true;
                    self.context = inside.clone();
                }
                Token::Named => self.maybe("unicodedata".to_owned()),
                _ => self.call(rest),
            }
        }
    }

    /// `a.b as c, d`
    fn import(&mut self, tokens: &[Token]) {
        let mut rest = tokens;
        loop {
            let (name, tail) = dotted(rest);
            if name.is_empty() {
                return;
            }
            self.stated.push(name.clone());
            self.add(name, self.context.when);
            rest = match tail {
                [Token::Name(word), Token::Name(_), tail @ ..] if word == "as" => tail,
                tail => tail,
            };
            match rest {
                [Token::Mark(b','), tail @ ..] => rest = tail,
                _ => return,
            }
        }
    }

    /// `..a import (b as c, d)`, `a import *`
    fn from(&mut self, tokens: &[Token]) {
        let level = tokens.iter().take_while(|token| token.is_mark(b'.')).count();
        let (name, rest) = dotted(&tokens[level..]);
        let Some(module) = self.absolute(level, &name) else { return };
        let [Token::Name(word), rest @ ..] = rest else { return };
        if word != "import" || module.is_empty() {
            return;
        }
        self.stated.push(module.clone());
        self.add(module.clone(), self.context.when);
        let mut before = b',';
        for token in rest {
            match token {
                Token::Mark(b';' | b')') => return,
                Token::Mark(b'*') => self.maybe(format!("{module}.*")),
                Token::Mark(mark) => before = if *mark == b'(' { b',' } else { *mark },
                // Not what stands behind `as`.
                Token::Name(member) if before == b',' => {
                    self.maybe(format!("{module}.{member}"));
                    before = 0;
                }
                _ => {}
            }
        }
    }

    /// A name with dots before it, as seen from the package.
    fn absolute(&self, level: usize, name: &str) -> Option<String> {
        let Some(above) = level.checked_sub(1) else { return Some(name.to_owned()) };
        let mut package = self.package?;
        for _ in 0..above {
            package = package.rsplit_once('.')?.0;
        }
        Some(if name.is_empty() { package.to_owned() } else { format!("{package}.{name}") })
    }

    /// `import_module("a.b")`, `.encode("x")`, `encoding="x"`
    fn call(&mut self, tokens: &[Token]) {
        let [Token::Name(name), Token::Mark(mark), value, rest @ ..] = tokens else { return };
        if *mark == b'(' && ENCODERS.contains(&name.as_str()) {
            // `x.decode(given or "cp437")`
            let arguments = tokens[2..].iter().take_while(|token| !token.is_mark(b')'));
            for text in arguments.filter_map(Token::literal) {
                self.encoding(text);
            }
        }
        let Some(text) = value.literal() else { return };
        match (name.as_str(), mark) {
            (name, b'(') if IMPORTERS.contains(&name) => {
                if !matches!(rest.first(), Some(Token::Mark(b',' | b')'))) {
                    return;
                }
                let level = text.len() - text.trim_start_matches('.').len();
                if let Some(name) = self.absolute(level, &text[level..])
                    && !name.is_empty()
                {
                    self.maybe(name);
                }
            }
            ("encoding", b'=') => self.encoding(text),
            _ => {}
        }
    }
}

/// A name with dots in it, and what follows.
fn dotted(tokens: &[Token]) -> (String, &[Token]) {
    let [Token::Name(first), rest @ ..] = tokens else { return (String::new(), tokens) };
    // `from . import x`: there is no name.
    if first == "import" {
        return (String::new(), tokens);
    }
    let (mut name, mut rest) = (first.clone(), rest);
    while let [Token::Mark(b'.'), Token::Name(part), tail @ ..] = rest {
        name.push('.');
        name.push_str(part);
        rest = tail;
    }
    (name, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Imports; `!`: always, `~`: by a function, `#`: as the program.
    fn found(text: &str, package: Option<&str>) -> String {
        let told: Vec<String> = imports(text.as_bytes(), package)
            .into_iter()
            .map(|import| {
                let mark = match import.when {
                    When::Always => "!",
                    When::Maybe => "",
                    When::Later => "~",
                    When::AsProgram => "#",
                };
                let instead = import.instead_of.join("&");
                let instead = if instead.is_empty() { instead } else { format!("?{instead}") };
                format!("{}{mark}{instead}", import.name)
            })
            .collect();
        told.join(" ")
    }

    #[test]
    fn statements_are_found_wherever_they_stand() {
        for (text, wanted) in [
            ("import a.b as c, d", "a.b! d!"),
            ("import a; import b", "a! b!"),
            ("from a import b", "a! a.b"),
            ("from a.b import (c as d, # x\n  e,\n)\nimport f", "a.b! a.b.c a.b.e f!"),
            ("from a import *", "a! a.*"),
            ("def f():\n    import a\n    from b import c", "a~ b~ b.c~"),
            ("def f(): import a\nimport b", "a~ b!"),
            ("if __name__ == '__main__':\n    import a\nimport b", "a# b!"),
            ("def f():\n  if x:\n    import a\nif y:\n  import a", "a"),
            ("try:\n    import a\nexcept ImportError:\n    import b", "a b?a"),
            (
                "try:\n  from a import b\n  import c\nexcept (X, ImportError):\n  import d\nimport d",
                "a a.b c d!",
            ),
            (
                "try:\n  import a\nexcept ImportError:\n  try:\n    import b\n  except ImportError:\n    import c",
                "a b?a c?b",
            ),
            ("try:\n    import a\nexcept ValueError:\n    import b\nelse:\n    import c", "a b c"),
            ("try: import a\nexcept ImportError: a = None", "a"),
            ("if x: import a\nelse: import b", "a b"),
            ("import a \\\n  , b", "a! b!"),
            ("if True:\n\timport a", "a"),
            ("class C:\n  async def f(self):\n    import a", "a~"),
            ("import a\r\nimport b\r\n", "a! b!"),
            ("\u{feff}import a", "a!"),
            ("import é", "é!"),
        ] {
            assert_eq!(found(text, None), wanted, "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_an_import_is_none() {
        for text in [
            "# import a",
            "x = 'import a'",
            "'''\nimport a\nfrom b import c\n'''",
            "x = \"\"\"\\\"\"\"\nimport a\n\"\"\"",
            "raise X from y",
            "def f():\n    yield from a",
            "x = f'{a}import b'",
            "x = f'''\n{y:>{z}}\nimport b\n'''",
            "x = f\"{d['import']}\"",
            "x = r'\\'\nimported = 1",
            "important = 1",
            "x.import_module = 1",
            "import_module(name)",
            "__import__('a' + b)",
            "if TYPE_CHECKING:\n    import a\n    if x:\n        from b import c",
            "if typing.TYPE_CHECKING:\n  import a",
            "if sys.platform == 'win32':\n    import a",
            "if os.name == 'nt': import a",
        ] {
            assert_eq!(found(text, None), "", "{text}");
        }
        assert_eq!(found("if TYPE_CHECKING:\n    import a\nelse:\n    import b", None), "b");
        assert_eq!(found("if sys.platform == 'linux':\n    import a", None), "a");
        assert_eq!(found("x = f'{y:\\'<5}'\nimport a", None), "a!");
    }

    #[test]
    fn dots_start_at_the_package() {
        for (text, package, wanted) in [
            ("from . import a", Some("p.q"), "p.q! p.q.a"),
            ("from .a import b", Some("p.q"), "p.q.a! p.q.a.b"),
            ("from .. import a", Some("p.q"), "p! p.a"),
            ("from ...a import b", Some("p.q"), ""),
            ("from .a import b", None, ""),
            ("import_module('.a', __name__)", Some("p"), "p.a"),
        ] {
            assert_eq!(found(text, package), wanted, "{text}");
        }
    }

    #[test]
    fn calls_with_a_literal_name_count() {
        for (text, wanted) in [
            ("__import__('a')", "a"),
            ("m = importlib.import_module(\"a.b\")", "a.b"),
            ("x = [__import__('a', globals())]", "a"),
            ("b.decode('Latin-1')", "encodings.latin_1"),
            ("b.decode(x or 'cp437')", "encodings.cp437"),
            ("open(p, encoding='cp1252')", "encodings.cp1252"),
            ("# -*- coding: iso-8859-15 -*-\nx = 1", "encodings.iso_8859_15"),
            ("x = '\\N{BULLET}'", "unicodedata"),
            ("x = r'\\N{BULLET}'", ""),
        ] {
            assert_eq!(found(text, None), wanted, "{text}");
        }
    }

    #[test]
    fn damaged_sources_end() {
        for text in
            ["'''", "f'{", "from", "import", "from . import (", "(((", "f'{{{'", "\\", "'\\"]
        {
            assert!(imports(text.as_bytes(), None).len() < 2, "{text}");
        }
        let deep = "f'{".repeat(100_000);
        assert_eq!(imports(deep.as_bytes(), None), []);
        assert_eq!(imports(&"(".repeat(100_000).into_bytes(), None), []);
    }

    #[test]
    fn lists_and_pairs_are_read() {
        assert_eq!(listed(b"x = ['z']\n__all__ = ['a',\n 'b']\n__all__ += ['c']"), ["a", "b", "c"]);
        let pairs = pairs(b"aliases = {\n # x\n 'l1' : 'latin_1',\n 'u8': 'utf_8',\n}\n");
        assert_eq!(pairs.get("l1").map(String::as_str), Some("latin_1"));
        assert_eq!(pairs.len(), 2);
    }
}
