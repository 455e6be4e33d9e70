//! The program is found along `PATH`, inside the container, and executed.

use std::ffi::{CStr, CString, NulError};

use rustix::fs::{Access, AtFlags, CWD, accessat};
use rustix::io::Errno;

use super::Step;
use super::step::{Done, Failure};
use crate::sys::exec::{Strings, exec};

/// Where `PATH` is not set: what Docker sets.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The paths at which the program may be, as execvp(3) tries them: itself when there is a slash in its name, else below each
/// folder of `PATH` (an empty one is the working directory).
pub(super) fn candidates(
    program: Option<&String>,
    environment: &[String],
) -> Result<Vec<CString>, NulError> {
    let Some(program) = program.filter(|program| !program.is_empty()) else {
        return Ok(Vec::new());
    };
    if program.contains('/') {
        return Ok(vec![CString::new(program.as_str())?]);
    }
    let path = environment.iter().find_map(|entry| entry.strip_prefix("PATH="));
    path.unwrap_or(DEFAULT_PATH)
        .split(':')
        .map(|folder| match folder {
            "" => CString::new(format!("./{program}")),
            folder => CString::new(format!("{}/{program}", folder.trim_end_matches('/'))),
        })
        .collect()
}

/// Whether there is a program to be executed, as far as can be seen before: callers of `create` want to know then.
pub(super) fn find(candidates: &[CString], arguments: &Strings) -> Done {
    if arguments.get().is_empty() {
        // Nobody starts what has no program.
        return Ok(());
    }
    let mut denied = None;
    for path in candidates {
        match accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS) {
            Ok(()) if is_file(path) => return Ok(()),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG) => {}
            Ok(()) | Err(Errno::ACCESS) => denied = denied.or(Some(path)),
            // A filter may forbid to ask.
            Err(_) => return Ok(()),
        }
    }
    Err(missing(denied, arguments))
}

/// Tries the candidates one after another; returns only to say why none could be executed.
pub(super) fn execute(
    candidates: &[CString],
    arguments: &Strings,
    environment: &Strings,
) -> Failure {
    let mut denied = None;
    for path in candidates {
        match exec(path, arguments, environment) {
            Errno::NOENT if exists(path) => {
                return failure(Step::Interpreter, path, Errno::NOENT);
            }
            Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG => {}
            // Another folder may have one that can be executed (execvp(3)).
            Errno::ACCESS => denied = denied.or(Some(path)),
            errno => return failure(Step::Exec, path, errno),
        }
    }
    missing(denied, arguments)
}

/// None of the candidates is a program.
fn missing(denied: Option<&CString>, arguments: &Strings) -> Failure {
    match (denied, arguments.get().first()) {
        (Some(path), _) => failure(Step::Exec, path, Errno::ACCESS),
        (None, Some(name)) => failure(Step::Find, name, Errno::NOENT),
        (None, None) => failure(Step::Find, c"", Errno::NOENT),
    }
}

fn is_file(path: &CStr) -> bool {
    rustix::fs::stat(path).is_ok_and(|stat| {
        rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::RegularFile
    })
}

/// Whether the file itself is there, so that what exec did not find is what it asks to be run by.
fn exists(path: &CStr) -> bool {
    accessat(CWD, path, Access::EXISTS, AtFlags::empty()).is_ok()
}

fn failure(step: Step, path: &CStr, errno: Errno) -> Failure {
    Failure { step, object: path.to_string_lossy().into_owned(), errno }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_looked_for_as_execvp_does() {
        let check = |program: &str, environment: &[&str], expected: &[&str]| {
            let environment: Vec<String> =
                environment.iter().map(|&entry| entry.to_owned()).collect();
            let found = candidates(Some(&program.to_owned()), &environment).unwrap();
            let found: Vec<&str> = found.iter().map(|path| path.to_str().unwrap()).collect();
            assert_eq!(found, expected, "{program}");
        };
        check("/bin/a", &["PATH=/x"], &["/bin/a"]);
        check("./a", &["PATH=/x"], &["./a"]);
        check("a", &["X=1", "PATH=/x:/y/:"], &["/x/a", "/y/a", "./a"]);
        check("a", &["PATH="], &["./a"]);
        check(
            "a",
            &[],
            &[
                "/usr/local/sbin/a",
                "/usr/local/bin/a",
                "/usr/sbin/a",
                "/usr/bin/a",
                "/sbin/a",
                "/bin/a",
            ],
        );
        check("", &[], &[]);
    }
}
