//! Every input that fuzzing left worth keeping, in every run of the tests.

use std::path::Path;

use tests::fuzz::TARGETS;

#[test]
fn every_input_is_survived() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (name, target) in TARGETS {
        let inputs = std::fs::read_dir(folder.join(name)).expect("a folder for each target");
        let mut count = 0;
        for input in inputs {
            let path = input.expect("an input").path();
            println!("{}", path.display());
            target(&std::fs::read(&path).expect("an input"));
            count += 1;
        }
        assert!(count > 0, "there is no input for {name}");
    }
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
