//! One program of each kind, from statically linked to script.

use tests::outcome::run;
use tests::require;
use tests::samples::{STATUS, Sample};
use tests::scratch::Scratch;

fn check(kind: Sample) {
    if !require::root() {
        return;
    }
    let scratch = Scratch::new(kind.name());
    let Some(program) = kind.make(scratch.path()) else { return };
    scratch.pack(&[program]);
    let outcome = run(&mut scratch.launch(&[], kind.name(), &["one", "two"])).exits(STATUS);
    assert_eq!(outcome.text(), format!("{}: one two", kind.name()));
    assert_eq!(outcome.errors(), "");
}

#[test]
fn static_program_without_libc_as_go_makes_them() {
    check(Sample::GoLike);
}

#[test]
fn static_pie_rust_program() {
    check(Sample::StaticPieRust);
}

#[test]
fn program_linked_against_musl() {
    check(Sample::Musl);
}

#[test]
fn program_linked_against_glibc() {
    check(Sample::Glibc);
}

#[test]
fn script_brings_its_interpreter() {
    check(Sample::Script);
}
