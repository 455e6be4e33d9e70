//! Hosts of another kind than the one that runs the tests: virtual machines with Debian 12, systemd, pure cgroup v2 and an
//! ordinary user to whom controllers are delegated, which is what production is today.
//!
//! A machine is booted once for each kernel, its state is saved, and every run is resumed from there: memory is mapped copy on
//! write, what is written to the disk is thrown away. So a run takes seconds, and no run sees another one's traces.
//!
//! ```text
//! .cache/hosts/            or $CORACLE_CACHE/hosts; may be deleted at any time
//!     KEY/                 the key is of everything that makes the disk and the kernels (tests/hosts/image)
//!         disk             an ext4 with all modules, before the first boot
//!         6.1/, 6.12/      vmlinuz, initrd
//!         6.1-KEY/ ...     saved machines: disk, memory, state; the key is of how they are started
//! ```
//!
//! ```text
//! kernel    which kernels there are
//! image     the disk and the kernels, made once
//! machine   QEMU: boot, save, resume, talk over a serial line
//! monitor   QEMU's own protocol
//! work      jobs and the files that they need, as a disk
//! built     the suites' own executables, as cargo names them
//! ```

mod built;
mod image;
mod machine;
mod monitor;
mod work;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use built::{Built, suites};
pub use image::Kernel;
pub use work::{Job, Place, Report, Work};

use crate::require;
use machine::Machine;

/// How long a cold boot may take. It stalls once in a while; a second try is cheaper than a longer wait.
const BOOT: Duration = Duration::from_secs(200);

/// How often a cold boot is tried.
const TRIES: u32 = 3;

/// How long a resumed machine may take to answer.
const RESUME: Duration = Duration::from_mins(1);

/// A machine that was booted and saved.
#[derive(Debug)]
pub struct Guest {
    folder: PathBuf,
}

impl Guest {
    /// The machine with this kernel: booted and saved, if it is not yet. Skips where it cannot be.
    ///
    /// # Panics
    /// Where a skip is not allowed, or the cache cannot be written.
    pub fn saved(kernel: Kernel) -> Option<Self> {
        for program in ["qemu-system-x86_64", "mkfs.erofs", "setpriv", "objcopy"] {
            require::program(program)?;
        }
        let cache = cache();
        fs::create_dir_all(&cache).expect("a folder below the cache");
        // Several tests may want the same; the lock goes with the process, however it ends.
        let lock = File::create(cache.join("lock")).expect("the cache is ours");
        lock.lock().expect("the cache can be locked");
        let image = match image::made(&cache)? {
            Ok(image) => image,
            Err(why) => {
                require::skip(format_args!("cannot make the disk of a guest: {why}"));
                return None;
            }
        };
        let folder = image.join(format!("{}-{}", kernel.name(), machine::key()));
        if !folder.is_dir()
            && let Err(why) = save(&image, kernel, &folder)
        {
            require::skip(format_args!(
                "a guest with kernel {} does not boot: {why}",
                kernel.name()
            ));
            return None;
        }
        Some(Self { folder })
    }

    /// Runs the work, hands each line that it says to `said` as it comes, and returns what became of each job, in
    /// order. All must end within `limit`.
    ///
    /// # Errors
    /// The machine does not resume, or does not finish in time: all that is known about it.
    ///
    /// # Panics
    /// When the host lacks space or memory for it.
    pub fn run(
        &self,
        work: &Work,
        limit: Duration,
        said: &mut dyn FnMut(&str),
    ) -> Result<Vec<Report>, String> {
        let disk = work.disk(&self.folder);
        let mut machine = Machine::resume(&self.folder, &disk, RESUME)?;
        let mut reports = work::Reports::default();
        machine.work(limit, |line| {
            said(line);
            reports.hear(line);
        })?;
        Ok(reports.finish())
    }
}

/// Boots, and saves when the machine is up.
fn save(image: &Path, kernel: Kernel, folder: &Path) -> Result<(), String> {
    let mut last = String::new();
    for _ in 0..TRIES {
        let making = tempfile::Builder::new().prefix(".making-").tempdir_in(image);
        let making = making.expect("the cache is ours");
        image::copy_disk(&image.join("disk"), &making.path().join("disk"))?;
        for file in ["vmlinuz", "initrd"] {
            let from = image.join(kernel.name()).join(file);
            fs::copy(&from, making.path().join(file))
                .map_err(|error| format!("{file}: {error}"))?;
        }
        match Machine::boot(making.path(), BOOT).and_then(Machine::save) {
            Ok(()) => {
                fs::rename(making.keep(), folder).expect("the cache is ours");
                return Ok(());
            }
            Err(why) => last = why,
        }
    }
    Err(last)
}

fn cache() -> PathBuf {
    let cache = std::env::var_os("CORACLE_CACHE")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cache"), PathBuf::from);
    cache.join("hosts")
}
