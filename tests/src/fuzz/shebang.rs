//! First lines of scripts: the kernel's cut, and what `env` makes of it.

use builder::resolve::shebang;

/// The first bytes of a file; also as what stands behind `env -S`.
///
/// # Panics
/// When something does not hold that must.
pub fn shebang(bytes: &[u8]) {
    check(bytes);
    check(&[b"#!", bytes].concat());
    check(&[b"#!/usr/bin/env -S ", bytes].concat());
}

fn check(head: &[u8]) {
    let Some(line) = shebang::shebang(head) else { return };
    let interpreter = line.interpreter.as_slice();
    assert!(!interpreter.is_empty() && interpreter.len() < shebang::HEAD);
    assert!(interpreter.iter().all(|byte| !b" \t\n\0".contains(byte)));
    let argument = line.argument.clone().unwrap_or_default();
    assert!(argument.iter().all(|byte| !b"\n\0".contains(byte)));
    assert!(line.argument.is_none() || !b" \t".contains(&argument[0]));
    // Written down again it is the same, unless it ends where the kernel stops reading.
    let again = [b"#!", interpreter, b" ", &argument, b"\n"].concat();
    if again.len() <= shebang::HEAD && !argument.ends_with(b" ") && !argument.ends_with(b"\t") {
        assert_eq!(shebang::shebang(&again), Some(line.clone()));
    }
    if let Some(program) = line.env_program() {
        assert!(program.len() <= argument.len(), "the program is longer than its line");
    }
}
