//! Every call that names a file is seen, and what it says of that file.

use common::tree::ImagePath;
use tests::require;
use tests::scratch::Scratch;

use super::{below, compile, data, profile, traced};

const PROBE: &str = r#"
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>
extern char **environ;
static struct stat status;
static struct statfs system_status;
static char text[4096];
static int sub(void) { return open("sub", O_RDONLY | O_DIRECTORY); }
static void *look(void *unused) { stat("file", &status); return unused; }
static void *become(void *unused) { execl("/bin/cat", "cat", "file", (char *)0); return unused; }
static void at(const char *name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, name);
    connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&address, sizeof address);
}
struct how { unsigned long long flags, mode, resolve; };
#define IS(name) (!strcmp(what, name))
int main(int count, char **arguments) {
    const char *what = count > 1 ? arguments[1] : "";
    struct how how = {O_RDONLY, 0, 0};
    pthread_t thread;
    pid_t child;
    if (IS("openat")) openat(AT_FDCWD, "file", O_RDONLY);
    else if (IS("absolute")) open(realpath("file", text), O_RDONLY);
    else if (IS("folder")) openat(sub(), "inner", O_RDONLY);
    else if (IS("openat2")) syscall(SYS_openat2, AT_FDCWD, "file", &how, sizeof how);
    else if (IS("stat")) stat("file", &status);
    else if (IS("lstat")) lstat("link", &status);
    else if (IS("fstatat")) fstatat(sub(), "inner", &status, 0);
    else if (IS("statx")) { struct statx x; statx(AT_FDCWD, "file", 0, STATX_SIZE, &x); }
    else if (IS("access")) access("file", R_OK);
    else if (IS("faccessat")) faccessat(sub(), "inner", R_OK, 0);
    else if (IS("faccessat2")) syscall(439, AT_FDCWD, "file", R_OK, AT_EACCESS);
    else if (IS("readlink")) readlink("link", text, sizeof text);
    else if (IS("readlink-file")) readlink("file", text, sizeof text);
    else if (IS("statfs")) statfs("file", &system_status);
    else if (IS("inotify")) inotify_add_watch(inotify_init(), "file", IN_MODIFY);
    else if (IS("chdir")) { chdir("sub"); open("inner", O_RDONLY); }
    else if (IS("fchdir")) { fchdir(sub()); open("inner", O_RDONLY); }
    else if (IS("list")) readdir(opendir("sub"));
    else if (IS("gone")) open("gone", O_RDONLY);
    else if (IS("not-a-folder")) open("file/below", O_RDONLY);
    else if (IS("gone-stat")) stat("gone/deeper", &status);
    else if (IS("gone-program")) execl("gone", "gone", (char *)0);
    else if (IS("found-later")) { open("late", O_RDONLY); creat("late", 0600); open("late", O_RDONLY); }
    else if (IS("dots")) open("./sub/..//file", O_RDONLY);
    else if (IS("dots-of-a-link")) open("way/../inner", O_RDONLY);
    else if (IS("link")) open("link", O_RDONLY);
    else if (IS("link-folder")) open("way/../../file", O_RDONLY);
    else if (IS("update")) open("file", O_RDWR);
    else if (IS("exclusive")) open("file", O_CREAT | O_EXCL | O_RDWR, 0600);
    else if (IS("empty")) open("", O_RDONLY);
    else if (IS("wild")) syscall(SYS_openat, AT_FDCWD, (char *)1, O_RDONLY);
    else if (IS("socket")) { at("file"); at("gone"); }
    else if (IS("fork")) { if (!fork()) { stat("file", &status); _exit(0); } wait(0); }
    else if (IS("vfork")) { if (!vfork()) { execl("/bin/cat", "cat", "file", (char *)0); _exit(1); } wait(0); }
    else if (IS("spawn")) { char *words[] = {"cat", "file", 0}; posix_spawn(&child, "/bin/cat", 0, 0, words, environ); wait(0); }
    else if (IS("thread")) { pthread_create(&thread, 0, look, 0); pthread_join(thread, 0); }
    else if (IS("exec-in-thread")) { pthread_create(&thread, 0, become, 0); pause(); }
    else if (IS("descriptor")) { char *words[] = {"cat", "file", 0}; fexecve(open("/bin/cat", O_RDONLY), words, environ); }
    else if (IS("itself")) { if (count < 3) execl("/proc/self/exe", "probe", what, "again", (char *)0); stat("file", &status); }
    else if (IS("io_uring")) puts(syscall(425, 1, 0) < 0 && errno == ENOSYS ? "none" : "some");
#if defined(__x86_64__)
    else if (IS("compat")) {
        static char name[] = "file";
        long result;
        __asm__ volatile("int $0x80" : "=a"(result) : "a"(5L), "b"((long)name), "c"(0L) : "memory", "r8", "r9", "r10", "r11");
    }
#endif
    else return 1;
    return 0;
}
"#;

