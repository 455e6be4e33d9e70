//! Whether every symbol that a relocation names is defined by an object that is asked for it.
//!
//! glibc (`elf/dl-lookup.c`: `do_lookup_x`, `check_match`; `elf/dl-reloc.c`) compares versions; musl
//! (`ldso/dynlink.c`: `find_sym2`, `do_relocs`) passes over hidden ones and takes any other. Both ask
//! objects in order, and both are satisfied by a weak definition. Nothing is searched here in hash
//! tables: names that are referred to are indexed once for all scopes.
//!
//! Before 2.30, glibc insisted that the very object of the needed version defines the symbol (its bug 24741).

use std::collections::{HashMap, HashSet};

use super::facts::Facts;
use super::scope::Scope;
use super::{Problem, parts};
use crate::elf::{Binding, Name, Symbol, SymbolType, Symbols, Use, Versions};
use crate::resolve::Libc;

/// Definitions by name, of all objects, as far as somebody refers to the name.
pub(super) struct Index<'f> {
    definitions: HashMap<&'f [u8], Vec<(usize, Symbol<'f>)>>,
    /// By object: versions by their number.
    versions: Vec<Vec<Option<Wanted<'f>>>>,
}

/// Definitions of one name in one object: one for each version. libc's `pthread_cond_wait` has three; no
/// linker makes so many, and a hostile object may not make every lookup long.
const MOST_DEFINITIONS: usize = 256;

/// A version that a reference or a definition carries (`struct r_found_version`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Wanted<'f> {
    name: &'f Name,
    hash: u32,
    /// Takes no definition of another version.
    hidden: bool,
    /// The object that was linked against; none for the object's own versions.
    file: Option<&'f Name>,
}

/// What a lookup is for (`type_class`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Purpose {
    Data,
    Call,
    Copy,
}

/// How a lookup ends without a definition.
#[derive(Debug, Clone, Copy)]
enum Failure {
    Undefined,
    /// The object of the needed version does not have the symbol, and nobody asked before it has.
    NotInFile(usize),
    /// The object of the needed version has the symbol and no versions at all.
    NoVersions(usize),
}

