//! ruby: what `$LOADED_FEATURES` says after a feature was required.

use std::collections::BTreeSet;
use std::process::Command;

use builder::resolve::Sysroot;
use tests::require;

use super::{files, nothing_is_lacking, rule};

/// Prints the files that each feature of its input loads: one line a feature, after its name. Each is
/// required in a process of its own.
const ORACLE: &str = r#"
out = STDOUT.dup
STDIN.read.split.each do |name|
  child = fork do
    STDOUT.reopen("/dev/null")
    STDERR.reopen("/dev/null")
    STDIN.reopen("/dev/null")
    begin
      require name
      out.puts(([name] + $LOADED_FEATURES.grep(%r{^/usr/})).join("\t"))
    rescue Exception
    end
    out.flush
    exit!
  end
  Process.wait(child)
end
"#;

#[test]
fn every_feature_comes_with_all_that_it_loads() {
    let Some(ruby) = require::program("ruby") else { return };
    let sysroot = Sysroot::open("/".as_ref()).expect("the root");
    let whole = files("ruby", "*", &rule("ruby"), &sysroot);
    let names: BTreeSet<String> = whole.iter().filter_map(|path| feature(path)).collect();
    assert!(names.len() > 80 && names.contains("net/http"), "{names:?}");
    let mut command = Command::new(ruby);
    command.args(["-e", ORACLE]).env_clear().env("LANG", "C.UTF-8").env("HOME", "/");
    nothing_is_lacking("ruby", &mut command, &names, 80);
}

/// The feature that a file of the standard library is.
fn feature(path: &str) -> Option<String> {
    let (_, rest) = path.strip_prefix("/usr/lib/")?.split_once("ruby/3.")?;
    let (_, rest) = rest.split_once('/')?;
    let name = rest.strip_suffix(".rb").or_else(|| rest.strip_suffix(".so").map(|_| rest))?;
    // What is further below is loaded by what is above.
    let is_above = name.matches('/').count() < 2 && !name.starts_with("enc/");
    is_above.then(|| name.to_owned())
}
