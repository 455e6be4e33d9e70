//! Blocks of Python source: when the statements in them happen, and in whose place.

use super::tokens::{Line, Token};
use crate::resolve::modules::When;

/// What holds for a statement by where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Context {
    pub(super) when: When,
    /// Modules that were tried before: the statement happens where one of them cannot be imported.
    pub(super) instead_of: Vec<String>,
}

impl Default for Context {
    fn default() -> Self {
        Self { when: When::Always, instead_of: Vec::new() }
    }
}

/// The blocks around a line.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    open: Vec<Block>,
    /// The `try` that ended last, its indentation, and what it imports.
    tried: Option<(usize, Vec<String>)>,
}

#[derive(Debug)]
struct Block {
    indent: usize,
    inside: Context,
    /// Modules that are imported directly in it, if it is a `try`.
    tries: Option<Vec<String>>,
}

impl Blocks {
    /// What holds for the line, and for what is behind its colon.
    pub(super) fn enter(&mut self, line: &Line) -> (Context, Context) {
        while self.open.last().is_some_and(|block| block.indent >= line.indent) {
            if let Some(Block { indent, tries: Some(names), .. }) = self.open.pop() {
                self.tried = Some((indent, names));
            }
        }
        let around = self.open.last().map(|block| block.inside.clone()).unwrap_or_default();
        let opens = opens(&line.tokens);
        let mut inside = Context { when: around.when.max(opens), ..around.clone() };
        let catches = line.tokens.first().is_some_and(|token| token.is_name("except"));
        match &self.tried {
            Some((indent, names)) if catches && *indent == line.indent => {
                let fits = |token: &Token| {
                    token.is_name("ImportError") || token.is_name("ModuleNotFoundError")
                };
                if line.tokens.iter().any(fits) {
                    inside.instead_of.clone_from(names);
                }
            }
            _ => self.tried = None,
        }
        let tries = line.tokens.first().is_some_and(|token| token.is_name("try"));
        let tries = tries.then(Vec::new);
        self.open.push(Block { indent: line.indent, inside: inside.clone(), tries });
        (around, inside)
    }

    /// The line that was entered last imports these.
    pub(super) fn tried(&mut self, names: &[String]) {
        let Some((own, around)) = self.open.split_last_mut() else { return };
        // `try: import x` on one line, or a line of its own right inside the block.
        let block = if own.tries.is_some() { Some(own) } else { around.last_mut() };
        if let Some(tries) = block.and_then(|block| block.tries.as_mut()) {
            tries.extend_from_slice(names);
        }
    }
}

/// When what stands in the block that a line opens happens.
fn opens(tokens: &[Token]) -> When {
    let words: Vec<&str> = tokens.iter().take(6).map(Token::text).collect();
    match words.as_slice() {
        ["def", ..] | ["async", "def", ..] => When::Later,
        ["if", "__name__", "=", "=", "__main__", ":", ..] => When::AsProgram,
        _ => When::Maybe,
    }
}
