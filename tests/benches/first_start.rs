//! What the first `paddle run` of an image of 100 MB costs, beside tar(1), which does nothing but unpack it.
//!
//! ```sh
//! cargo bench -p tests --bench first_start       # as root; ROUNDS=20 for more than 7 rounds
//! ```
//!
//! paddle unpacks into a new store, verifies the digest and runs `/true` of the image; tar unpacks into a new
//! folder. One round does each once, in turn, so that a busy moment hits all of them; the median of the
//! rounds counts. Nothing is removed before the end: ext4 would be ever slower (it steps over inodes that were just
//! deleted). At last, five images that share libraries are unpacked into one store.

#![expect(clippy::print_stdout, reason = "a benchmark's output is its purpose")]
#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up has nothing to say")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tests::archive::{Header, end};
use tests::{programs, require, samples};

/// What stands in a folder of ours where the next unpacking goes.
const NEW: &str = "NEW";

/// One way to make the image ready.
struct Contestant {
    name: String,
    /// The arguments; `NEW` in one of them is a new folder.
    command: Vec<String>,
    times: Vec<Duration>,
}

fn main() {
    // `cargo test --benches` passes no `--bench`; it asks only whether this runs.
    let whole = std::env::args().any(|argument| argument == "--bench");
    let rounds = match std::env::var("ROUNDS").ok().and_then(|text| text.parse().ok()) {
        _ if !whole => 1,
        Some(rounds) => rounds,
        None => 7,
    };
    if !require::root() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let Some(program) = program(folder.path()) else { return };
    let size = if whole { 100 } else { 5 };
    let tar = image(&program, 0, size * 6 / 10, size * 4 / 10);
    let mut all = contestants(folder.path(), &tar);
    for round in 0..rounds {
        for (number, contestant) in all.iter_mut().enumerate() {
            let new = folder.path().join(format!("new-{round}-{number}"));
            fs::create_dir(&new).expect("a folder");
            contestant.start(&new);
        }
    }
    report(&mut all);
    disk(folder.path(), &program, size * 4 / 10);
}

impl Contestant {
    fn new(name: &str, command: &[&str]) -> Self {
        let command = command.iter().map(|&word| word.to_owned()).collect();
        Self { name: name.to_owned(), command, times: Vec::new() }
    }

    fn start(&mut self, new: &Path) {
        let new = new.to_str().expect("a temporary folder's name is text");
        let words: Vec<String> = self.command.iter().map(|word| word.replace(NEW, new)).collect();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::null());
        let start = Instant::now();
        let status = command.status().expect("the program starts");
        self.times.push(start.elapsed());
        assert!(status.success(), "{}: {status}: {words:?}", self.name);
    }

    fn median(&self) -> Duration {
        let mut times = self.times.clone();
        times.sort();
        times[times.len() / 2]
    }
}

/// A static `true`.
fn program(folder: &Path) -> Option<Vec<u8>> {
    let out = folder.join("true");
    samples::compile_c("gcc", &["-static", "-O2", "-s"], "int main(void) { return 0; }", &out)?;
    Some(fs::read(out).expect("it was made"))
}

/// An archive with the program, `small` MB of files of 10 kB, and `large` MB of files of 400 kB. The small ones differ by
/// `seed`.
fn image(program: &[u8], seed: u64, small: usize, large: usize) -> Vec<u8> {
    let mut tar = Header::file("true", program).octal(100, 8, 0o755).bytes();
    for number in 0..large * 1000 / 400 {
        let content = text(u64::try_from(number).unwrap_or(0) << 32, 400_000);
        tar.extend(Header::file(format!("lib/lib{number}.so"), &content).bytes());
    }
    for number in 0..small * 100 {
        if number % 40 == 0 {
            tar.extend(Header::folder(format!("share/{}", number / 40)).bytes());
        }
        let content = text(seed + u64::try_from(number).unwrap_or(0), 10_000);
        let name = format!("share/{}/file{number}", number / 40);
        tar.extend(Header::file(name, &content).bytes());
    }
    tar.extend(end());
    tar
}

/// Bytes that compress as programs and texts do: to a third.
fn text(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut text = Vec::with_capacity(size + 16);
    while text.len() < size {
        let random = next();
        // A word of a vocabulary of 4096; now and then, one of none.
        let word = if random % 8 == 0 { random >> 20 } else { random >> 52 };
        text.extend_from_slice(format!("{:x} ", word.wrapping_mul(2_654_435_761)).as_bytes());
    }
    text.truncate(size);
    text
}

