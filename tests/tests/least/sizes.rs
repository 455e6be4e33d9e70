//! `build --report` and `inspect --sizes`.

use tests::outcome::run;
use tests::scratch::Scratch;

use super::app;

#[test]
fn an_image_says_what_takes_its_room() {
    let scratch = Scratch::new("sizes");
    let Some(()) = app(&scratch) else { return };
    let build = ["build", "--rules", "rules", "./app", "--report"];
    let said = run(scratch.coracle().args(build)).ok().text();
    let (_, report) = said.split_once("\n\n").unwrap();
    let inspected = run(scratch.coracle().args(["inspect", "--sizes", "app"])).ok().text();
    assert_eq!(report, inspected);
    let planned = run(scratch.coracle().args(build).arg("--dry-run")).ok().text();
    assert_eq!(planned, inspected);
    let rule = |text: &str| {
        let line = text.lines().find(|line| line.ends_with("  rule test")).map(str::to_owned);
        line.unwrap_or_else(|| panic!("no rule in {text}"))
    };
    // Three plain files, two plug-ins, and the library that only one of them needs.
    assert!(rule(&inspected).contains(" 6  rule test"), "{inspected}");

    let json = run(scratch.coracle().args(["inspect", "--sizes", "--json", "app"])).ok().text();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let sum = |key: &str| -> u64 {
        json[key].as_array().unwrap().iter().map(|part| part["bytes"].as_u64().unwrap()).sum()
    };
    assert_eq!(sum("reasons"), json["total"]["bytes"].as_u64().unwrap(), "{json}");
    assert_eq!(json["largest"].as_array().unwrap().len(), 10, "{json}");
    let large = json["onlyFor"].as_array().unwrap().iter();
    let large = large.filter(|part| part["what"].as_str().unwrap().ends_with("/plugins/large.so"));
    assert_eq!(large.map(|part| part["files"].as_u64().unwrap()).collect::<Vec<_>>(), [2]);
}
