//! Programs compiled for a test, each of a kind that a closure has to treat differently.
//!
//! Every sample prints one line, `KIND: ` and its arguments separated by spaces, and ends with
//! status 7: neither the line nor the status can come about by chance.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{Access, access};

use crate::outcome::run;
use crate::require;

/// The status with which every sample ends.
pub const STATUS: i32 = 7;

/// A kind of program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sample {
    /// As Go's linker makes them: fixed address, no interpreter, no dynamic section, no libc; one
    /// note with a build id.
    GoLike,
    /// A Rust program with glibc linked in, position-independent: a dynamic section that needs
    /// nothing, and no interpreter.
    StaticPieRust,
    /// Linked dynamically against musl's loader.
    Musl,
    /// Linked dynamically against glibc.
    Glibc,
    /// A script that names its interpreter, `/bin/sh`.
    Script,
}

impl Sample {
    /// What the sample's line starts with; also its file name.
    pub fn name(self) -> &'static str {
        match self {
            Self::GoLike => "go-like",
            Self::StaticPieRust => "static-pie",
            Self::Musl => "musl",
            Self::Glibc => "glibc",
            Self::Script => "script",
        }
    }

    /// Makes the program in `folder`, or skips the test where a compiler is missing.
    ///
    /// # Panics
    /// When the compiler refuses the source.
    pub fn make(self, folder: &Path) -> Option<PathBuf> {
        let file = folder.join(self.name());
        match self {
            Self::GoLike => {
                // Without the last two, gcc calls `strlen` for a loop, and a C library's stack guard.
                let options = [
                    "-static",
                    "-no-pie",
                    "-nostdlib",
                    "-Wl,--build-id",
                    "-fno-tree-loop-distribute-patterns",
                    "-fno-stack-protector",
                ];
                compile_c("gcc", &options, GO_LIKE, &file)?;
            }
            Self::StaticPieRust => compile_rust(STATIC_PIE, &file)?,
            Self::Musl => compile_c("musl-gcc", &[], &hosted("musl"), &file)?,
            Self::Glibc => compile_c("gcc", &[], &hosted("glibc"), &file)?,
            Self::Script => {
                fs::write(&file, SCRIPT).expect("the folder is writable");
                fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("ours");
            }
        }
        Some(file)
    }
}

/// Makes a static program that puts load on its host, or skips the test where `gcc` is missing:
///
/// | arguments | does | prints |
/// |---|---|---|
/// | `memory MEBIBYTES` | touches that much memory | `touched` |
/// | `processes COUNT` | forks until that many children wait, or fork fails | how many wait |
/// | `cpu MILLISECONDS` | computes for that long by the clock | milliseconds of processor time |
/// | `wait` | prints, then sleeps until it is killed | `waiting` |
///
/// # Panics
/// When the compiler refuses the source.
pub fn load(folder: &Path) -> Option<PathBuf> {
    let file = folder.join("load");
    compile_c("gcc", &["-static"], LOAD, &file)?;
    Some(file)
}

/// Compiles C, or skips the test where `compiler` is missing.
///
/// # Panics
/// When the compiler refuses the source.
pub fn compile_c(compiler: &str, options: &[&str], source: &str, out: &Path) -> Option<()> {
    let compiler = require::program(compiler)?;
    let file = out.with_extension("c");
    fs::write(&file, source).expect("the folder is writable");
    let mut command = Command::new(compiler);
    run(command.args(["-Os", "-Wall", "-o"]).arg(out).arg(file).args(options)).ok();
    Some(())
}

/// The program of `src/NAME.c`, compiled when it is first asked for, or when its source is newer, and kept beside the suite's
/// own executable; in a guest, which cannot write there, with what is temporary.
///
/// # Panics
/// When it cannot be compiled there.
pub fn helper(name: &str, options: &[&str]) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(name).with_extension("c");
    let suite = std::env::current_exe().expect("the suite's executable");
    let beside = suite.parent().expect("it is in a folder");
    let writable = access(beside, Access::WRITE_OK).is_ok();
    let folder = if writable { beside.to_owned() } else { std::env::temp_dir() };
    let kept = folder.join(format!("helper-{name}"));
    let made = |path: &Path| fs::metadata(path).and_then(|known| known.modified()).ok();
    if made(&kept) < made(&source) {
        // By rename: another suite may compile it, too, or execute it.
        let fresh = tempfile::Builder::new().prefix(name).make_in(folder, |path| {
            let output =
                Command::new("gcc").arg("-o").arg(path).arg(&source).args(options).output()?;
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            Ok(())
        });
        fresh.and_then(|fresh| Ok(fresh.into_temp_path().persist(&kept)?)).expect("gcc makes it");
    }
    kept
}

