//! One verb's options alone, for the tests of their parsers.

use clap::{Args, Parser};

#[derive(Debug, Parser)]
struct Only<A: Args> {
    #[command(flatten)]
    arguments: A,
}

/// What these words mean behind the verb; or what clap says of them.
pub(super) fn parse<A: Args>(words: &str) -> Result<A, String> {
    let words = std::iter::once("verb").chain(words.split(' '));
    Only::try_parse_from(words).map(|only| only.arguments).map_err(|error| error.to_string())
}
