//! `Walk`: from the first imports to everything that they lead to, each module once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use common::tree::ImagePath;

use super::library::MAX_SOURCE;
use super::{Dialect, Import, Kind, Library, Memory, Unit, When};
use crate::resolve::rules::LanguageRule;
use crate::resolve::{Because, Cause};

/// What leads to a module first is why it is there.
#[derive(Debug)]
pub(super) struct Shipped {
    pub(super) unit: Unit,
    pub(super) because: Because,
}

/// How far imports are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    /// What happens as modules are loaded: enough for an interpreter to start.
    Loading,
    /// What their functions import as well.
    Calling,
}

/// One walk over the modules of one interpreter.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    pub(super) dialect: &'a dyn Dialect,
    pub(super) library: &'a Library<'a>,
    pub(super) rule: &'a LanguageRule,
    pub(super) memory: &'a Memory,
    /// Names of modules that come with the application, from wherever.
    pub(super) provided: &'a BTreeSet<Vec<u8>>,
    queue: VecDeque<(Import, Because, Reach)>,
    /// By name, whether it was found, and how far it was followed.
    known: BTreeMap<String, (bool, Reach)>,
    /// How far files were followed.
    reached: BTreeMap<ImagePath, Reach>,
    pub(super) shipped: BTreeMap<ImagePath, Shipped>,
    /// Source, and module that it needs and nothing has.
    pub(super) missing: BTreeSet<(ImagePath, String)>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        dialect: &'a dyn Dialect,
        library: &'a Library<'a>,
        rule: &'a LanguageRule,
        memory: &'a Memory,
        provided: &'a BTreeSet<Vec<u8>>,
    ) -> Self {
        Self {
            dialect,
            library,
            rule,
            memory,
            provided,
            queue: VecDeque::new(),
            known: BTreeMap::new(),
            reached: BTreeMap::new(),
            shipped: BTreeMap::new(),
            missing: BTreeSet::new(),
        }
    }

    /// Wants a module, and what it imports as it is loaded.
    pub(super) fn start_with(&mut self, name: &str, because: Because) {
        self.queue.push_back((Import::maybe(name), because, Reach::Loading));
        self.run();
    }

    /// Wants a module, and all that it imports. Whether there is such a module.
    pub(super) fn want(&mut self, import: Import, because: Because) -> bool {
        let name = import.name.clone();
        self.queue.push_back((import, because, Reach::Calling));
        self.run();
        self.is_known(&name)
    }

    /// Wants a module as the program. Whether there is such a module.
    pub(super) fn want_to_run(&mut self, name: &str, because: &Because) -> bool {
        for import in self.dialect.run(name) {
            self.want(import, because.clone());
        }
        let units: Vec<Unit> = self.dialect.find(name, self.library).units;
        for unit in units.iter().filter(|unit| unit.name == name) {
            let mut imports = self.imports(unit).to_vec();
            imports.retain(|import| import.when == When::AsProgram);
            self.source(&unit.path, imports, because);
        }
        self.is_known(name)
    }

    /// Wants what a source imports that is in the image already.
    pub(super) fn source(&mut self, path: &ImagePath, imports: Vec<Import>, because: &Because) {
        self.follow(path, imports, because, Reach::Calling);
        self.run();
    }

    fn is_known(&self, name: &str) -> bool {
        self.known.get(name).is_some_and(|(found, _)| *found)
    }

    fn run(&mut self) {
        while let Some((import, because, reach)) = self.queue.pop_front() {
            let found = match self.known.get(&import.name) {
                Some(&(found, reached)) if reached >= reach => found,
                _ => self.find(&import, &because, reach),
            };
            let needed = import.when == When::Always;
            if !found && needed && !self.is_made(&import.name) {
                self.missing.insert((because.trigger, import.name));
            }
        }
    }

    fn find(&mut self, import: &Import, because: &Because, reach: Reach) -> bool {
        let name = import.name.as_str();
        let found = self.dialect.find(name, self.library);
        let known = found.whole || self.rule.is_built_in(name);
        self.known.insert(name.to_owned(), (known, reach));
        if found.units.is_empty() && known {
            self.follow(&because.trigger, self.hidden(name, reach), because, reach);
        }
        for unit in found.units {
            self.take(unit, import.when, because, reach);
        }
        known
    }

    fn take(&mut self, unit: Unit, when: When, because: &Because, reach: Reach) {
        if self.reached.get(&unit.path).is_some_and(|reached| *reached >= reach) {
            return;
        }
        self.reached.insert(unit.path.clone(), reach);
        let mut imports = self.imports(&unit).to_vec();
        imports.retain(|import| match import.when {
            When::Always | When::Maybe => true,
            When::Later => reach == Reach::Calling,
            When::AsProgram => false,
        });
        imports.retain(|import| {
            import.when != When::Later || !self.rule.is_lazy(&unit.name, &import.name)
        });
        let is_standard = self.library.is_standard(&unit.path);
        if is_standard {
            imports.retain(|import| self.happens(import));
        }
        // Nothing is missed by what may never be loaded. And what an installation has of the standard
        // library is the distribution's decision.
        for import in imports.iter_mut().filter(|_| is_standard || when != When::Always) {
            import.when = import.when.max(When::Maybe);
        }
        imports.extend(self.hidden(&unit.name, reach));
        self.follow(&unit.path, imports, because, reach);
        let because = match &because.cause {
            Cause::Import { .. } => because.importing(&because.trigger, &unit.name),
            _ => because.clone(),
        };
        self.shipped.entry(unit.path.clone()).or_insert(Shipped { unit, because });
    }

    /// Whether what an import stands in for cannot be had.
    fn happens(&self, import: &Import) -> bool {
        let has = |name: &String| {
            self.rule.is_built_in(name) || self.dialect.find(name, self.library).whole
        };
        import.instead_of.is_empty() || !import.instead_of.iter().all(has)
    }

    /// What a file of the image imports is looked for as well.
    fn follow(&mut self, by: &ImagePath, imports: Vec<Import>, because: &Because, reach: Reach) {
        for import in imports {
            let because = because.importing(by, &import.name);
            self.queue.push_back((import, because, reach));
        }
    }

    /// What a module imports without saying so in a source.
    fn hidden(&self, name: &str, reach: Reach) -> Vec<Import> {
        let names = self.rule.hidden.get(name).filter(|_| reach == Reach::Calling);
        let names = names.into_iter().flatten();
        names.map(|name| Import::maybe(name)).collect()
    }

    fn imports(&self, unit: &Unit) -> Rc<[Import]> {
        if unit.kind == Kind::Data {
            return Rc::new([]);
        }
        self.memory.imports(unit, || {
            let bytes = self.library.read(&unit.path, MAX_SOURCE).unwrap_or_default();
            self.dialect.imports(unit, &bytes, self.library)
        })
    }

    /// Whether a module that has no file comes with the application, or is made by a package that is there.
    fn is_made(&self, name: &str) -> bool {
        let first = name.split(['.', ':', '/']).next().unwrap_or(name);
        let package = self.dialect.find(first, self.library);
        self.provided.contains(first.as_bytes()) || first != name && package.whole
    }
}