impl<'f> Index<'f> {
    pub(super) fn new(facts: &'f Facts) -> Self {
        let all = || facts.objects.iter().map(|object| &object.symbols);
        let used = all().flat_map(Symbols::used);
        let wanted: HashSet<&[u8]> =
            used.filter(|symbol| !binds_itself(symbol, Libc::Musl)).map(|s| s.name).collect();
        let mut definitions: HashMap<&[u8], Vec<(usize, Symbol<'_>)>> = HashMap::new();
        for (object, symbols) in all().enumerate() {
            for symbol in symbols.findable() {
                // What is neither defined nor has an address is no answer to anything.
                if !(symbol.defined || symbol.valued) || !wanted.contains(symbol.name) {
                    continue;
                }
                let known = definitions.entry(symbol.name).or_default();
                let own = known.len() - known.partition_point(|&(other, _)| other < object);
                if own < MOST_DEFINITIONS {
                    known.push((object, symbol));
                }
            }
        }
        Self { definitions, versions: all().map(|symbols| versions(&symbols.versions)).collect() }
    }

    fn version(&self, object: usize, symbol: &Symbol<'_>) -> Option<Wanted<'f>> {
        let number = usize::from(symbol.version?);
        self.versions[object].get(number).copied().flatten()
    }
}

/// `l_versions`: needs first, then definitions, except that of the object itself.
fn versions(versions: &Versions) -> Vec<Option<Wanted<'_>>> {
    let needs = versions.needs.iter().flat_map(|need| {
        need.versions.iter().map(|v| {
            let (hash, hidden) = (v.hash, v.hidden);
            (v.index, Wanted { name: &v.name, hash, hidden, file: Some(&need.file) })
        })
    });
    let definitions = versions
        .definitions
        .iter()
        .flatten()
        .filter(|d| !d.base)
        .map(|d| (d.index, Wanted { name: &d.name, hash: d.hash, hidden: false, file: None }));
    let mut table = Vec::new();
    for (number, version) in needs.chain(definitions) {
        let number = usize::from(number);
        if table.len() <= number {
            table.resize(number + 1, None);
        }
        table[number] = Some(version);
    }
    table
}

/// Binds every reference of the scope's objects; returns how many there were.
pub(super) fn bind(
    scope: &Scope<'_>,
    facts: &Facts,
    index: &Index<'_>,
    problems: &mut Vec<Problem>,
) -> usize {
    let insists = parts::libc(scope)
        .and_then(|libc| parts::newest(&facts.objects[libc].symbols.versions))
        .is_some_and(|(version, _)| version.as_slice() < &[2, 30][..]);
    let mut count = 0;
    // The same is asked for by many: `malloc` by every object.
    let mut answers: HashMap<_, Option<Failure>> = HashMap::new();
    for &object in &scope.bound {
        for symbol in facts.objects[object].symbols.used() {
            if binds_itself(&symbol, scope.libc) {
                continue;
            }
            count += 1;
            // A version of hash 0 is none.
            let version = index.version(object, &symbol).filter(|version| version.hash != 0);
            let failure = purposes(symbol.used).find_map(|purpose| {
                let name = symbol.name;
                *answers.entry((name, version, purpose)).or_insert_with(|| {
                    let lookup = Lookup { scope, index, insists, name, version, purpose };
                    match scope.libc {
                        Libc::Musl => lookup.musl(),
                        Libc::Glibc | Libc::Static => lookup.glibc(),
                    }
                })
            });
            let Some(failure) = failure else { continue };
            problems.extend(problem(scope, object, &symbol, version, &failure));
        }
    }
    count
}

fn problem(
    scope: &Scope<'_>,
    object: usize,
    reference: &Symbol<'_>,
    version: Option<Wanted<'_>>,
    failure: &Failure,
) -> Option<Problem> {
    let object = scope.path(object);
    let symbol = Name::from(reference.name);
    let version = version.map(|version| version.name.clone());
    Some(match (failure, version) {
        (Failure::Undefined, _) if reference.binding == Binding::Weak && !reference.defined => {
            return None;
        }
        (Failure::NotInFile(provider), Some(version)) => {
            Problem::NotInFile { object, symbol, version, provider: scope.path(*provider) }
        }
        (Failure::NoVersions(provider), Some(version)) => {
            Problem::Unversioned { object, symbol, version, provider: scope.path(*provider) }
        }
        (_, _) if scope.libc == Libc::Musl => Problem::Undefined { object, symbol, version: None },
        (_, version) => Problem::Undefined { object, symbol, version },
    })
}

/// Whether no other object is needed for it: a local symbol, or one that the object defines itself and
/// that is found at the latest when the object itself is asked. (Nobody asks the program for what is
/// copied into it.)
fn binds_itself(symbol: &Symbol<'_>, libc: Libc) -> bool {
    // musl looks for hidden symbols by their names too.
    let local = symbol.binding == Binding::Local || (symbol.local && libc != Libc::Musl);
    let own = symbol.defined && symbol.valued && is_code_or_data(symbol) && is_seen(symbol);
    local || (own && !symbol.used.copy())
}

fn is_code_or_data(symbol: &Symbol<'_>) -> bool {
    symbol.kind != SymbolType::Other
}

fn is_seen(symbol: &Symbol<'_>) -> bool {
    matches!(symbol.binding, Binding::Global | Binding::Weak | Binding::Unique) && !symbol.local
}

fn purposes(used: Use) -> impl Iterator<Item = Purpose> {
    let data = used.data().then_some(Purpose::Data);
    let call = used.call().then_some(Purpose::Call);
    let copy = used.copy().then_some(Purpose::Copy);
    [data, call, copy].into_iter().flatten()
}

struct Lookup<'a, 'c, 'f> {
    scope: &'a Scope<'c>,
    index: &'a Index<'f>,
    /// Whether the object of the version must have the symbol.
    insists: bool,
    name: &'a [u8],
    version: Option<Wanted<'f>>,
    purpose: Purpose,
}

