//! Scripts as programs: their interpreters are programs of the closure too.

use std::io::Read as _;
use std::rc::Rc;

use common::tree::ImagePath;

use super::shebang::{HEAD, MAX_DEPTH, shebang};
use super::state::Engine;
use super::{Origin, ResolveError};
use crate::elf::{ElfError, Name};
use crate::spec::DEFAULT_PATH;

impl Engine<'_> {
    /// A file that is no ELF object: a script, or nothing that can be executed.
    pub(super) fn script(
        &mut self,
        path: &ImagePath,
        not_elf: Rc<ElfError>,
        depth: usize,
    ) -> Result<(), ResolveError> {
        let open = |number| ResolveError::Open {
            path: path.as_bytes().into(),
            source: std::io::Error::from(number),
        };
        let walk = self.files.sysroot.lookup(path.as_bytes()).map_err(open)?.0;
        let mut head = Vec::new();
        self.files
            .sysroot
            .open_file(&walk.real)
            .and_then(|file| file.take(HEAD as u64).read_to_end(&mut head))
            .map_err(|source| ResolveError::Open { path: path.as_bytes().into(), source })?;
        let Some(line) = shebang(&head) else {
            return Err(ResolveError::Object { path: path.clone(), source: not_elf });
        };
        let refuse = |why| ResolveError::Script { path: path.clone(), why };
        if depth >= MAX_DEPTH {
            return Err(refuse("more scripts interpret scripts than the kernel follows"));
        }
        let interpreter = ImagePath::new(&line.interpreter)
            .or_else(|_| self.files.sysroot.locate(&line.interpreter, b"").map_err(drop))
            .map_err(|()| refuse("its interpreter is no absolute path"))?;
        if !line.interpreter.starts_with(b"/") {
            return Err(refuse("its interpreter is no absolute path"));
        }
        self.note_walk(&walk);
        self.closure.scripts.push(walk.real);
        let script = path.clone();
        self.program(&interpreter, &Origin::Shebang { script: script.clone() }, depth + 1)
            .map_err(|error| wrap(path, error))?;
        if let Some(name) = line.env_program() {
            let folders = self.options.path.as_ref();
            let folders = folders.map_or(DEFAULT_PATH.as_bytes(), Name::as_bytes);
            let program =
                self.files.sysroot.locate(&name, folders).map_err(|error| wrap(path, error))?;
            self.program(&program, &Origin::Env { script }, depth + 1)
                .map_err(|error| wrap(path, error))?;
        }
        Ok(())
    }
}

/// Says which script wanted what failed.
fn wrap(script: &ImagePath, source: ResolveError) -> ResolveError {
    ResolveError::Interpreter { script: script.clone(), source: Box::new(source) }
}
