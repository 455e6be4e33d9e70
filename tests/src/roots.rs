//! Roots made of Debian packages, in which the resolver and the loader are compared.
//!
//! A root is what packages and all that they depend on ship, unpacked without their scripts, and then what scripts
//! would have made as far as the loader sees it: the links of merged `/usr`, a cache, some alternatives. It is made once, and
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
    /// Links that scripts of packages would make: where, and what they say.
    pub links: &'static [(&'static str, &'static str)],
}

/// A step that failed: what was tried, and what was said.
type Failure = String;

impl PackageRoot {
    /// The root's folder; made, if it is not there yet. Skips where it cannot be made.
    ///
    /// # Panics
    /// Where a skip is not allowed.
    pub fn make(&self) -> Option<PathBuf> {
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
    fn key(&self) -> String {
        let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
        let release = release.lines().find(|line| line.starts_with("VERSION_CODENAME="));
        let all = (self.architecture, self.packages, self.links, LEFT_OUT, release);
        Digest::of(format!("{all:?}").as_bytes()).short()
    }

    /// Makes `root` in a folder.
    fn fill(&self, making: &TempDir) -> Result<(), Failure> {
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
        for (path, target) in self.links {
            let path = root.join(path.trim_start_matches('/'));
            if fs::symlink_metadata(&path).is_err() {
                symlink(target, &path).map_err(|error| format!("{}: {error}", path.display()))?;
            }
        }
        self.make_cache(&root)
    }

    /// Lets apt choose and download; returns the archives, sorted.
    fn download(&self, making: &Path) -> Result<Vec<PathBuf>, Failure> {
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
        run(apt().arg("update"))?;
        let choose = ["install", "--download-only", "--no-install-recommends", "--yes"];
        run(apt().args(choose).args(self.packages.split_whitespace()))?;
        let archives = fs::read_dir(making.join("cache/archives")).expect("apt made it");
        let mut archives: Vec<PathBuf> = archives
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension() == Some(OsStr::new("deb")))
            .collect();
        archives.sort();
        Ok(archives)
    }

    /// The machine's own sources, which may be written in two ways, and nothing else of it.
    fn apt_configuration(&self, making: &Path) -> String {
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
APT::Update::Error-Mode "any";
Acquire::Languages "none";
"#,
            sources.unwrap_or_default()
        )
    }

    /// `/etc/ld.so.cache`, by this machine's ldconfig where it knows the architecture.
    fn make_cache(&self, root: &Path) -> Result<(), Failure> {
        match self.architecture {
            "amd64" | "i386" => run(Command::new("ldconfig").arg("-r").arg(root)),
            _ => Ok(()),
        }
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
