//! The tree as lines.

use std::fmt::{self, Write as _};

use common::escape::Escaped;

use super::{Answer, Asked, By, Explained, distinct};
use crate::report::size::{count, size};
use crate::resolve::{Attempt, Fit, How, Load, Origin, Reason, Relation};

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Style {
    /// Levels below each program; all where `None`.
    pub depth: Option<usize>,
    /// Whether places that did not have what was found elsewhere are told too.
    pub verbose: bool,
    /// Whether what an object needs is told again wherever it is needed.
    pub repeat: bool,
}

/// Levels that are drawn; below them a line starts with the number of its level. A chain of libraries
/// may have any length, and the bars before its lines grow with its square.
const DRAWN: usize = 48;

/// Lines at most where things are repeated: in a dense closure their number doubles with every
/// level.
const MOST_LINES: usize = 100_000;

/// One line per dependency, below the object that asks; an object's own dependencies are told where
/// it is loaded first.
///
/// ```text
/// /usr/bin/app (glibc)
/// ├─ /lib64/ld-linux-x86-64.so.2 (interpreter)
/// ├─ libz.so.1 => /opt/lib/libz.so.1 -> libz.so.1.3 (RUNPATH of /usr/bin/app: $ORIGIN/../../opt/lib)
/// │  │ shadows /lib/libz.so.1 (ld.so.cache)
/// │  └─ libc.so.6 => /lib/libc.so.6 (ld.so.cache)
/// ├─ libc.so.6 (loaded already)
/// └─ libgone.so.1 => missing
///      tried /lib/libgone.so.1 (system directory): no such file
///
/// 4 files, 2.1 MB, 1 missing
/// ```
/// A name with a blank or a bracket in it stands in quotes.
pub fn text(explained: &Explained, style: Style) -> String {
    let mut text = String::new();
    for (number, program) in explained.closure.programs.iter().enumerate() {
        // What a note's object had loaded already is told with the program.
        let opened = matches!(program.origin, Origin::Note { .. }) && !program.loads.is_empty();
        if program.context.is_none() || opened {
            let mut drawing = Drawing {
                explained,
                style,
                program: number,
                text: &mut text,
                bars: vec![],
                above: vec![],
            };
            drawing.program();
            text.push('\n');
        }
    }
    summary(&mut text, explained);
    text
}

fn summary(text: &mut String, explained: &Explained) {
    let closure = &explained.closure;
    let files = closure.files().len();
    // Writing to a string cannot fail.
    let _ = write!(text, "{}, {}", count(files, "file"), size(explained.explanation.bytes()));
    for (number, what) in [(closure.missing.len(), "missing"), (closure.refused.len(), "refused")] {
        if number > 0 {
            let _ = write!(text, ", {number} {what}");
        }
    }
    text.push('\n');
}

/// One program's tree under way.
struct Drawing<'a, 't> {
    explained: &'a Explained,
    style: Style,
    program: usize,
    text: &'t mut String,
    /// For each level above, whether more follows on it.
    bars: Vec<bool>,
    /// Numbers of the loads above.
    above: Vec<Option<usize>>,
}

/// A line that waits.
struct Waiting<'a> {
    level: usize,
    more: bool,
    what: What<'a>,
}