/// The archives, each as tar and as paddle make it ready; and a file system, which needs no making.
fn contestants(folder: &Path, tar: &[u8]) -> Vec<Contestant> {
    let path = |name: &str| folder.join(name).to_str().expect("text").to_owned();
    fs::write(path("i.tar"), tar).expect("there is room");
    let gz = fs::File::create(path("i.tar.gz")).expect("there is room");
    let mut encoder = flate2::write::GzEncoder::new(gz, flate2::Compression::default());
    encoder.write_all(tar).and_then(|()| encoder.try_finish()).expect("there is room");
    let zst = zstd::encode_all(tar, 3).expect("memory takes all");
    fs::write(path("i.tar.zst"), zst).expect("there is room");
    let (_, paddle) = programs::release();
    let paddle = paddle.to_str().expect("text");
    let run = |name: &str, image: &str, options: &[&str]| {
        let start = [paddle, "--root", "NEW/state", "--store", "NEW/store", "run", "--rm"];
        Contestant::new(name, &[&start, options, &[image, "/true"]].concat())
    };
    let mut all = Vec::new();
    for (option, file) in [("-xzf", "i.tar.gz"), ("--zstd -xf", "i.tar.zst"), ("-xf", "i.tar")] {
        let image = path(file);
        let words: Vec<&str> = option.split(' ').collect();
        let command = [&["tar", "-C", NEW], words.as_slice(), &[image.as_str()]].concat();
        all.push(Contestant::new(&format!("tar {option}"), &command));
        all.push(run(&format!("paddle run {file}"), &image, &[]));
    }
    if let Some(mkfs) = require::program("mkfs.erofs") {
        let (root, image) = (path("root"), path("i.erofs"));
        fs::create_dir(&root).expect("a folder");
        let quiet = |command: &mut Command| {
            assert!(command.stdout(Stdio::null()).status().expect("it starts").success());
        };
        quiet(Command::new("tar").args(["-C", &root, "-xf", &path("i.tar")]));
        quiet(Command::new(mkfs).args([&image, &root]));
        all.push(run("paddle run i.erofs", &image, &["--allow-erofs"]));
    }
    all
}

fn report(all: &mut [Contestant]) {
    println!("{:24} {:>10} {:>9}", "", "median", "ratio");
    let mut base = Duration::ZERO;
    for contestant in all.iter() {
        if contestant.name.starts_with("tar") {
            base = contestant.median();
        }
        let ratio = contestant.median().as_secs_f64() / base.as_secs_f64();
        let ms = contestant.median().as_secs_f64() * 1000.0;
        println!("{:24} {ms:7.1} ms {ratio:9.2}", contestant.name);
    }
    println!("ratio: to the tar above it; below 1 is faster than unpacking alone");
}

/// Five images with the same libraries: what they would take one by one, and what they take.
fn disk(folder: &Path, program: &[u8], libraries: usize) {
    let (_, paddle) = programs::release();
    let store = folder.join("shared");
    for seed in 1..=5 {
        let file = folder.join(format!("app{seed}.tar"));
        fs::write(&file, image(program, seed << 40, 1, libraries)).expect("there is room");
        let mut command = Command::new(paddle);
        command.arg("--root").arg(folder.join("state")).arg("--store").arg(&store);
        let status = command.args(["run", "--rm"]).arg(&file).arg("/true").status();
        assert!(status.expect("paddle starts").success());
    }
    let (used, named) = blocks(&store.join("snapshots"));
    println!(
        "five images that share {libraries} MB of libraries: {named} kB by name, {used} kB on the disk"
    );
}

/// Kilobytes on the disk, and as many as there would be if each name were a file of its own.
fn blocks(folder: &Path) -> (u64, u64) {
    let mut inodes = BTreeMap::new();
    let mut named = 0;
    let mut folders: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("it is ours") {
            let entry = entry.expect("it is ours");
            let status = entry.metadata().expect("it is ours");
            if status.is_dir() {
                folders.push(entry.path());
            } else {
                inodes.insert(status.ino(), status.blocks());
                named += status.blocks();
            }
        }
    }
    (inodes.values().sum::<u64>() / 2, named / 2)
}
