//! The tree as JSON: everything that is known. `docs/tree.md` describes the fields.
//!
//! Bytes that are no text are escaped so that they can be got back ([`common::escape::Escaped`]).

use common::tree::ImagePath;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Answer, Asked, By, Explained};
use crate::elf::{Name, Package};
use crate::resolve::{
    Attempt, Fit, How, Libc, Load, Missing, Origin, Processor, Program, Refused, Relation, Warning,
};

/// Version of the form: fields may be added to it, none changes its meaning.
const VERSION: u32 = 1;

/// All of it, on many lines.
///
/// # Errors
/// None in practice: every key is a string.
pub fn json(explained: &Explained) -> serde_json::Result<String> {
    let closure = &explained.closure;
    let programs = (0..closure.programs.len()).filter_map(|number| explained.program_view(number));
    let files = closure.files().into_iter();
    serde_json::to_string_pretty(&View {
        version: VERSION,
        programs: programs.collect(),
        files: files.map(|path| File { path, size: explained.explanation.size(path) }).collect(),
        bytes: explained.explanation.bytes(),
        missing: closure.missing.iter().map(|missing| explained.missing_view(missing)).collect(),
        refused: &closure.refused,
        warnings: &closure.warnings,
    })
}

#[derive(Serialize)]
struct View<'a> {
    version: u32,
    programs: Vec<ProgramView<'a>>,
    files: Vec<File<'a>>,
    bytes: u64,
    missing: Vec<MissingView<'a>>,
    refused: &'a [Refused],
    warnings: &'a [Warning],
}

#[derive(Serialize)]
struct File<'a> {
    path: &'a ImagePath,
    size: Option<u64>,
}

#[derive(Serialize)]
struct ProgramView<'a> {
    path: &'a ImagePath,
    origin: &'a Origin,
    libc: Libc,
    processor: Processor,
    system_folders: &'a [Name],
    /// Number of the program that opens this module.
    context: Option<usize>,
    loads: Vec<LoadView<'a>>,
}

#[derive(Serialize)]
struct LoadView<'a> {
    number: usize,
    name: &'a Name,
    opened: &'a Name,
    links: Vec<&'a Name>,
    path: Option<&'a ImagePath>,
    size: Option<u64>,
    soname: Option<&'a Name>,
    package: Option<Package>,
    relation: Relation,
    how: Value,
    /// The subdirectory of the folder, of a variant for some processors.
    variant: Option<&'a Name>,
    needed_by: Option<usize>,
    tried: Vec<Value>,
    dependencies: Vec<DependencyView<'a>>,
}

#[derive(Serialize)]
struct DependencyView<'a> {
    name: &'a Name,
    relation: Relation,
    answer: &'static str,
    load: Option<usize>,
    /// The requester's own search would have taken this file.
    instead_of: Option<Value>,
    /// Its search would have come to these later.
    shadows: Vec<Value>,
    /// Of what is missing or refused.
    tried: Vec<Value>,
}

#[derive(Serialize)]
struct MissingView<'a> {
    name: &'a Name,
    needed_by: Option<&'a ImagePath>,
    relation: Relation,
    program: &'a ImagePath,
    tried: Vec<Value>,
}

impl Explained {
    fn program_view(&self, number: usize) -> Option<ProgramView<'_>> {
        let program = self.closure.programs.get(number)?;
        let loads = program.loads.iter().enumerate();
        Some(ProgramView {
            path: &program.path,
            origin: &program.origin,
            libc: program.libc,
            processor: program.processor,
            system_folders: &program.system_folders,
            context: program.context,
            loads: loads.map(|(own, load)| self.load_view(number, program, own, load)).collect(),
        })
    }

    fn load_view<'a>(
        &'a self,
        number: usize,
        program: &'a Program,
        own: usize,
        load: &'a Load,
    ) -> LoadView<'a> {
        let path = self.path(load);
        let object = self.closure.objects.get(load.object);
        let asked = self.asked(number, own);
        LoadView {
            number: program.first + own,
            name: &load.name,
            opened: &load.opened,
            links: self.links(load.opened.as_bytes()),
            path,
            size: path.and_then(|path| self.explanation.size(path)),
            soname: object.and_then(|found| found.object.soname.as_ref()),
            package: self.package(load),
            relation: load.relation,
            how: self.how_view(Some(program), &load.how),
            variant: load.variant.as_ref(),
            needed_by: load.by,
            tried: self.tried_view(Some(program), &load.tried),
            dependencies: asked.iter().map(|asked| self.dependency_view(program, asked)).collect(),
        }
    }

    fn dependency_view<'a>(&'a self, program: &Program, asked: &Asked<'a>) -> DependencyView<'a> {
        let (answer, load) = match asked.answer {
            Answer::Found(number, _) => ("found", Some(number)),
            Answer::Already(number, _, by) => (by.word(), Some(number)),
            Answer::Refused(_) => ("refused", None),
            Answer::Missing => ("missing", None),
        };
        let (instead, shadowed) = self.others(asked);
        let tried = asked.trace.filter(|_| load.is_none()).map_or(&[][..], |trace| &trace.tried);
        DependencyView {
            name: &asked.dependency.name,
            relation: asked.dependency.relation,
            answer,
            load,
            instead_of: instead.map(|fit| self.fit_view(program, fit)),
            shadows: shadowed.into_iter().map(|fit| self.fit_view(program, fit)).collect(),
            tried: self.tried_view(Some(program), tried),
        }
    }

    fn missing_view<'a>(&'a self, missing: &'a Missing) -> MissingView<'a> {
        let program = self.closure.programs.iter().find(|other| other.path == missing.program);
        MissingView {
            name: &missing.name,
            needed_by: missing.needed_by.as_ref(),
            relation: missing.relation,
            program: &missing.program,
            tried: self.tried_view(program, &missing.tried),
        }
    }

    fn tried_view(&self, program: Option<&Program>, tried: &[Attempt]) -> Vec<Value> {
        let view = |attempt: &Attempt| {
            json!({
                "path": attempt.path,
                "how": self.how_view(program, &attempt.how),
                "reason": attempt.reason,
            })
        };
        tried.iter().map(view).collect()
    }

    fn fit_view(&self, program: &Program, fit: &Fit) -> Value {
        let how = self.how_view(Some(program), &fit.how);
        json!({ "opened": fit.opened, "path": fit.path, "how": how })
    }

    /// The rule and its fields in one object.
    fn how_view(&self, program: Option<&Program>, how: &How) -> Value {
        let mut view = match json!(how) {
            Value::Object(rule) => rule
                .into_iter()
                .next()
                .and_then(|(rule, fields)| Some((rule, fields.as_object()?.clone())))
                .map_or_else(Value::default, |(rule, mut fields)| {
                    fields.insert("rule".to_owned(), rule.into());
                    Value::Object(fields)
                }),
            rule => json!({ "rule": rule }),
        };
        if let Some(written) = program.and_then(|program| self.written(program, how)) {
            view["written"] = json!(written);
        }
        view
    }
}

impl By {
    /// As it is called in JSON.
    fn word(self) -> &'static str {
        match self {
            Self::Name => "already-by-name",
            Self::Soname => "already-by-soname",
            Self::File => "already-by-file",
            Self::Interpreter => "already-interpreter",
        }
    }
}