enum What<'a> {
    /// The interpreter or a preload: not asked for by an object.
    Outside(usize, &'a Load),
    Asked(Asked<'a>),
}

impl<'a> Drawing<'a, '_> {
    fn program(&mut self) {
        let Some(program) = self.explained.closure.programs.get(self.program) else { return };
        let path = Shown(program.path.to_string());
        let _ = write!(self.text, "{path}{}", self.links(program.path.as_bytes()));
        let rules = program.rules();
        let _ = match &program.origin {
            Origin::Request { .. } => write!(self.text, " ({rules})"),
            Origin::Shebang { script } => {
                let script = Shown(script.to_string());
                write!(self.text, " ({rules}), interpreter of {script}")
            }
            Origin::Note { by, feature, priority } => {
                let (by, feature) = (Shown(by.to_string()), Escaped(feature.as_bytes()));
                write!(self.text, ", which {by} opens for its feature `{feature}` ({priority})")
            }
            Origin::Env { script } => {
                let script = Shown(script.to_string());
                write!(self.text, " ({rules}), which {script} gives to env")
            }
        };
        let owner = program.loads.first().map(|load| self.owner(load)).unwrap_or_default();
        let _ = writeln!(self.text, "{owner}");
        let outside = program.loads.iter().enumerate().filter(|(own, load)| match load.relation {
            Relation::Interpreter | Relation::Preload => true,
            // The first is what this tree is of.
            Relation::Module => *own > 0,
            _ => false,
        });
        let mut top: Vec<What<'a>> =
            outside.map(|(own, load)| What::Outside(program.first + own, load)).collect();
        top.extend(self.explained.asked(self.program, 0).into_iter().map(What::Asked));
        self.draw(top);
    }

    /// Not recursive: a chain of libraries may be any length.
    fn draw(&mut self, top: Vec<What<'a>>) {
        let mut waiting = Vec::new();
        wait(&mut waiting, 0, top);
        let mut lines = 0;
        while let Some(Waiting { level, more, what }) = waiting.pop() {
            if self.style.depth.is_some_and(|depth| level >= depth) {
                continue;
            }
            lines += 1;
            if self.style.repeat && lines > MOST_LINES {
                let _ = writeln!(self.text, "... more than {MOST_LINES} lines; try --depth");
                return;
            }
            self.bars.truncate(level);
            self.above.truncate(level);
            let number = match &what {
                What::Outside(number, _) => Some(*number),
                What::Asked(asked) => match asked.answer {
                    Answer::Found(number, _) => Some(number),
                    Answer::Already(number, ..) => Some(number).filter(|_| self.style.repeat),
                    _ => None,
                },
            };
            let below = match number {
                // What is above already is not told again below itself.
                Some(number) if number > 0 && !self.above.contains(&Some(number)) => {
                    self.below(number)
                }
                _ => Vec::new(),
            };
            let below = if self.style.depth == Some(level + 1) { Vec::new() } else { below };
            self.start(level, more);
            self.bars.push(more);
            match what {
                What::Outside(_, load) => self.outside(load, !below.is_empty()),
                What::Asked(asked) => self.asked(&asked, !below.is_empty()),
            }
            self.above.push(number);
            wait(&mut waiting, level + 1, below);
        }
    }

    /// What a load asks for. (Loads of a module's program were told with the program.)
    fn below(&self, number: usize) -> Vec<What<'a>> {
        let first = self.explained.closure.programs[self.program].first;
        let own = number.checked_sub(first);
        let asked = own.map(|own| self.explained.asked(self.program, own)).unwrap_or_default();
        asked.into_iter().map(What::Asked).collect()
    }

    /// Bars and branch before a line's own words.
    fn start(&mut self, level: usize, more: bool) {
        self.margin(level);
        if level >= DRAWN {
            let _ = write!(self.text, "[{}] ", level + 1);
        } else {
            self.text.push_str(if more { "├─ " } else { "└─ " });
        }
    }

    fn margin(&mut self, level: usize) {
        for more in self.bars.iter().take(level.min(DRAWN)) {
            self.text.push_str(if *more { "│  " } else { "   " });
        }
    }

    /// A line below the one that was drawn last, before what stands below that.
    fn note(&mut self, below: bool, words: fmt::Arguments<'_>) {
        self.margin(self.bars.len());
        self.text.push_str(if below { "│ " } else { "  " });
        let _ = writeln!(self.text, "{words}");
    }

    fn outside(&mut self, load: &Load, below: bool) {
        let (opened, links) = (Shown(load.opened.to_string()), self.links(load.opened.as_bytes()));
        let owner = self.owner(load);
        let name = Shown(load.name.to_string());
        let how = self.how(&load.how);
        let _ = if load.how == How::Path {
            writeln!(self.text, "{opened}{links} ({}){owner}", load.relation)
        } else {
            writeln!(self.text, "{name} => {opened}{links} ({}, {how}){owner}", load.relation)
        };
        self.tried(below, &load.tried);
    }

    fn asked(&mut self, asked: &Asked<'a>, below: bool) {
        let name = Shown(asked.dependency.name.to_string());
        let relation = match asked.dependency.relation {
            Relation::Needed => String::new(),
            other => other.to_string(),
        };
        let tag = if relation.is_empty() { String::new() } else { format!("{relation}, ") };
        let (instead, shadowed) = self.explained.others(asked);
        match asked.answer {
            Answer::Found(_, load) => {
                let opened = Shown(load.opened.to_string());
                let (links, how) = (self.links(load.opened.as_bytes()), self.how(&load.how));
                let owner = self.owner(load);
                // A name with a slash is the path.
                let arrow =
                    if load.name == load.opened { String::new() } else { format!("{name} => ") };
                let _ = writeln!(self.text, "{arrow}{opened}{links} ({tag}{how}){owner}");
                self.tried(below, &load.tried);
                self.fits(below, "shadows", shadowed);
            }
            Answer::Already(_, load, by) => {
                let opened = Shown(load.opened.to_string());
                let arrow = match instead {
                    Some(_) => format!(" => {opened}"),
                    None => String::new(),
                };
                let rule = match by {
                    By::Name => String::new(),
                    By::Interpreter => ", the interpreter".to_owned(),
                    By::Soname if instead.is_some() => ", by its soname".to_owned(),
                    By::Soname => format!(", the soname of {opened}"),
                    By::File => format!(", the same file as {opened}"),
                };
                let _ = writeln!(self.text, "{name}{arrow} ({tag}loaded already{rule})");
                self.fits(below, "instead of", instead.into_iter().collect());
                if self.style.verbose {
                    self.fits(below, "shadows", shadowed);
                }
            }
            Answer::Refused(refused) => {
                let path = Shown(refused.path.to_string());
                let _ = writeln!(
                    self.text,
                    "{name} => {path} ({tag}cannot be loaded: {})",
                    refused.why
                );
            }
            Answer::Missing => {
                let tag = if relation.is_empty() { relation } else { format!(" ({relation})") };
                let _ = writeln!(self.text, "{name} => missing{tag}");
                // What may be missing is missed by nobody.
                if self.style.verbose || asked.dependency.relation != Relation::Auxiliary {
                    for attempt in asked.trace.map(|t| distinct(&t.tried)).unwrap_or_default() {
                        self.place(below, "tried", attempt);
                    }
                }
            }
        }
    }

    /// Places before the one that had it: those where something of that name is, or all.
    fn tried(&mut self, below: bool, tried: &[Attempt]) {
        for attempt in distinct(tried) {
            let nothing = matches!(attempt.reason, Reason::Absent | Reason::NotFolder);
            if !nothing {
                self.place(below, "passed over", attempt);
            } else if self.style.verbose {
                self.place(below, "tried", attempt);
            }
        }
    }

    fn place(&mut self, below: bool, word: &str, attempt: &Attempt) {
        let (path, how) = (Shown(attempt.path.to_string()), self.how(&attempt.how));
        self.note(below, format_args!("{word} {path} ({how}): {}", attempt.reason));
    }

    fn fits(&mut self, below: bool, word: &str, fits: Vec<&Fit>) {
        for fit in fits {
            let (path, how) = (Shown(fit.opened.to_string()), self.how(&fit.how));
            let links = self.links(fit.opened.as_bytes());
            self.note(below, format_args!("{word} {path}{links} ({how})"));
        }
    }

    fn how(&self, how: &How) -> String {
        let program = &self.explained.closure.programs[self.program];
        match self.explained.written(program, how) {
            Some(written) => format!("{how}: {}", Shown(written.to_string())),
            None => how.to_string(),
        }
    }

    fn links(&self, opened: &[u8]) -> String {
        let mut text = String::new();
        for link in self.explained.links(opened) {
            let _ = write!(text, " -> {}", Shown(link.to_string()));
        }
        text
    }

    fn owner(&self, load: &Load) -> String {
        let Some(package) = self.explained.package(load) else { return String::new() };
        let words = package.words().into_iter().map(|word| Shown(word.to_owned()).to_string());
        format!(" [{}]", words.collect::<Vec<_>>().join(" "))
    }
}

/// Puts lines on the stack, the first to be drawn on top.
fn wait<'a>(waiting: &mut Vec<Waiting<'a>>, level: usize, lines: Vec<What<'a>>) {
    let last = lines.len().saturating_sub(1);
    let lines = lines.into_iter().enumerate().rev();
    waiting.extend(lines.map(|(at, what)| Waiting { level, more: at < last, what }));
}

/// A name on a line: in quotes where a blank or bracket in it could pass for the end of it.
struct Shown(String);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() || self.0.contains([' ', '"', '[', ']']) {
            write!(f, "\"{}\"", self.0.replace('"', "\\\""))
        } else {
            f.write_str(&self.0)
        }
    }
}
