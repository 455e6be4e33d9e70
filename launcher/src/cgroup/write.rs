//! Writing the limits of one group: all of them, or, for a container that runs, none.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::folder::{self, read};
use super::{CgroupError, Limit, Setting, realtime};

/// Writes every setting, in order. One that the kernel refuses because of another (a memory limit above the limit of
/// memory and swap, a period too short for the old quota) is tried again after the others.
pub(super) fn all(group: &Path, settings: &[Setting]) -> Result<(), CgroupError> {
    let mut later = Vec::new();
    let mut last = Last::default();
    for setting in settings {
        match one(group, setting, &mut last) {
            Err(CgroupError::Write { source, .. }) if hangs_on_another(&source) => {
                later.push(setting);
            }
            done => done?,
        }
    }
    let budget = |setting: &Setting| setting.limit == Limit::CpuRealtime;
    let room = later.iter().any(|it| budget(it)) && realtime::make_room(group, settings)?;
    // In the order in which they were refused: a single one fails as it did before.
    later.into_iter().try_for_each(|setting| {
        let mut write = || one(group, setting, &mut last);
        if room && budget(setting) { realtime::patiently(write) } else { write() }
    })
}

/// The file that was written last: some take a line for each device, one a write.
#[derive(Default)]
struct Last(Option<(PathBuf, File)>);

impl Last {
    /// Writes without creating ([`folder::write`]).
    fn write(&mut self, path: &Path, value: &str) -> io::Result<()> {
        if !matches!(&self.0, Some((last, _)) if last == path) {
            self.0 = Some((path.to_owned(), OpenOptions::new().write(true).open(path)?));
        }
        self.0.as_ref().map_or(Ok(()), |(_, file)| file.write_all_at(value.as_bytes(), 0))
    }
}

/// EBUSY is v1's answer to a limit below what is used, which another order does not change but costs nothing to ask again.
fn hangs_on_another(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::INVAL | Errno::BUSY))
}

fn one(group: &Path, setting: &Setting, last: &mut Last) -> Result<(), CgroupError> {
    let limit = setting.limit;
    for (file, value) in &setting.choices {
        let path = group.join(file);
        match last.write(&path, value) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => {
                return Err(CgroupError::Write { limit, path, value: value.clone(), source });
            }
        }
    }
    if setting.optional {
        return Ok(());
    }
    let first = setting.choices.first().map(|(file, _)| file.as_str()).unwrap_or_default();
    Err(CgroupError::Missing { limit, path: group.join(first) })
}

/// What stood in the files of some settings, to be written back when a later one is refused.
#[derive(Debug, Default)]
pub(super) struct Undo(Vec<(PathBuf, String)>);

impl Undo {
    /// Remembers what these settings are about to overwrite.
    pub(super) fn remember(&mut self, group: &Path, settings: &[Setting]) {
        for setting in settings {
            let found = setting.choices.iter().find_map(|(file, value)| {
                let path = group.join(file);
                let old = read(&path).ok()?;
                let old = previous(file, &old, value)?;
                Some((path, old))
            });
            self.0.extend(found);
        }
    }

    /// Writes it back. The order that was wrong forwards can be wrong backwards, so twice.
    pub(super) fn apply(self) {
        for _ in 0..2 {
            for (path, value) in self.0.iter().rev() {
                folder::write(path, value).ok();
            }
        }
    }
}

/// What has to be written to get the old state of a file back. Files with a line for each device are given back the one
/// line that was about to change, or the word for "no limit" where there was none.
fn previous(file: &str, old: &str, value: &str) -> Option<String> {
    let device = value.split_once(' ').map(|(first, _)| first).filter(|first| first.contains(':'));
    let Some(device) = device else {
        let mut lines = old.lines();
        let line = lines.next().unwrap_or_default();
        // More lines than one are a table whose keys are not known here.
        return lines.next().is_none().then(|| line.to_owned());
    };
    let line = old.lines().find(|line| line.split_once(' ').is_some_and(|(d, _)| d == device));
    match (line, file) {
        (Some(line), _) => Some(line.to_owned()),
        (None, "io.max") => Some(format!("{device} rbps=max wbps=max riops=max wiops=max")),
        (None, file) if file.starts_with("blkio.throttle.") => Some(format!("{device} 0")),
        (None, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stood_there_can_be_written_back() {
        for (file, old, value, expected) in [
            ("memory.max", "max\n", "100", Some("max")),
            ("cpu.max", "max 100000\n", "5000 100000", Some("max 100000")),
            ("io.max", "8:0 rbps=1 wbps=max\n8:16 rbps=2\n", "8:16 wbps=9", Some("8:16 rbps=2")),
            ("io.max", "", "8:0 rbps=1", Some("8:0 rbps=max wbps=max riops=max wiops=max")),
            ("blkio.throttle.read_bps_device", "", "8:0 4096", Some("8:0 0")),
            ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\n", "1", None),
        ] {
            assert_eq!(previous(file, old, value).as_deref(), expected, "{file} {value}");
        }
    }
}
