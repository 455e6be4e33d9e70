//! Tokens of Python source, as far as imports need them: names, literal texts, and single marks.
//!
//! (The Python Language Reference, "Lexical analysis"; PEP 701 for the nesting of f-strings.) Any bytes have
//! tokens: what is not Python ends somewhere, and is not told.

/// f-strings in f-strings are followed so far.
const MAX_NESTING: usize = 32;

/// One statement line, with what continues it.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// Blanks before it, tabs counted to the next multiple of 8.
    pub(super) indent: usize,
    pub(super) tokens: Vec<Token>,
}

/// One token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// A name, keyword or number.
    Name(String),
    /// A text; what it says, where nothing in it needs to be worked out.
    Text(Option<String>),
    /// Stands behind a text in which a character is named (`\N{BULLET}`).
    Named,
    /// Any other byte.
    Mark(u8),
}

const MARKS: &str = ".:;,=()[]{}*";

impl Token {
    pub(super) fn is_name(&self, name: &str) -> bool {
        matches!(self, Self::Name(own) if own == name)
    }

    pub(super) fn is_mark(&self, mark: u8) -> bool {
        *self == Self::Mark(mark)
    }

    /// What a text says.
    pub(super) fn literal(&self) -> Option<&str> {
        if let Self::Text(text) = self { text.as_deref() } else { None }
    }

    /// A name, what a text says, a mark; empty for others.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Name(text) | Self::Text(Some(text)) => text,
            Self::Mark(mark) => {
                let at = MARKS.bytes().position(|known| known == *mark);
                at.and_then(|at| MARKS.get(at..=at)).unwrap_or_default()
            }
            Self::Text(None) | Self::Named => "",
        }
    }
}

/// All statement lines.
pub(super) fn lines(text: &[u8]) -> Vec<Line> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut reader = Reader { text, at: 0 };
    let mut lines = Vec::new();
    while reader.at < text.len() {
        let line = reader.line();
        if !line.tokens.is_empty() {
            lines.push(line);
        }
    }
    lines
}