/// What an object says to a lookup.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// The loader takes this definition.
    Taken,
    /// It finds one and may not use it.
    Passed,
    /// It stops with an assertion.
    Stops,
}

impl<'f> Lookup<'_, '_, 'f> {
    fn candidates(&self) -> &[(usize, Symbol<'f>)] {
        self.index.definitions.get(self.name).map_or(&[], Vec::as_slice)
    }

    /// A relocation that copies does not take the program's own definition, which is its target.
    fn place(&self, object: usize) -> Option<usize> {
        let place = self.scope.place(object)?;
        (self.purpose != Purpose::Copy || place != 0).then_some(place)
    }

    fn glibc(&self) -> Option<Failure> {
        let file = self.version.and_then(|version| version.file);
        let file = file.and_then(|file| self.scope.named(file.as_bytes()));
        let mut best: Option<(usize, usize, Answer)> = None;
        let mut file_passed = false;
        for candidates in self.candidates().chunk_by(|one, other| one.0 == other.0) {
            let object = candidates[0].0;
            let Some(place) = self.place(object) else { continue };
            match self.answer(candidates, file == Some(object)) {
                Some(Answer::Passed) => file_passed |= file == Some(object),
                Some(answer) if best.is_none_or(|best| place < best.0) => {
                    best = Some((place, object, answer));
                }
                _ => {}
            }
        }
        // The object of the needed version was asked, and has no such symbol.
        if let Some(file) = file.filter(|_| self.insists)
            && !file_passed
            && let Some(place) = self.place(file)
            && best.is_none_or(|best| place < best.0)
        {
            return Some(Failure::NotInFile(file));
        }
        match best {
            Some((_, object, Answer::Stops)) => Some(Failure::NoVersions(object)),
            Some(_) => None,
            None => Some(Failure::Undefined),
        }
    }

    /// The answer of one object that has symbols of that name.
    fn answer(&self, symbols: &[(usize, Symbol<'f>)], is_file: bool) -> Option<Answer> {
        let used = |symbol: &Symbol<'_>| {
            if is_seen(symbol) { Answer::Taken } else { Answer::Passed }
        };
        // Of an unversioned reference: the symbols of a version that are not hidden.
        let mut versioned = Vec::new();
        for (object, symbol) in symbols {
            let thread_local = symbol.kind == SymbolType::ThreadLocal;
            if !symbol.valued && !symbol.absolute && !thread_local
                || self.purpose == Purpose::Call && !symbol.defined
                || !is_code_or_data(symbol)
            {
                continue;
            }
            let Some(number) = symbol.version else {
                // check_match asserts that what is linked against versions of an object finds some.
                return Some(if is_file { Answer::Stops } else { used(symbol) });
            };
            match self.version {
                Some(wanted) => {
                    let own = self.index.version(*object, symbol);
                    let same =
                        own.is_some_and(|own| own.hash == wanted.hash && own.name == wanted.name);
                    let default = own.is_none_or(|own| own.hash == 0);
                    if same || !wanted.hidden && default && !symbol.hidden {
                        return Some(used(symbol));
                    }
                }
                // Numbers below 3: local, global, and the first version.
                None if number < 3 => return Some(used(symbol)),
                None if !symbol.hidden => versioned.push(symbol),
                None => {}
            }
        }
        // Without a version, only what is not ambiguous.
        match versioned.as_slice() {
            [only] => Some(used(only)),
            _ => None,
        }
    }

    fn musl(&self) -> Option<Failure> {
        let found = self.candidates().iter().any(|(object, symbol)| {
            let thread_local = symbol.kind == SymbolType::ThreadLocal;
            self.place(*object).is_some()
                && !symbol.hidden
                && (symbol.defined || (self.purpose != Purpose::Call && !thread_local))
                && (symbol.valued || thread_local)
                && !matches!(symbol.kind, SymbolType::Other | SymbolType::Indirect)
                && matches!(symbol.binding, Binding::Global | Binding::Weak | Binding::Unique)
        });
        (!found).then_some(Failure::Undefined)
    }
}
