//! What is fuzzed: for each kind of bytes that others write, one function that takes any bytes.
//!
//! Each reads the bytes as `coracle` would, and checks what must hold whatever they are. `tests/fuzz`
//! hands them what libFuzzer makes up; the suite `corpus` hands them the inputs that are kept in
//! `tests/fuzz/corpus`, in every run of the tests.
//!
//! ```text
//! elf           headers, dynamic sections, strings, symbols; also as the start of a file of 1 TiB
//! imports       a script, as each language reads it
//! notes         a note segment
//! ld_cache      /etc/ld.so.cache
//! ld_conf       /etc/ld.so.conf
//! shebang       the first line of a script, and the words of env -S
//! loader_facts  read-only data of a loader
//! locale_archive  glibc's file of all locales
//! module_list   a list of modules that a library's tool has made
//! closure       a whole root: objects, links, a cache, and what is asked of them
//! ```

mod closure;
mod elf;
mod imports;
mod input;
mod ld_cache;
mod ld_conf;
mod loader_facts;
mod locale_archive;
mod module_list;
mod notes;
mod shebang;

pub use closure::closure;
pub use elf::elf;
pub use imports::imports;
pub use ld_cache::ld_cache;
pub use ld_conf::ld_conf;
pub use loader_facts::loader_facts;
pub use locale_archive::locale_archive;
pub use module_list::module_list;
pub use notes::notes;
pub use shebang::shebang;

/// A target's name, and its function.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 10] = [
    ("closure", closure),
    ("elf", elf),
    ("imports", imports),
    ("ld_cache", ld_cache),
    ("ld_conf", ld_conf),
    ("loader_facts", loader_facts),
    ("locale_archive", locale_archive),
    ("module_list", module_list),
    ("notes", notes),
    ("shebang", shebang),
];
