//! Whether glibc's own parts are of one build: they talk to each other by interfaces that change
//! with every build, under the one version `GLIBC_PRIVATE`.
//!
//! Compared are the lines by which the library and the loader introduce themselves, which name the
//! distribution's revision; and that no part defines a newer `GLIBC_2.x` than the library. That every
//! `GLIBC_PRIVATE` symbol of a part is there is found by binding.

use super::Problem;
use super::facts::{Facts, is_libc};
use super::scope::Scope;
use crate::elf::{Name, Versions};

pub(super) fn check(scope: &Scope<'_>, facts: &Facts, problems: &mut Vec<Problem>) {
    let Some(libc) = libc(scope) else { return };
    let build = |object: usize| facts.objects[object].build.as_ref();
    if let Some(loader) = scope.interpreter
        && let (Some(libc_build), Some(build)) = (build(libc), build(loader))
        && libc_build != build
    {
        problems.push(Problem::Builds {
            libc: scope.path(libc),
            libc_build: libc_build.clone(),
            part: scope.path(loader),
            build: build.clone(),
        });
    }
    let versions = |object: usize| &facts.objects[object].symbols.versions;
    let Some(newest) = newest(versions(libc)) else { return };
    for &part in &scope.bound {
        if part != libc
            && is_part(versions(part))
            && let Some(version) = self::newest(versions(part))
            && version.0 > newest.0
        {
            problems.push(Problem::Builds {
                libc: scope.path(libc),
                libc_build: newest.1.clone(),
                part: scope.path(part),
                build: version.1.clone(),
            });
        }
    }
}

/// The C library of a scope.
pub(super) fn libc(scope: &Scope<'_>) -> Option<usize> {
    scope.order.iter().copied().find(|&object| is_libc(&scope.closure.objects[object]))
}

/// Whether an object belongs to glibc: it defines versions of glibc, or needs what is private to it.
pub(super) fn is_part(versions: &Versions) -> bool {
    let needs = versions.needs.iter().flat_map(|need| &need.versions);
    let mut defined = versions.definitions.iter().flatten();
    needs.into_iter().any(|version| version.name.as_bytes() == b"GLIBC_PRIVATE")
        || defined.any(|version| version.name.as_bytes().starts_with(b"GLIBC_"))
}

/// The newest `GLIBC_2.x` that an object defines.
pub(super) fn newest(versions: &Versions) -> Option<(Vec<u32>, &Name)> {
    let definitions = versions.definitions.iter().flatten().filter(|version| !version.base);
    definitions.filter_map(|v| Some((numbers(&v.name, b"GLIBC_")?, &v.name))).max()
}

/// The numbers behind a prefix: `GLIBC_2.2.5` is 2, 2, 5.
pub(super) fn numbers(name: &Name, prefix: &[u8]) -> Option<Vec<u32>> {
    let rest = std::str::from_utf8(name.as_bytes().strip_prefix(prefix)?).ok()?;
    rest.split('.').map(|number| number.parse().ok()).collect()
}
