//! `coracle build`: what it refuses and how it says so, where outputs appear, and why files are
//! there.
#![expect(clippy::unwrap_used, reason = "in a test, what cannot fail may panic")]

mod halted;
mod libraries;
mod refused;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use common::digest::Digest;
use common::tree::dump::dump_tar;
use tests::elf;
use tests::outcome::run;
use tests::require;
use tests::scratch::Scratch;

/// Runs `coracle ARGUMENTS`, which must fail with this status, and returns what it said, with the
/// test's folder as `DIR`.
#[track_caller]
fn refused(scratch: &Scratch, arguments: &[&str], status: i32) -> String {
    let outcome = run(scratch.coracle().args(arguments)).exits(status);
    assert_eq!(outcome.text(), "", "an error has nothing for standard output");
    outcome.errors().replace(scratch.path().to_str().unwrap(), "DIR")
}

/// The entries of a plain tarball, one line each.
fn listing(scratch: &Scratch, arguments: &[&str]) -> String {
    let out = scratch.path().join("listing.tar");
    let mut command: Command = scratch.coracle();
    command.args(["build", "-q", "--force", "-o"]).arg(&out).args(arguments);
    run(&mut command).ok();
    dump_tar(fs::File::open(out).unwrap()).unwrap()
}

/// What is left of unfinished outputs.
fn temporary(folder: &Path) -> Vec<String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with('.'))
        .collect()
}

#[test]
fn a_link_to_a_folder_is_packed_as_the_folder_where_it_is_sent_elsewhere() {
    let scratch = Scratch::new("linked");
    fs::write(scratch.subfolder("real").join("f"), "x").unwrap();
    symlink("real", scratch.path().join("alias")).unwrap();
    scratch.file(
        "recipe.toml",
        "name = \"n\"\n[[files]]\nsource = \"alias\"\ndestination = \"/data\"\n",
    );
    let list = listing(&scratch, &["recipe.toml"]);
    assert!(list.contains("0755 0:0 dir - /data\n"), "{list}");
    assert!(list.contains("0644 0:0 file 1 /data/f "), "{list}");
}

