//! Roots of other architectures, small enough for every run: the resolver must say of each object what the root's
//! own loader says. `tests/roots` compares far larger ones.

use tests::comparison::check;
use tests::roots::PackageRoot;

const PACKAGES: &str = "bash coreutils curl libc-bin perl-base python3-minimal util-linux";

#[test]
fn every_object_of_a_small_i386_root_resolves_as_its_loader_does() {
    let root = PackageRoot {
        name: "small-i386",
        architecture: "i386",
        packages: PACKAGES,
        wheels: "",
        links: &[],
    };
    check(root, 400);
}

/// The loader runs under qemu.
#[test]
fn every_object_of_a_small_aarch64_root_resolves_as_its_loader_does() {
    let root = PackageRoot {
        name: "small-arm64",
        architecture: "arm64",
        packages: PACKAGES,
        wheels: "",
        links: &[],
    };
    check(root, 400);
}
