//! Canonical JSON: keys sorted, no white space, UTF-8 as it is, no trailing newline. The same value always
//! gives the same bytes, whatever order a hash map had (`oci-spec` keeps labels in one).

use serde::Serialize;

/// The canonical bytes of `value`.
pub fn canonical<T: Serialize>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
    // `serde_json::Value` keeps objects in a BTreeMap: going through it sorts every level.
    serde_json::to_vec(&serde_json::to_value(value)?)
}