/// An argument of the probe, and what it shows below the folder.
type Row = (&'static str, &'static [&'static str]);

const CALLS: &[Row] = &[
    ("openat", &["opened file"]),
    ("absolute", &["opened file"]),
    ("folder", &["opened sub", "opened sub/inner"]),
    ("openat2", &["opened file"]),
    ("stat", &["opened file"]),
    ("lstat", &["opened link"]),
    ("fstatat", &["opened sub", "opened sub/inner"]),
    ("statx", &["opened file"]),
    ("access", &["opened file"]),
    ("faccessat", &["opened sub", "opened sub/inner"]),
    ("faccessat2", &["opened file"]),
    ("readlink", &["opened link"]),
    ("readlink-file", &["opened file"]),
    ("statfs", &["opened file"]),
    ("inotify", &["opened file"]),
    ("chdir", &["opened sub", "opened sub/inner"]),
    ("fchdir", &["opened sub", "opened sub/inner"]),
    ("list", &["listed sub", "opened sub"]),
    ("gone", &["missing gone"]),
    ("not-a-folder", &["missing file/below"]),
    ("gone-stat", &["missing gone/deeper"]),
    ("gone-program", &["missing gone"]),
    ("found-later", &["opened late"]),
    ("dots", &["opened file"]),
    ("dots-of-a-link", &["opened sub/inner"]),
    ("link", &["opened link"]),
    ("link-folder", &["opened file"]),
    ("update", &["opened file"]),
    ("exclusive", &["opened file"]),
    ("empty", &[]),
    ("wild", &[]),
    ("socket", &["missing gone"]),
    ("fork", &["opened file"]),
    ("vfork", &["opened file"]),
    ("spawn", &["opened file"]),
    ("thread", &["opened file"]),
    ("exec-in-thread", &["opened file"]),
    ("descriptor", &["opened file"]),
    ("itself", &["opened file"]),
    #[cfg(target_arch = "x86_64")]
    ("compat", &["opened file"]),
];

fn check(options: &[&str], rows: &[Row]) {
    let scratch = Scratch::new("trace-calls");
    let data = data(&scratch);
    let Some(probe) = compile(&scratch, options, PROBE) else { return };
    for (what, expected) in rows {
        traced(&scratch, &[probe.to_str().unwrap(), what], 0);
        let found = below(&data, &profile(&scratch));
        assert_eq!(found, *expected, "{what}");
        std::fs::remove_file(data.join("late")).ok();
    }
}

#[test]
fn every_call_that_names_a_file_is_seen() {
    // A fixed address below 4 GB is what a call of the old table can name.
    check(&["-pthread", "-no-pie"], CALLS);
}

#[test]
fn a_static_program_is_seen_as_well() {
    let rows = ["openat", "folder", "stat", "list", "gone", "thread", "vfork"];
    let rows: Vec<Row> = CALLS.iter().filter(|(what, _)| rows.contains(what)).copied().collect();
    assert_eq!(rows.len(), 7);
    check(&["-pthread", "-static"], &rows);
}

#[test]
fn programs_are_known_by_the_path_by_which_they_were_executed() {
    let scratch = Scratch::new("trace-programs");
    data(&scratch);
    let Some(probe) = compile(&scratch, &["-pthread"], PROBE) else { return };
    let probe = probe.to_str().unwrap();
    let real = std::fs::canonicalize("/bin/cat").unwrap();
    let script = scratch.file("data/script", "#!/bin/sh\n/bin/cat file >/dev/null\n");
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    for (command, programs) in [
        (&[probe, "openat"][..], vec![probe]),
        (&[probe, "vfork"], vec!["/bin/cat", probe]),
        (&[probe, "spawn"], vec!["/bin/cat", probe]),
        (&[probe, "exec-in-thread"], vec!["/bin/cat", probe]),
        // A descriptor has no path but the kernel's.
        (&[probe, "descriptor"], vec![real.to_str().unwrap(), probe]),
        (&[probe, "itself"], vec![probe]),
        // The interpreter is the kernel's to find; the script is what was executed.
        (&["./script"], vec!["/bin/cat", script.to_str().unwrap()]),
        (&["cat", "file"], vec!["/usr/bin/cat"]),
    ] {
        traced(&scratch, command, 0);
        let mut found: Vec<String> =
            profile(&scratch).programs.keys().map(ToString::to_string).collect();
        found.sort_by_key(|path| !path.ends_with("/cat"));
        assert_eq!(found, programs, "{command:?}");
    }
}

#[test]
fn who_is_spoken_to_is_told() {
    let scratch = Scratch::new("trace-socket");
    let data = data(&scratch);
    let Some(probe) = compile(&scratch, &["-pthread"], PROBE) else { return };
    std::fs::remove_file(data.join("file")).unwrap();
    let server = std::os::unix::net::UnixListener::bind(data.join("file")).unwrap();
    let said = traced(&scratch, &[probe.to_str().unwrap(), "socket"], 0).errors();
    assert!(said.contains("spoke to whoever listens at"), "{said}");
    drop(server);
    let said = traced(&scratch, &[probe.to_str().unwrap(), "socket"], 0).errors();
    assert!(!said.contains("spoke"), "{said}");
}

const HIDES: &str = "#include <fcntl.h>\n#include <sys/prctl.h>\n\
    int main(void) { prctl(PR_SET_DUMPABLE, 0); open(\"file\", O_RDONLY); return 0; }";

#[test]
fn who_hides_from_its_user_is_told() {
    if !require::root() {
        return;
    }
    let scratch = Scratch::of_user("trace-hides", 65533);
    data(&scratch);
    let Some(probe) = compile(&scratch, &[], HIDES) else { return };
    let said = traced(&scratch, &[probe.to_str().unwrap()], 0).errors();
    assert!(said.contains("hides its memory"), "{said}");
}

#[test]
fn files_cannot_be_opened_behind_the_filter() {
    let scratch = Scratch::new("trace-uring");
    data(&scratch);
    let Some(probe) = compile(&scratch, &["-pthread"], PROBE) else { return };
    let outcome = traced(&scratch, &[probe.to_str().unwrap(), "io_uring"], 0);
    assert_eq!(outcome.text(), "none");
}

const CHANGES_ROOT: &str = "#include <fcntl.h>\n#include <unistd.h>\nint main(void) {\n\
     if (chroot(\"sub\")) return 1;\n open(\"/inner\", O_RDONLY); return 0; }";

#[test]
fn what_was_opened_after_a_change_of_root_is_not_recorded_and_told() {
    if !require::root() {
        return;
    }
    let scratch = Scratch::new("trace-chroot");
    let data = data(&scratch);
    let Some(probe) = compile(&scratch, &[], CHANGES_ROOT) else { return };
    let outcome = traced(&scratch, &[probe.to_str().unwrap()], 0);
    assert!(outcome.errors().contains("changed its root"), "{outcome:?}");
    assert!(below(&data, &profile(&scratch)).is_empty());
    let seen = &profile(&scratch).programs[&ImagePath::new(probe.to_str().unwrap()).unwrap()];
    assert!(!seen.opened.is_empty(), "what came before is recorded");
}
