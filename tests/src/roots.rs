//! Roots made of packages, in which the resolver and the loader are compared.
//!
//! A root is what Debian packages and all that they depend on ship, unpacked without their scripts, and then what scripts
//! would have made as far as the loader sees it: the links of merged `/usr`, a cache, some alternatives. There is no
//! distribution with musl among Debian's architectures; real objects for it come as Python wheels. A root is made once, and
//! kept:
//!
//! ```text
//! .cache/roots/
//!     NAME-KEY/       a root; the key is of its packages, links and release. It appears whole, by rename
//!     .making-RANDOM/ one that is being made, with a state of apt of its own
//! ```
//!
//! apt runs with the machine's sources and keys, and with a state, a cache and architectures of its own: nothing of the
//! machine's packages is changed, or counts as installed.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::digest::Digest;
use tempfile::TempDir;

use crate::loader::Loader;
use crate::require;

/// What no loader ever reads, and most of the size.
const LEFT_OUT: [&str; 12] = [
    "*.a",
    "./usr/include",
    "./usr/share/backgrounds",
    "./usr/share/doc",
    "./usr/share/fonts",
    "./usr/share/help",
    "./usr/share/icons",
    "./usr/share/info",
    "./usr/share/locale",
    "./usr/share/man",
    "./usr/share/texlive",
    "./usr/src",
];

/// A root to be made.
#[derive(Debug, Clone, Copy)]
pub struct PackageRoot {
    /// Its name in messages, and the start of its folder's.
    pub name: &'static str,
    /// Debian's name of the architecture.
    pub architecture: &'static str,
    /// The packages, apart by blanks; what they depend on comes with them.
    pub packages: &'static str,
    /// Python packages whose wheels for musl are unpacked too, apart by blanks, without what they depend on.
    pub wheels: &'static str,
    /// Links that scripts of packages would make: where, and what they say.
    pub links: &'static [(&'static str, &'static str)],
}

/// A step that failed: what was tried, and what was said.
type Failure = String;

/// Where wheels are unpacked.
const WHEELS: &str = "usr/lib/python3/site-packages";

/// Runs programs of aarch64.
const EMULATOR: &str = "/usr/bin/qemu-aarch64-static";