fn compile_rust(source: &str, out: &Path) -> Option<()> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    if Command::new(&rustc).arg("--version").output().is_err() {
        require::skip(format_args!("needs rustc"));
        return None;
    }
    let file = out.with_extension("rs");
    fs::write(&file, source).expect("the folder is writable");
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let mut command = Command::new(rustc);
    command.args(["--edition=2024", "-O", "-C", "target-feature=+crt-static", "-C", "panic=abort"]);
    run(command.arg("--target").arg(target).arg("-o").arg(out).arg(file)).ok();
    Some(())
}

fn hosted(name: &str) -> String {
    HOSTED.replace("NAME", name)
}

const SCRIPT: &str = "#!/bin/sh\necho \"script: $*\"\nexit 7\n";

const HOSTED: &str = r#"
#include <stdio.h>
int main(int count, char **arguments) {
    fputs("NAME:", stdout);
    for (int i = 1; i < count; i++) printf(" %s", arguments[i]);
    puts("");
    return 7;
}
"#;

const LOAD: &str = r#"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
static long milliseconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
int main(int count, char **arguments) {
    const char *what = count > 1 ? arguments[1] : "";
    long amount = count > 2 ? atol(arguments[2]) : 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!strcmp(what, "memory")) {
        size_t size = (size_t)amount << 20;
        char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) return 1;
        for (size_t at = 0; at < size; at += 4096) memory[at] = 1;
        puts("touched");
    } else if (!strcmp(what, "processes")) {
        pid_t child = 0;
        long waiting = 0;
        for (; waiting < amount && (child = fork()) > 0; waiting++) {}
        if (amount > waiting && child == 0) for (;;) pause();
        printf("%ld\n", waiting);
        kill(-1, SIGKILL);
    } else if (!strcmp(what, "cpu")) {
        long end = milliseconds(CLOCK_MONOTONIC) + amount;
        while (milliseconds(CLOCK_MONOTONIC) < end) {}
        printf("%ld\n", milliseconds(CLOCK_PROCESS_CPUTIME_ID));
    } else {
        puts("waiting");
        for (;;) pause();
    }
    return 0;
}
"#;

const STATIC_PIE: &str = r#"
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    println!("static-pie: {}", arguments.join(" "));
    std::process::exit(7);
}
"#;

/// The start code finds the argument count and vector on the stack, as the System V ABI has them.
const GO_LIKE: &str = r#"
#if defined(__x86_64__)
enum { WRITE = 1, EXIT_GROUP = 231 };
static long call(long number, long a, long b, long c) {
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return result;
}
__asm__(".globl _start\n_start:\n xor %ebp,%ebp\n mov %rsp,%rdi\n and $-16,%rsp\n call begin\n");
#elif defined(__aarch64__)
enum { WRITE = 64, EXIT_GROUP = 94 };
static long call(long number, long a, long b, long c) {
    register long x8 __asm__("x8") = number, x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b, x2 __asm__("x2") = c;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
    return x0;
}
__asm__(".globl _start\n_start:\n mov x29, xzr\n mov x0, sp\n bl begin\n");
#endif
static void put(const char *text) {
    long length = 0;
    while (text[length]) length++;
    call(WRITE, 1, (long)text, length);
}
__attribute__((used)) void begin(long *stack) {
    long count = stack[0];
    char **arguments = (char **)(stack + 1);
    put("go-like:");
    for (long i = 1; i < count; i++) { put(" "); put(arguments[i]); }
    put("\n");
    call(EXIT_GROUP, 7, 0, 0);
    for (;;) {}
}
"#;