struct Reader<'t> {
    text: &'t [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.get(self.at + ahead).copied()
    }

    fn line(&mut self) -> Line {
        let mut line = Line::default();
        loop {
            match self.peek(0) {
                Some(b' ') => line.indent += 1,
                Some(b'\t') => line.indent = line.indent / 8 * 8 + 8,
                Some(b'\x0c') => line.indent = 0,
                _ => break,
            }
            self.at += 1;
        }
        let mut depth = 0_usize;
        while let Some(byte) = self.peek(0) {
            match byte {
                b'\n' | b'\r' => {
                    self.at += 1;
                    if depth == 0 {
                        break;
                    }
                }
                b' ' | b'\t' | b'\x0c' => self.at += 1,
                b'\\' => self.at += 1 + self.newline(1),
                b'#' => self.comment(),
                b'\'' | b'"' => self.string(&[], &mut line.tokens),
                _ if is_word(byte) => self.word(&mut line.tokens),
                _ => {
                    self.at += 1;
                    match byte {
                        b'(' | b'[' | b'{' => depth += 1,
                        b')' | b']' | b'}' => depth = depth.saturating_sub(1),
                        _ => {}
                    }
                    line.tokens.push(Token::Mark(byte));
                }
            }
        }
        line
    }

    /// Bytes of the end of line that stands `ahead`.
    fn newline(&self, ahead: usize) -> usize {
        match (self.peek(ahead), self.peek(ahead + 1)) {
            (Some(b'\r'), Some(b'\n')) => 2,
            (Some(b'\r' | b'\n'), _) => 1,
            _ => 0,
        }
    }

    fn comment(&mut self) {
        while self.peek(0).is_some_and(|byte| byte != b'\n' && byte != b'\r') {
            self.at += 1;
        }
    }

    /// A name, or the letters before a text.
    fn word(&mut self, tokens: &mut Vec<Token>) {
        let start = self.at;
        while self.peek(0).is_some_and(is_word) {
            self.at += 1;
        }
        let word = &self.text[start..self.at];
        let prefixes = word.len() <= 2 && word.iter().all(|byte| b"rRbBuUfFtT".contains(byte));
        if prefixes && matches!(self.peek(0), Some(b'\'' | b'"')) {
            self.string(&word.to_ascii_lowercase(), tokens);
        } else {
            tokens.push(Token::Name(String::from_utf8_lossy(word).into_owned()));
        }
    }

    /// A text from its first quote on.
    fn string(&mut self, prefix: &[u8], tokens: &mut Vec<Token>) {
        let start = self.at;
        let is_format = prefix.iter().any(|byte| b"ft".contains(byte));
        let quotes = self.quotes();
        let body = start + quotes;
        if is_format {
            self.format(body, 0);
            tokens.push(Token::Text(None));
            return;
        }
        let end = self.plain(start, body);
        let content = self.text.get(body..end).unwrap_or_default();
        let is_raw = prefix.contains(&b'r');
        let is_named = content.windows(3).any(|escape| escape == b"\\N{");
        let works_out = prefix.contains(&b'b') || (!is_raw && content.contains(&b'\\'));
        let text = (!works_out).then(|| String::from_utf8_lossy(content).into_owned());
        tokens.push(Token::Text(text));
        if is_named && !is_raw && !prefix.contains(&b'b') {
            tokens.push(Token::Named);
        }
    }

    /// Number of quotes that open the text that starts here: 1 or 3.
    fn quotes(&self) -> usize {
        let quote = self.peek(0);
        if self.peek(1) == quote && self.peek(2) == quote { 3 } else { 1 }
    }

    /// Whether the text that opened at `start` with so many quotes ends here.
    fn closes(&self, quote: Option<u8>, quotes: usize) -> bool {
        (0..quotes).all(|ahead| self.peek(ahead) == quote)
    }

    /// Goes behind a text without braces; where its content ends.
    fn plain(&mut self, start: usize, body: usize) -> usize {
        let (quote, quotes) = (self.text.get(start).copied(), body - start);
        self.at = body;
        while let Some(byte) = self.peek(0) {
            if self.closes(quote, quotes) {
                let end = self.at;
                self.at += quotes;
                return end;
            }
            match byte {
                // A quote behind a backslash ends nothing, in raw texts neither.
                b'\\' => self.at += 2,
                b'\n' if quotes == 1 => return self.at,
                _ => self.at += 1,
            }
        }
        self.at = self.text.len();
        self.at
    }

    /// Goes behind an f-string: texts in its braces have quotes of their own.
    fn format(&mut self, body: usize, nesting: usize) {
        let quotes = body - self.at;
        let quote = self.peek(0);
        self.at = body;
        while let Some(byte) = self.peek(0) {
            if self.closes(quote, quotes) {
                self.at += quotes;
                return;
            }
            match byte {
                b'\\' => self.at += 2,
                b'\n' if quotes == 1 => return,
                b'{' if self.peek(1) == Some(b'{') => self.at += 2,
                b'{' => {
                    self.at += 1;
                    self.braces(quote, quotes, nesting + 1);
                }
                _ => self.at += 1,
            }
        }
    }

    /// Goes behind the brace that closes one, or to the end of the f-string around it.
    fn braces(&mut self, quote: Option<u8>, quotes: usize, nesting: usize) {
        let mut depth = 0_usize;
        let mut in_format = false;
        while let Some(byte) = self.peek(0) {
            // In an expression even the same quotes open a text of its own (PEP 701).
            if in_format && self.closes(quote, quotes) {
                return;
            }
            match byte {
                b'\n' if quotes == 1 && in_format => return,
                b'}' if depth == 0 => {
                    self.at += 1;
                    return;
                }
                b'{' if in_format && nesting < MAX_NESTING => {
                    self.at += 1;
                    self.braces(quote, quotes, nesting + 1);
                }
                _ if in_format => self.at += 1,
                b':' if depth == 0 => {
                    in_format = true;
                    self.at += 1;
                }
                b'(' | b'[' | b'{' => {
                    depth += 1;
                    self.at += 1;
                }
                b')' | b']' | b'}' => {
                    depth = depth.saturating_sub(1);
                    self.at += 1;
                }
                b'#' if quotes == 3 => self.comment(),
                b'\'' | b'"' if nesting < MAX_NESTING => {
                    let body = self.at + self.quotes();
                    let is_format = self.at > 0 && b"fF".contains(&self.text[self.at - 1]);
                    if is_format {
                        self.format(body, nesting + 1);
                    } else {
                        self.plain(self.at, body);
                    }
                }
                _ => self.at += 1,
            }
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric() || byte >= 0x80
}
