//! QEMU with one guest: booted from a disk, or resumed from a saved state.
//!
//! The guest's console goes to a file, which is shown when something fails. The second serial line carries the work: the agent of
//! the guest (`tests/hosts/image/agent`) says `guest: ready` on it, is sent the time, and tells all that the work says.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, ErrorKind, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use common::digest::Digest;
use tempfile::TempDir;

use super::monitor::Monitor;

/// Bytes of the input disk: the same for every run, since a guest keeps what it saw at boot.
pub(super) const INPUT: u64 = 4 << 30;

/// What every machine is started with; `{...}` is filled in.
const OPTIONS: &[&str] = &[
    "-nodefaults",
    "-no-reboot",
    "-display none",
    "-smp 2",
    "-m 1536M",
    "-machine q35,memory-backend=ram,accel={accel}",
    "-cpu max",
    "-object memory-backend-file,id=ram,size=1536M,mem-path={folder}/memory,share={share}",
    "-kernel {folder}/vmlinuz",
    "-initrd {folder}/initrd",
    "-append console=ttyS0 mitigations=off panic=-1 psi=1",
    "-drive if=virtio,format=raw,cache=unsafe,file={folder}/disk,snapshot={snapshot}",
    "-drive if=virtio,format=raw,readonly=on,file={input}",
    "-device virtio-rng-pci",
    "-serial file:{sockets}/console",
    "-chardev socket,id=work,path={sockets}/work",
    "-serial chardev:work",
    "-chardev socket,id=monitor,path={sockets}/monitor",
    "-mon chardev=monitor,mode=control",
];

/// Of all that a saved state depends on: another QEMU or other devices cannot load it.
pub(super) fn key() -> String {
    let version = Command::new("qemu-system-x86_64").arg("--version").output();
    let version = version.map(|output| output.stdout).unwrap_or_default();
    Digest::of(format!("{OPTIONS:?} {} {INPUT} {version:?}", accelerator()).as_bytes()).short()
}

/// A hypervisor without the processor's help (there are such) does not boot stock kernels.
fn accelerator() -> &'static str {
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags = processor.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    let help = flags.split(' ').any(|flag| flag == "vmx" || flag == "svm");
    if help && File::options().read(true).write(true).open("/dev/kvm").is_ok() {
        "kvm"
    } else {
        "tcg"
    }
}

/// A running QEMU; killed when dropped.
#[derive(Debug)]
pub(super) struct Machine {
    qemu: Child,
    folder: PathBuf,
    sockets: TempDir,
    monitor: Monitor,
    work: BufReader<UnixStream>,
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.qemu.kill().ok();
        self.qemu.wait().ok();
    }
}

impl Machine {
    /// Boots the disk of a folder, until the agent is ready.
    pub(super) fn boot(folder: &Path, limit: Duration) -> Result<Self, String> {
        let empty = tempfile::tempfile_in(folder).map_err(|error| format!("input: {error}"))?;
        empty.set_len(INPUT).map_err(|error| format!("input: {error}"))?;
        let mut machine = Self::start(folder, &descriptor(&empty), false)?;
        let mut ready = false;
        machine.listen(limit, |line| {
            ready = line == "guest: ready";
            ready
        })?;
        // What still starts, beside the agent.
        std::thread::sleep(Duration::from_secs(3));
        Ok(machine)
    }

    /// Writes the state beside the disk and the memory, and ends.
    pub(super) fn save(mut self) -> Result<(), String> {
        let state = self.folder.join("state");
        self.monitor.save(&state.to_string_lossy())
    }

    /// Goes on from a saved state, with a disk of work.
    pub(super) fn resume(folder: &Path, input: &File, limit: Duration) -> Result<Self, String> {
        let deadline = Instant::now() + limit;
        loop {
            let tried = Self::start(folder, &descriptor(input), true).and_then(|mut machine| {
                machine.monitor.load(&folder.join("state").to_string_lossy())?;
                Ok(machine)
            });
            if tried.is_ok() || Instant::now() > deadline {
                return tried;
            }
        }
    }

