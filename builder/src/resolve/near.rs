//! Names that a person may have meant.

/// Names that are told at most.
const MOST: usize = 5;

/// Those of `known` that are much like `name`, the nearest first: with few letters changed, or with it as
/// a part.
pub(crate) fn near<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Vec<&'k str> {
    let wanted = name.to_lowercase();
    let allowed = 1 + wanted.chars().count() / 4;
    let mut found: Vec<(usize, &str)> = known
        .into_iter()
        .filter_map(|known| {
            let text = known.to_lowercase();
            if wanted.len() > 2 && text.contains(&wanted) {
                return Some((0, known));
            }
            let changes = changes(&wanted, &text);
            (changes <= allowed).then_some((changes, known))
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    found.into_iter().map(|(_, known)| known).take(MOST).collect()
}

/// Letters that must be put in, taken out or replaced to make one word of the other (Levenshtein).
fn changes(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.chars().enumerate() {
        let mut before = at;
        let mut left = at + 1;
        for (cell, other) in row.iter_mut().skip(1).zip(&other) {
            let replaced = before + usize::from(letter != *other);
            before = *cell;
            left = replaced.min(before + 1).min(left + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = at + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_counted() {
        for (one, other, count) in
            [("", "", 0), ("a", "", 1), ("", "ab", 2), ("kitten", "sitting", 3), ("ab", "ba", 2)]
        {
            assert_eq!(changes(one, other), count, "{one} {other}");
        }
    }

    #[test]
    fn near_names_are_those_that_a_person_may_have_meant() {
        let zones = ["Europe/Berlin", "Europe/Dublin", "Asia/Tokyo", "UTC"];
        for (name, expected) in [
            ("Berlin", vec!["Europe/Berlin"]),
            ("Europe/Berlim", vec!["Europe/Berlin", "Europe/Dublin"]),
            ("europe/dublin", vec!["Europe/Dublin", "Europe/Berlin"]),
            ("Mars/Phobos", vec![]),
        ] {
            assert_eq!(near(name, zones), expected, "{name}");
        }
    }
}