impl PackageRoot {
    /// The loader of the root's own packages, in a root that was made.
    pub fn loader(self, root: &Path) -> Loader<'_> {
        let loader = |path| Loader::new(root, path);
        match self.architecture {
            "i386" => loader("/lib/ld-linux.so.2"),
            "arm64" => Loader { runner: Some(EMULATOR), ..loader("/lib/ld-linux-aarch64.so.1") },
            _ if self.wheels.is_empty() => loader("/lib64/ld-linux-x86-64.so.2"),
            _ => loader("/lib/ld-musl-x86_64.so.1"),
        }
    }

    /// The root's folder; made, if it is not there yet. Skips where it cannot be made.
    ///
    /// # Panics
    /// Where a skip is not allowed.
    pub fn make(self) -> Option<PathBuf> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cache/roots");
        let root = folder.join(format!("{}-{}", self.name, self.key()));
        if root.is_dir() {
            return Some(root);
        }
        if !require::root() {
            return None;
        }
        for program in ["apt-get", "dpkg-deb", "tar", "ldconfig"] {
            require::program(program)?;
        }
        if self.architecture == "arm64" {
            require::file(EMULATOR)?;
        }
        fs::create_dir_all(&folder).expect("a folder below the workspace");
        let making = tempfile::Builder::new().prefix(".making-").tempdir_in(&folder);
        let making = making.expect("a folder below the workspace");
        if let Err(failure) = self.fill(&making) {
            require::skip(format_args!("cannot make the root `{}`: {failure}", self.name));
            return None;
        }
        // Somebody else may have made the same root meanwhile: then it is taken.
        if let Err(error) = fs::rename(making.path().join("root"), &root) {
            assert!(root.is_dir(), "{}: {error}", root.display());
        }
        Some(root)
    }

    /// What a root is kept under: another list of packages or another release is another root.
    fn key(self) -> String {
        let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
        let release = release.lines().find(|line| line.starts_with("VERSION_CODENAME="));
        let all = (self.architecture, self.packages, self.wheels, self.links, LEFT_OUT, release);
        Digest::of(format!("{all:?}").as_bytes()).short()
    }

    /// Makes `root` in a folder.
    fn fill(self, making: &TempDir) -> Result<(), Failure> {
        let packages = self.download(making.path())?;
        let root = making.path().join("root");
        // As debootstrap makes them: packages of this release ship files below both names.
        let merged: &[&str] = match self.architecture {
            "amd64" => &["bin", "lib", "lib32", "lib64", "libx32", "sbin"],
            _ => &["bin", "lib", "sbin"],
        };
        for name in merged {
            let target = format!("usr/{name}");
            fs::create_dir_all(root.join(&target)).expect("the folder is ours");
            symlink(target, root.join(name)).expect("the folder is ours");
        }
        for package in packages {
            unpack(&package, &root)?;
        }
        if !self.wheels.is_empty() {
            self.unpack_wheels(&making.path().join("wheels"), &root)?;
        }
        for (path, target) in self.links {
            let path = root.join(path.trim_start_matches('/'));
            if fs::symlink_metadata(&path).is_err() {
                symlink(target, &path).map_err(|error| format!("{}: {error}", path.display()))?;
            }
        }
        self.make_cache(&root)
    }

    /// Lets apt choose and download; returns the archives, sorted.
    fn download(self, making: &Path) -> Result<Vec<PathBuf>, Failure> {
        let configuration = making.join("apt.conf");
        fs::write(&configuration, self.apt_configuration(making)).expect("the folder is ours");
        fs::write(making.join("status"), "").expect("the folder is ours");
        for folder in ["state/lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(making.join(folder)).expect("the folder is ours");
        }
        let apt = || {
            let mut command = Command::new("apt-get");
            command.env("APT_CONFIG", &configuration).env("LC_ALL", "C").arg("-qq");
            command
        };
        // One index of several may be missing for a while; the others may be enough.
        let updated = run(apt().arg("update"));
        let choose = ["install", "--download-only", "--no-install-recommends", "--yes"];
        run(apt().args(choose).args(self.packages.split_whitespace())).map_err(|failure| {
            updated.err().map_or(failure.clone(), |update| format!("{update}; {failure}"))
        })?;
        let archives = fs::read_dir(making.join("cache/archives")).expect("apt made it");
        let mut archives: Vec<PathBuf> = archives
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension() == Some(OsStr::new("deb")))
            .collect();
        archives.sort();
        Ok(archives)
    }

    /// The machine's own sources, which may be written in two ways, and nothing else of it.
    fn apt_configuration(self, making: &Path) -> String {
        let sources = ["/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"];
        let sources = sources.into_iter().find(|file| Path::new(file).exists());
        let (making, architecture) = (making.display(), self.architecture);
        format!(
            r#"Dir::State "{making}/state";
Dir::State::status "{making}/status";
Dir::Cache "{making}/cache";
Dir::Etc::SourceList "{}";
Dir::Etc::SourceParts "-";
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Sandbox::User "root";
Acquire::Retries "3";
Acquire::Languages "none";
"#,
            sources.unwrap_or_default()
        )
    }

    /// Downloads wheels, which are zip archives, and unpacks them.
    fn unpack_wheels(self, folder: &Path, root: &Path) -> Result<(), Failure> {
        let mut pip = Command::new("/usr/bin/python3");
        pip.args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]);
        pip.args(["--platform", "musllinux_1_2_x86_64", "--python-version", "3.12", "--dest"]);
        run(pip.arg(folder).args(self.wheels.split_whitespace()))?;
        let mut wheels: Vec<PathBuf> = fs::read_dir(folder)
            .expect("pip made it")
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect();
        wheels.sort();
        for wheel in wheels {
            let mut unzip = Command::new("/usr/bin/python3");
            unzip.args(["-m", "zipfile", "-e"]).arg(&wheel).arg(root.join(WHEELS));
            run(&mut unzip)?;
        }
        Ok(())
    }

    /// `/etc/ld.so.cache`, by this machine's ldconfig where it knows the architecture, else by the root's own.
    fn make_cache(self, root: &Path) -> Result<(), Failure> {
        if self.architecture != "arm64" {
            return run(Command::new("ldconfig").arg("-r").arg(root));
        }
        let inside = root.join(EMULATOR.trim_start_matches('/'));
        fs::copy(EMULATOR, inside).map_err(|error| format!("{EMULATOR}: {error}"))?;
        run(Command::new("chroot").arg(root).args([EMULATOR, "/sbin/ldconfig"]))
    }
}

/// Unpacks an archive, through the links of merged `/usr`.
fn unpack(package: &Path, root: &Path) -> Result<(), Failure> {
    let mut archive = Command::new("dpkg-deb");
    let mut archive = archive
        .arg("--fsys-tarfile")
        .arg(package)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("dpkg-deb: {error}"))?;
    let mut tar = Command::new("tar");
    tar.args(["-x", "--keep-directory-symlink", "-C"]).arg(root);
    tar.args(LEFT_OUT.map(|pattern| format!("--exclude={pattern}")));
    tar.stdin(archive.stdout.take().expect("a pipe"));
    let unpacked = run(&mut tar);
    let read = archive.wait().map_err(|error| format!("dpkg-deb: {error}"))?;
    unpacked.map_err(|failure| format!("{}: {failure}", package.display()))?;
    if read.success() { Ok(()) } else { Err(format!("{} is damaged", package.display())) }
}

/// Runs to the end; a failure is told with the last line of what was said.
fn run(command: &mut Command) -> Result<(), Failure> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it says nothing");
    Err(format!("{program} failed: {last}"))
}
