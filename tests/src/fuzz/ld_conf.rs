//! The configuration of ldconfig: what was read, written down again, is read alike.

use builder::resolve::ld_conf::{Line, parse};

/// The bytes of `/etc/ld.so.conf`.
///
/// # Panics
/// When something does not hold that must.
pub fn ld_conf(bytes: &[u8]) {
    let lines = parse(bytes);
    let mut again = Vec::new();
    for line in &lines {
        match line {
            Line::Folder(folder) => {
                let folder = folder.as_bytes();
                assert!(!folder.is_empty() && !folder.ends_with(b"/"));
                again.extend_from_slice(folder);
            }
            Line::Include(pattern) => {
                assert!(!pattern.is_empty());
                again.extend([b"include ", pattern.as_slice()].concat());
            }
        }
        again.push(b'\n');
    }
    assert!(again.iter().all(|byte| !b"#\0".contains(byte)));
    // Blanks at a line's end go before slashes do, so a folder may be left with some.
    if !again.windows(2).any(|pair| b" \t\r\x0b\x0c".contains(&pair[0]) && pair[1] == b'\n') {
        assert_eq!(parse(&again), lines);
    }
}
