//! What was looked for in vain, and is in the root.

use super::{Case, script};

#[test]
fn what_the_root_has_and_the_image_lacks_is_named() {
    let steps = "[check]\nignore = [\"/etc/issue\"]\n".to_owned()
        + &script(
            "cat /etc/os-release /etc/issue /etc/nowhere /tmp/made 2>/dev/null; echo > /tmp/made; uname",
        );
    let Some(case) = Case::new("suspects", &steps) else { return };
    let outcome = case.check(&[]).exits(1);
    let (_, suspects) = outcome
        .text()
        .split_once("there in the root:\n")
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    let lines: Vec<&str> = suspects.lines().map(str::trim).collect();
    let [release, uname] = lines.as_slice() else { panic!("{lines:?}") };
    assert!(
        release.starts_with("/etc/os-release  (by /") && release.ends_with("/cat)"),
        "{release}"
    );
    assert!(uname.starts_with("/usr/bin/uname  (by /"), "{uname}");
}

#[test]
fn json_has_all_that_the_words_have() {
    let steps = script("cat /etc/os-release") + &script("true");
    let Some(case) = Case::new("json", &steps) else { return };
    let outcome = case.check(&["--json"]).exits(1);
    let value: serde_json::Value = serde_json::from_slice(&outcome.stdout).unwrap();
    assert_eq!((&value["holds"], &value["untried"]), (&false.into(), &1.into()));
    assert_eq!(value["steps"][0]["problem"]["got"], 1);
    assert_eq!(value["suspects"][0]["path"], "/etc/os-release");
}
