//! Bytes that are wrong somewhere: for readers that must survive whatever they are given.

/// The bytes, cut off at every length.
pub fn cuts(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    (0..bytes.len()).map(|length| &bytes[..length])
}

/// The bytes with each of them, one at a time, replaced by each extreme value.
pub fn extremes(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let values = [0, 1, 0x7f, 0x80, 0xff];
    (0..bytes.len()).flat_map(move |at| {
        values.map(|value| {
            let mut changed = bytes.to_vec();
            changed[at] = value;
            changed
        })
    })
}
