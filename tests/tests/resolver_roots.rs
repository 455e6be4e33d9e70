//! Every object of whole roots, made of Debian packages: the resolver must say of each what the
//! root's own loader says. Takes minutes and gigabytes, so that only `tests/roots` runs it.

use tests::comparison::{compare, objects};
use tests::loader::Loader;
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
    links: &[
        ("/usr/lib/x86_64-linux-gnu/libblas.so.3", "blas/libblas.so.3"),
        ("/usr/lib/x86_64-linux-gnu/liblapack.so.3", "lapack/liblapack.so.3"),
    ],
};

#[test]
fn every_object_of_a_broad_root_resolves_as_its_loader_does() {
    let Some(root) = BROAD.make() else { return };
    let loader = Loader::new(&root, "/lib64/ld-linux-x86-64.so.2");
    compare(loader, &objects(loader)).report("broad", 5000);
}
