//! Real programs, packed by `coracle` and launched by `paddle`: the whole path, as its users take it.
//!
//! Each test packs what the host has installed, launches the image, and compares output and status
//! with what the program does outside of it.

mod data;
mod formats;
mod languages;
mod network;
mod samples;
mod shell;
mod tools;
mod user;

use std::path::Path;

use tests::scratch::Scratch;

/// Writes a recipe into the folder, and packs it under `name`.
fn pack_recipe(scratch: &Scratch, name: &str, recipe: &str) {
    let file = scratch.file(&format!("{name}.toml"), recipe);
    scratch.pack(&["-t".as_ref(), Path::new(name).as_os_str(), file.as_os_str()]);
}
