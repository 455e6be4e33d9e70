//! What a closure lacks, in words.

use std::fmt::Write as _;

use crate::elf::Name;
use crate::resolve::{Closure, Missing, Refused, Relation};

/// Every missing and refused object, in the form of an error each: the object, who needs it, every
/// place tried, and a hint. Empty when the closure is complete.
pub fn text(closure: &Closure) -> String {
    let mut text = String::new();
    for missing in &closure.missing {
        describe_missing(&mut text, missing);
    }
    for refused in &closure.refused {
        describe_refused(&mut text, refused);
    }
    text
}

fn describe_missing(text: &mut String, missing: &Missing) {
    let Missing { name, needed_by, relation, program, tried } = missing;
    // Writing to a string cannot fail.
    let _ = match needed_by {
        Some(by) => writeln!(text, "error: `{name}` is missing, {relation} by `{by}`"),
        None => writeln!(text, "error: `{name}` is missing, {relation} of `{program}`"),
    };
    if let Some(by) = needed_by.as_ref().filter(|by| *by != program) {
        let _ = writeln!(text, "  in `{program}`, which loads `{by}`");
    }
    for attempt in tried {
        let _ = writeln!(text, "  tried `{}` ({}): {}", attempt.path, attempt.how, attempt.reason);
    }
    let _ = writeln!(text, "hint: {}", missing_hint(name, *relation));
}

fn missing_hint(name: &Name, relation: Relation) -> String {
    match relation {
        Relation::Interpreter => "install the C library that the program was built for".to_owned(),
        _ if name.has_slash() => format!("install the package that ships {name}"),
        _ => {
            format!("install the package that ships {name}, or name its folder with --library-path")
        }
    }
}

fn describe_refused(text: &mut String, refused: &Refused) {
    let Refused { name, path, needed_by, program, why } = refused;
    let by = needed_by.as_ref().unwrap_or(program);
    let _ = writeln!(text, "error: `{path}` cannot be loaded as `{name}`, needed by `{by}`: {why}");
    let _ = writeln!(
        text,
        "hint: the loader would stop at this file; repair or remove it, or put another before it \
         with --library-path"
    );
}
