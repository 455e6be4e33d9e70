//! perl: what `%INC` says after a module was loaded.

use std::collections::BTreeSet;
use std::process::Command;

use builder::resolve::Sysroot;
use tests::require;

use super::{files, nothing_is_lacking, rule};

/// Prints the files that each module of its input loads, one line a module, after its name: sources, and
/// shared objects of `DynaLoader`. Each is loaded in a process of its own.
const ORACLE: &str = r#"
$SIG{__WARN__} = sub {};
for my $name (split ' ', join '', <STDIN>) {
    my $child = open(my $out, '-|') // die;
    if ($child) { print <$out>; close $out; next }
    open STDERR, '>', '/dev/null';
    if (eval "require $name; 1") {
        print join("\t", $name, sort(grep { defined && m{^/usr/} } values %INC), @DynaLoader::dl_shared_objects), "\n";
    }
    require POSIX; STDOUT->flush; POSIX::_exit(0);
}
"#;

#[test]
fn every_module_comes_with_all_that_it_loads() {
    let Some(perl) = require::file("/usr/bin/perl") else { return };
    let sysroot = Sysroot::open("/".as_ref()).expect("the root");
    let whole = files("perl", "*", &rule("perl"), &sysroot);
    let names: BTreeSet<String> = whole.iter().filter_map(|path| module(path)).collect();
    assert!(names.len() > 200 && names.contains("JSON::PP"), "{names:?}");
    let mut command = Command::new(perl);
    command.args(["-e", ORACLE]).env_clear().env("LANG", "C.UTF-8");
    nothing_is_lacking("perl", &mut command, &names, 200);
}

/// The module that a file of the standard library is.
fn module(path: &str) -> Option<String> {
    let (_, rest) = path.strip_prefix("/usr/")?.split_once("perl/5.")?;
    let (_, rest) = rest.split_once('/')?;
    // What is further below is loaded by what is above.
    let name = rest.strip_suffix(".pm").filter(|name| name.matches('/').count() < 2)?;
    Some(name.replace('/', "::"))
}
