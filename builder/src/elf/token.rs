//! Dynamic string tokens (`ld.so(8)`, "Dynamic string tokens").

/// Values for the tokens; `None` is a token without a value, which drops what it stands in.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tokens<'a> {
    /// `$ORIGIN`: folder of the object.
    pub origin: Option<&'a [u8]>,
    /// `$LIB`: compiled into the loader.
    pub lib: Option<&'a [u8]>,
    /// `$PLATFORM`: the processor's name, from the kernel.
    pub platform: Option<&'a [u8]>,
}

/// What became of a string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expanded {
    /// Every token had a value.
    Value(Vec<u8>),
    /// A known token has no value here: the loader drops the whole string.
    Dropped,
}

/// Whether a known token stands in `string`.
pub fn has_token(string: &[u8]) -> bool {
    let _ = string;
    todo!()
}

/// Replaces the known tokens. An unknown `$X` stays as it is.
pub fn expand(string: &[u8], tokens: Tokens<'_>) -> Expanded {
    let _ = (string, tokens);
    todo!()
}
