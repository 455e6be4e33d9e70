//! What can go wrong between a typed image and a mounted snapshot.

use common::report::Diagnostic;

/// A failed action of the store, with its subject.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {}

impl Diagnostic for StoreError {}