    /// Lets the agent do the work, and hands over each line that it says.
    pub(super) fn work(
        &mut self,
        limit: Duration,
        mut said: impl FnMut(&str),
    ) -> Result<(), String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        writeln!(self.work.get_mut(), "{now}").map_err(|error| self.failure(&error.to_string()))?;
        let mut status = String::new();
        self.listen(limit, |line| {
            let end = line.strip_prefix("guest: ended with ");
            match end {
                Some(end) => end.clone_into(&mut status),
                None => said(line),
            }
            end.is_some()
        })?;
        if status == "0" { Ok(()) } else { Err(self.failure(&format!("the runner: {status}"))) }
    }

    fn start(folder: &Path, input: &str, resume: bool) -> Result<Self, String> {
        // In the system's own folder: a socket's path has room for 107 bytes.
        let sockets = tempfile::tempdir().map_err(|error| format!("sockets: {error}"))?;
        let listen = |name| {
            let listener = UnixListener::bind(sockets.path().join(name));
            let listener = listener.map_err(|error| format!("socket `{name}`: {error}"))?;
            listener.set_nonblocking(true).map_err(|error| format!("socket `{name}`: {error}"))?;
            Ok::<_, String>(listener)
        };
        let (work, monitor) = (listen("work")?, listen("monitor")?);
        let fill = |option: &str| {
            option
                .replace("{accel}", accelerator())
                .replace("{folder}", &folder.to_string_lossy())
                .replace("{input}", input)
                .replace("{sockets}", &sockets.path().to_string_lossy())
                .replace("{share}", if resume { "off" } else { "on" })
                .replace("{snapshot}", if resume { "on" } else { "off" })
        };
        // A test that is killed takes its machine along.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--", "qemu-system-x86_64"]);
        for option in OPTIONS {
            match option.split_once(' ') {
                Some((name, value)) => command.arg(name).arg(fill(value)),
                None => command.arg(option),
            };
        }
        if resume {
            command.args(["-incoming", "defer"]);
        }
        let errors = File::create(sockets.path().join("errors"));
        let errors = errors.map_err(|error| format!("errors: {error}"))?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors);
        let mut qemu = command.spawn().map_err(|error| format!("qemu: {error}"))?;
        let connected = accept(&work, &mut qemu)
            .and_then(|work| Ok((work, Monitor::new(accept(&monitor, &mut qemu)?)?)));
        match connected {
            Ok((work, monitor)) => {
                let folder = folder.to_owned();
                Ok(Self { qemu, folder, sockets, monitor, work: BufReader::new(work) })
            }
            Err(why) => {
                qemu.kill().ok();
                qemu.wait().ok();
                let said = fs::read_to_string(sockets.path().join("errors")).unwrap_or_default();
                Err(format!("{why}\n{said}"))
            }
        }
    }

    /// Reads lines until `last` says yes.
    fn listen(
        &mut self,
        limit: Duration,
        mut last: impl FnMut(&str) -> bool,
    ) -> Result<(), String> {
        let deadline = Instant::now() + limit;
        let mut line = Vec::new();
        loop {
            let rest = deadline.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return Err(self.failure(&format!("not done within {limit:?}")));
            }
            self.work.get_ref().set_read_timeout(Some(rest)).expect("it is not zero");
            match self.work.read_until(b'\n', &mut line) {
                Ok(0) => return Err(self.failure("QEMU ended")),
                Ok(_) => {
                    let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                    line.clear();
                    if last(&text) {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(self.failure(&error.to_string())),
            }
        }
    }

    /// What went wrong, and the end of what the guest and QEMU had to say.
    fn failure(&self, why: &str) -> String {
        let mut text = why.to_owned();
        for name in ["errors", "console"] {
            let said = fs::read(self.sockets.path().join(name)).unwrap_or_default();
            let said = String::from_utf8_lossy(&said).into_owned();
            let lines: Vec<&str> = said.lines().collect();
            for line in &lines[lines.len().saturating_sub(30)..] {
                write!(text, "\n{name}: {line}").ok();
            }
        }
        text
    }
}

/// A path by which QEMU can open a file of this process.
fn descriptor(file: &File) -> String {
    use std::os::fd::AsRawFd as _;
    format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd())
}

fn accept(listener: &UnixListener, qemu: &mut Child) -> Result<UnixStream, String> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false).map_err(|error| format!("socket: {error}"))?;
                return Ok(stream);
            }
            Err(error) if error.kind() != ErrorKind::WouldBlock => {
                return Err(format!("socket: {error}"));
            }
            Err(_) if Instant::now() > deadline => return Err("QEMU does not start".to_owned()),
            Err(_) => {}
        }
        if let Ok(Some(status)) = qemu.try_wait() {
            return Err(format!("QEMU ended with {status}"));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
