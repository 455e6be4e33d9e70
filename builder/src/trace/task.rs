//! `Task`: one thread of the tree, and what it is in the middle of.

use std::fs;
use std::rc::Rc;

use common::tree::ImagePath;
use nix::unistd::Pid;
use rustix::fs::OFlags;
use rustix::io::Errno;
use tracee::{Call, Resume};

use super::calls::{self, Act, Flags, Row};
use super::place::{self, View};
use super::record::{Question, Record};

/// One thread.
#[derive(Debug, Clone, Default)]
pub(super) struct Task {
    /// The program that it runs, by the path by which it was executed; `None` before its first.
    program: Option<Rc<ImagePath>>,
    /// It has changed its root: its paths mean something else from then on.
    strayed: bool,
    /// The call that it is in, if its end counts.
    pending: Option<(ImagePath, Question)>,
}

impl Task {
    /// One that this one has made.
    pub(super) fn child(&self) -> Self {
        Self { pending: None, ..self.clone() }
    }

    /// The program that it runs, once it has become what it was started for.
    pub(super) fn program(&self) -> Option<&ImagePath> {
        self.program.as_deref()
    }

    /// It stands before a call. How it goes on.
    pub(super) fn call(&mut self, thread: Pid, call: &Call, record: &mut Record) -> Resume {
        self.pending = None;
        let Some(row) = calls::of(call).filter(|_| !self.strayed) else { return Resume::Run };
        let argument = |number: usize| call.arguments.get(number).copied().unwrap_or_default();
        let place = argument(row.path);
        let view = View(thread);
        let (path, question) = match row.act {
            Act::List => {
                if let (Some(program), Some(folder)) = (&self.program, view.descriptor(place)) {
                    record.list(program, folder);
                }
                return Resume::Run;
            }
            Act::Socket { makes } => {
                let path = place::socket(thread, place, argument(2));
                let path = path.and_then(|text| view.path(None, &text));
                (path, if makes { Question::Make } else { Question::Speak })
            }
            _ => {
                let text = place::text(thread, place);
                if let (Err(Errno::PERM), Some(program)) = (&text, &self.program) {
                    record.notes.insert(format!(
                        "`{program}` hides its memory; what it opened is recorded for root only"
                    ));
                }
                let text = text.unwrap_or_default();
                let path = view.path(row.folder.map(argument), &text);
                let question = path.as_ref().map(|path| question(thread, row, call, path));
                (path, question.unwrap_or(Question::Look))
            }
        };
        let path = match (path, row.act) {
            (Some(path), _) => path,
            // By a descriptor alone: which file that is, is known when it runs.
            (None, Act::Execute | Act::Root) => ImagePath::root(),
            (None, _) => return Resume::Run,
        };
        match &self.program {
            Some(program) if record.knows(program, &path, question) => return Resume::Run,
            None if question != Question::Execute => return Resume::Run,
            _ => {}
        }
        self.pending = Some((path, question));
        Resume::ToCallEnd
    }

    /// Its call has ended.
    pub(super) fn call_end(&mut self, said: Result<u64, Errno>, record: &mut Record) {
        let Some((path, question)) = self.pending.take() else { return };
        let Some(program) = &self.program else { return };
        if question == Question::Root && said.is_ok() {
            self.strayed = true;
            record.notes.insert(format!(
                "`{program}` changed its root; what it opened after that is not recorded"
            ));
            return;
        }
        record.answer(program, path, question, said);
    }

    /// It runs another program.
    pub(super) fn execute(&mut self, thread: Pid, record: &mut Record) {
        let named = self.pending.take().filter(|(_, question)| *question == Question::Execute);
        // The `coracle` that becomes the command may still be about to be executed itself: it is seized
        // as early as that. No filter has seen that call.
        if self.strayed || (self.program.is_none() && named.is_none()) {
            return;
        }
        let view = View(thread);
        let proc = |path: &ImagePath| path.as_bytes().starts_with(b"/proc/");
        let named = named.map(|(path, _)| path).filter(|path| path.parent().is_some());
        // `/proc/self/exe` and its like name whatever they lead to.
        let Some(program) = named.filter(|path| !proc(path)).or_else(|| view.program()) else {
            return;
        };
        if let Some((class, machine)) = header(thread)
            && !calls::are_seen(class, machine)
        {
            record.notes.insert(format!(
                "`{program}` is a program of another architecture; what it opened is not recorded"
            ));
        }
        record.execute(program.clone());
        self.program = Some(Rc::new(program));
    }
}

/// What a call asks of its path.
fn question(thread: Pid, row: &Row, call: &Call, path: &ImagePath) -> Question {
    let argument = |number: usize| call.arguments.get(number).copied().unwrap_or_default();
    let flags = match row.act {
        Act::Open(Flags::Create) => OFlags::CREATE | OFlags::TRUNC | OFlags::WRONLY,
        Act::Open(Flags::Argument(number)) => open_flags(argument(number)),
        Act::Open(Flags::Behind(number)) => {
            open_flags(place::word(thread, argument(number)).unwrap_or_default())
        }
        Act::Execute => return Question::Execute,
        Act::Make => return Question::Make,
        Act::Root => return Question::Root,
        Act::Look | Act::List | Act::Socket { .. } => return Question::Look,
    };
    // A file without a name, in this folder.
    if flags.contains(OFlags::TMPFILE) {
        return Question::Look;
    }
    let absent = || rustix::fs::lstat(path.as_path()).is_err();
    let writes = flags & OFlags::RWMODE == OFlags::WRONLY
        || flags.contains(OFlags::TRUNC)
        || (flags.contains(OFlags::CREATE) && absent());
    Question::Open { writes }
}

fn open_flags(argument: u64) -> OFlags {
    OFlags::from_bits_retain(u32::try_from(argument & 0xffff_ffff).unwrap_or_default())
}

/// Class and machine of the program that a thread runs (`elf(5)`).
fn header(thread: Pid) -> Option<(u8, u16)> {
    let file = fs::File::open(format!("/proc/{thread}/exe")).ok()?;
    let mut bytes = [0; 20];
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut bytes, 0).ok()?;
    let [_, _, _, _, class, .., low, high] = bytes;
    Some((class, u16::from_le_bytes([low, high])))
}
