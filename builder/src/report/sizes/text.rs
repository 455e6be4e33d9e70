//! [`Sizes`] on one screen.

use std::fmt::Write as _;

use common::escape::Tamed;

use super::{Large, MOST, Named, Sizes};
use crate::report::size::{count, size};

/// The report as text.
pub fn text(sizes: &Sizes) -> String {
    let mut out = String::new();
    let total = sizes.total;
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{} in {}\n", size(total.bytes), count(total.files, "file"));
    table(&mut out, "what for", &sizes.reasons, total.bytes);
    table(&mut out, "only there for", &sizes.only_for, total.bytes);
    table(&mut out, "folder", &sizes.folders, total.bytes);
    let _ = writeln!(out, "{:>9}        largest files", "size");
    for Large { path, bytes, why } in &sizes.largest {
        let (bytes, part) = (size(*bytes), percent(*bytes, total.bytes));
        let _ = writeln!(out, "{bytes:>9}  {part:>4}  {} ({})", Tamed(path), Tamed(why));
    }
    out
}

/// One line for each, the largest ten.
fn table(out: &mut String, title: &str, rows: &[Named], total: u64) {
    if rows.is_empty() {
        return;
    }
    let _ = writeln!(out, "{:>9}  {:>4}  {:>6}  {title}", "size", "", "files");
    for Named { what, share } in rows.iter().take(MOST) {
        let (bytes, files) = (share.bytes, share.files);
        let _ = writeln!(
            out,
            "{:>9}  {:>4}  {files:>6}  {}",
            size(bytes),
            percent(bytes, total),
            Tamed(what)
        );
    }
    if rows.len() > MOST {
        let _ = writeln!(out, "{:27}and {} more", "", rows.len() - MOST);
    }
    out.push('\n');
}

fn percent(part: u64, whole: u64) -> String {
    let hundredths = u128::from(part) * 100 / u128::from(whole.max(1));
    format!("{hundredths}%")
}
