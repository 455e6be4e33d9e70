//! Every input that fuzzing left worth keeping, in every run of the tests.

use std::path::Path;

use tests::fuzz::TARGETS;

#[test]
fn every_input_is_survived() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut failed = Vec::new();
    for (name, target) in TARGETS {
        let inputs = std::fs::read_dir(folder.join(name)).expect("a folder for each target");
        let inputs: Vec<_> = inputs.map(|input| input.expect("an input").path()).collect();
        assert!(!inputs.is_empty(), "there is no input for {name}");
        for path in inputs {
            let bytes = std::fs::read(&path).expect("an input");
            if std::panic::catch_unwind(|| target(&bytes)).is_err() {
                failed.push(path);
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn every_target_has_its_program() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/targets");
    let programs = std::fs::read_dir(folder).expect("the targets");
    let mut names: Vec<_> = programs
        .map(|entry| entry.expect("a target").path())
        .map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert_eq!(names, TARGETS.map(|target| target.0));
}