#[test]
fn recipes_place_files_and_configure_the_image() {
    let scratch = Scratch::new("recipe");
    let data = scratch.subfolder("conf/sub");
    fs::write(data.join("b.conf"), "b").unwrap();
    fs::write(data.parent().unwrap().join("a.conf"), "a").unwrap();
    fs::write(data.parent().unwrap().join("script"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(data.parent().unwrap().join("script"), fs::Permissions::from_mode(0o700))
        .unwrap();
    scratch.file(
        "recipe.toml",
        r#"
        name = "site"
        user = "1000:2000"
        workdir = "/srv/site"
        volumes = ["/srv/data"]
        stop-signal = "QUIT"
        ports = ["80"]
        cmd = ["serve"]
        entrypoint = ["/bin/site"]
        [[files]]
        source = "conf/*.conf"
        destination = "/etc/site/"
        [[files]]
        source = "conf/sub"
        destination = "/etc/site/"
        [[files]]
        source = "conf/script"
        destination = "/bin/site"
        "#,
    );
    let list = listing(&scratch, &["recipe.toml"]);
    let of_recipe: Vec<&str> = list
        .lines()
        .filter(|line| line.contains("site") || line.contains("/srv") || line.contains(" /tmp"))
        .collect();
    assert_eq!(
        of_recipe,
        [
            "0755 0:0 dir - /etc/site",
            "0644 0:0 file 1 /etc/site/a.conf ca978112ca1b",
            "0755 0:0 dir - /etc/site/sub",
            "0644 0:0 file 1 /etc/site/sub/b.conf 3e23e8160039",
            "0755 0:0 dir - /srv",
            "1777 1000:2000 dir - /srv/data",
            "0755 0:0 dir - /srv/site",
            "1777 0:0 dir - /tmp",
            "0755 0:0 file 10 /usr/bin/site a8076d3d28d2",
        ]
    );
    run(scratch.coracle().args(["build", "-q", "recipe.toml"])).ok();
    let text = run(scratch.coracle().args(["inspect", "--json", "site"])).ok().text();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        value["config"]["config"],
        serde_json::json!({
            "Cmd": ["serve"], "Entrypoint": ["/bin/site"], "ExposedPorts": {"80/tcp": {}},
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "StopSignal": "SIGQUIT", "User": "1000:2000", "Volumes": {"/srv/data": {}},
            "WorkingDir": "/srv/site",
        })
    );
}

#[test]
fn every_format_holds_the_same_root() {
    if !require::root() {
        return;
    }
    let scratch = Scratch::new("formats");
    let path = |name: &str| scratch.path().join(name);
    for output in ["o.tar", "o.tar.gz", "o.tar.zst", "o.oci.tar", "o.oci", "folder/"] {
        let said =
            run(scratch.coracle().args(["build", "-q", "/bin/sh", "-o", output])).ok().text();
        if output.starts_with("o.tar") {
            assert_eq!(said, Digest::of(&fs::read(path(output)).unwrap()).to_string());
        }
        assert_eq!(said.is_empty(), output == "folder/");
    }
    run(scratch.coracle().args(["build", "-q", "/bin/sh", "--format", "oci-dir", "-o", "layout"]))
        .ok();
    let dump = dump_tar(fs::File::open(path("o.tar")).unwrap()).unwrap();
    let gzip = flate2::read::GzDecoder::new(fs::File::open(path("o.tar.gz")).unwrap());
    assert_eq!(dump, dump_tar(gzip).unwrap());
    let zstd = zstd::Decoder::new(fs::File::open(path("o.tar.zst")).unwrap()).unwrap();
    assert_eq!(dump, dump_tar(zstd).unwrap());
    assert_eq!(fs::read(path("o.oci")).unwrap(), fs::read(path("o.oci.tar")).unwrap());
    let files =
        |image: &str| run(scratch.coracle().args(["inspect", "--files", image])).ok().text();
    assert_eq!(files("./o.oci.tar"), files("./layout"));
    assert_eq!(files("./layout").lines().count(), dump.lines().count());
    let shell = run(Command::new("/usr/sbin/chroot")
        .arg(path("folder"))
        .args(["/bin/sh", "-c", "echo ok"]));
    assert_eq!(shell.ok().text(), "ok");
    let mode = fs::metadata(path("folder/tmp")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o1777);
    // Replaced only when asked to.
    run(scratch.coracle().args(["build", "-q", "/bin/sh", "-o", "folder/"])).exits(1);
    fs::write(path("folder/mine"), "x").unwrap();
    run(scratch.coracle().args(["build", "-q", "/bin/sh", "--force", "-o", "folder/"])).ok();
    assert!(!path("folder/mine").exists() && path("folder/usr").is_dir());
    assert_eq!(temporary(scratch.path()), Vec::<String>::new());
}

#[test]
fn what_the_search_passes_over_is_told() {
    let scratch = Scratch::new("warned");
    run(scratch.coracle().args(["build", "--dry-run", "--library-path", "here", "/bin/sh"]))
        .ok()
        .says(&["warning: the search path `here` has an element that means the working directory"]);
}

#[test]
fn a_file_of_the_same_name_does_not_hide_an_image_of_the_store() {
    let scratch = Scratch::new("names");
    scratch.pack(&["/bin/bash"]);
    scratch.file("bash", "no image");
    run(scratch.coracle().args(["inspect", "bash"])).ok();
    let said = refused(&scratch, &["inspect", "./bash"], 1);
    assert!(said.starts_with("error: `./bash` "), "{said}");
    // Without a place for a store, files can still be read.
    run(scratch.coracle().args(["build", "-q", "/bin/bash", "-o", "o.oci.tar"])).ok();
    let mut inspect = scratch.coracle();
    inspect.env_remove("CORACLE_STORE").env_remove("HOME").env_remove("XDG_DATA_HOME");
    let text = run(inspect.args(["inspect", "--json", "--files", "o.oci.tar"])).ok().text();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let paths = value["layers"][0]["paths"].as_array().unwrap();
    assert!(
        paths.contains(
            &serde_json::json!({"path": "/etc/hostname", "kind": "file", "mode": 420, "size": 0})
        ),
        "{text}"
    );
}

#[test]
fn a_program_with_python_inside_has_the_modules_of_every_layout() {
    for (library_folder, modules) in [
        ("usr/lib/x86_64-linux-gnu", "usr/lib/python3.9"),
        ("usr/lib64", "usr/lib64/python3.9"),
        ("usr/lib", "usr/lib/python3.9"),
    ] {
        let scratch = Scratch::new("python");
        let root = scratch.subfolder("root");
        let loader = "/lib64/ld-linux-x86-64.so.2";
        elf::library("ld-linux-x86-64.so.2", &[]).write(&root.join(&loader[1..]));
        let name = "libpython3.9.so.1.0";
        elf::library(name, &[]).write(&root.join(library_folder).join(name));
        elf::program(loader, &[name])
            .runpath(&format!("/{library_folder}"))
            .write(&root.join("usr/bin/editor"));
        let extension = format!("{modules}/lib-dynload/_x.so");
        elf::library("_x.so", &[]).write(&root.join(&extension));
        fs::write(root.join(modules).join("os.py"), "").unwrap();
        fs::create_dir(root.join(modules).join("test")).unwrap();
        let wanted = ["--python-modules", "os,_x"];
        let options = [&["--sysroot", root.to_str().unwrap(), "editor"], &wanted[..]].concat();
        let list = listing(&scratch, &options);
        assert!(list.contains(&format!(" /{modules}/os.py")), "{list}");
        assert!(list.contains(&format!(" /{extension}")), "{list}");
        assert!(!list.contains(&format!(" /{modules}/test")), "{list}");
    }
}

#[test]
fn certificates_by_hash_are_shipped_only_where_there_is_no_bundle_for_openssl() {
    for bundle in [None, Some("usr/lib/ssl/cert.pem"), Some("etc/ssl/cert.pem")] {
        let scratch = Scratch::new("certificates");
        let root = scratch.subfolder("root");
        let loader = "/lib64/ld-linux-x86-64.so.2";
        elf::library("ld-linux-x86-64.so.2", &[]).write(&root.join(&loader[1..]));
        elf::library("libssl.so.3", &[]).write(&root.join("usr/lib/libssl.so.3"));
        elf::program(loader, &["libssl.so.3"]).write(&root.join("usr/bin/client"));
        for path in bundle.into_iter().chain(["etc/ssl/certs/0a1b2c3d.0"]) {
            fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            fs::write(root.join(path), "certificate").unwrap();
        }
        let list = listing(&scratch, &["--sysroot", root.to_str().unwrap(), "client"]);
        assert_eq!(list.contains("/0a1b2c3d.0"), bundle.is_none(), "{list}");
        assert!(bundle.is_none_or(|bundle| list.contains(&format!(" /{bundle} "))), "{list}");
    }
}

#[test]
fn an_image_says_why_each_file_is_there() {
    let scratch = Scratch::new("why");
    scratch.pack(&["/bin/bash"]);
    let why = |path: &str| run(scratch.coracle().args(["why", "bash", path])).ok().text();
    let libc = run(Command::new("/bin/sh")
        .args(["-c", "ldd /bin/bash | sed -n 's/.*=> \\(.*libc.so.6\\).*/\\1/p'"]));
    let libc = fs::canonicalize(libc.ok().text().trim()).unwrap();
    let said = why(libc.to_str().unwrap());
    assert!(said.contains("needed `libc.so.6` of /usr/bin/bash"), "{said}");
    assert!(said.contains("/usr/bin/bash: asked for by name"), "{said}");
    assert!(why("/etc/nsswitch.conf").contains("rule nss: "), "{}", why("/etc/nsswitch.conf"));
    assert!(why("/tmp").contains("every image has it"), "{}", why("/tmp"));
    // By another way, and the reason of a link is the reason of what it leads to.
    let link = why("/lib64/ld-linux-x86-64.so.2");
    assert!(link.contains("interpreter `/lib64/ld-linux-x86-64.so.2` of /usr/bin/bash"), "{link}");
    let said = refused(&scratch, &["why", "bash", "/nope"], 1);
    assert_eq!(
        said,
        "error: the image has no `/nope`\nhint: `coracle inspect --files IMAGE` lists its paths\n"
    );
    let said = refused(&scratch, &["why", "nope", "/"], 1);
    assert_eq!(
        said,
        "error: there is neither an image nor a program `nope`\nhint: `coracle images` lists what is in \
         the store; a program is found on PATH, or named by its path\n"
    );
}
