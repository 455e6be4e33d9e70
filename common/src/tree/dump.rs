//! A tree as text, one line per path: `mode uid:gid kind size path [-> target]`.

use super::Tree;

/// The whole tree.
pub fn dump<C>(tree: &Tree<C>) -> String {
    let _ = tree;
    todo!()
}
