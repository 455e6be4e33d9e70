//! Locales and time zones that a recipe names.

use std::fs;
use std::path::Path;
use std::process::Command;

use builder::plan::{Node, Plan, Source};
use common::report::Diagnostic as _;
use tests::outcome::run;
use tests::require;
use tests::scratch::Scratch;

use super::{APP, Root, app};

fn root() -> Root {
    let root = Root::new();
    root.object(APP, &app(&[], &[]));
    for path in ["de_DE.utf8/LC_TIME", "de_DE.utf8/LC_MESSAGES/SYS_LC_MESSAGES", "en_US/LC_TIME"] {
        root.text(&format!("/usr/lib/locale/{path}"), "x");
    }
    for zone in ["Europe/Berlin", "Asia/Kolkata", "UTC"] {
        root.text(&format!("/usr/share/zoneinfo/{zone}"), "x");
    }
    root.link("/usr/share/zoneinfo/Asia/Calcutta", "Kolkata");
    root
}

/// Paths below the two folders, and `/etc/localtime`; links with what they say.
fn dump(plan: &Plan) -> String {
    let below = ["/usr/lib/locale/", "/usr/share/zoneinfo/", "/etc/localtime"];
    let lines = plan.entries.iter().filter_map(|(path, entry)| {
        let path = path.to_string();
        let start = below.iter().find(|start| path.starts_with(**start))?;
        let name = if *start == "/etc/localtime" { &path } else { &path[start.len()..] };
        match &entry.node {
            Node::Folder { .. } => None,
            Node::Link { target } => Some(format!("{name} -> {target}")),
            _ => Some(name.to_owned()),
        }
    });
    lines.collect::<Vec<_>>().join(", ")
}

#[test]
fn locales_and_zones_are_files_of_the_root() {
    let root = root();
    for (keys, expected) in [
        ("locales = [\"C\", \"POSIX\"]", ""),
        (
            "locales = [\"de_DE.UTF-8\"]",
            "de_DE.utf8/LC_MESSAGES/SYS_LC_MESSAGES, de_DE.utf8/LC_TIME",
        ),
        ("locales = [\"en_US\"]", "en_US/LC_TIME"),
        (
            "zones = [\"Europe/Berlin\", \"UTC\"]",
            "/etc/localtime -> /usr/share/zoneinfo/Europe/Berlin, Europe/Berlin, UTC",
        ),
        (
            "zones = [\"Asia/Calcutta\"]",
            "/etc/localtime -> /usr/share/zoneinfo/Asia/Calcutta, Asia/Calcutta -> Kolkata, Asia/Kolkata",
        ),
        (
            "zones = [\"UTC\"]\n[[files]]\nsource = \"/usr/share/zoneinfo/Europe/Berlin\"\ndestination = \"/etc/localtime\"",
            "/etc/localtime, UTC",
        ),
    ] {
        let (plan, _) = root.plan(&format!("executables = [{APP:?}]\n{keys}"), None).unwrap();
        assert_eq!(dump(&plan), expected, "{keys}");
    }
}

#[test]
fn unknown_names_are_told_with_near_ones() {
    let root = root();
    let check = |keys: &str, message: &str, hint: &str| {
        let recipe = format!("executables = [{APP:?}]\n{keys}");
        let error = root.plan(&recipe, None).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert_eq!(error.hint().unwrap(), hint);
    };
    check(
        "locales = [\"de_AT.UTF-8\"]",
        "the root has no locale `de_AT.UTF-8`",
        "it has de_DE.utf8; to make it: localedef --no-archive -i de_AT -f UTF-8 de_AT.UTF-8",
    );
    check(
        "locales = [\"fr_FR.ISO-8859-15@euro\"]",
        "the root has no locale `fr_FR.ISO-8859-15@euro`",
        "to make it: localedef --no-archive -i fr_FR@euro -f ISO-8859-15 fr_FR.ISO-8859-15@euro",
    );
    let zones = "zones are the files below /usr/share/zoneinfo";
    let hint = format!("it has Europe/Berlin; {zones}");
    check("zones = [\"Berlin\"]", "the root has no time zone `Berlin`", &hint);
    check("zones = [\"Europe\"]", "the root has no time zone `Europe`", &hint);
    fs::remove_dir_all(root.at("/usr/share/zoneinfo")).unwrap();
    check("zones = [\"UTC\"]", "the root has no time zone `UTC`", "install tzdata in the root");
    root.text("/usr/lib/locale/locale-archive", "no archive");
    check(
        "locales = [\"fr_FR\"]",
        "cannot take a locale out of `/usr/lib/locale/locale-archive`",
        "make the locale as a folder: localedef --no-archive -i de_DE -f UTF-8 de_DE.UTF-8",
    );
}

/// What is taken out of an archive is what localedef writes without one.
#[test]
fn a_locale_of_an_archive_is_the_same_files() {
    let source = "/usr/share/i18n/locales/de_DE";
    let (Some(localedef), Some(_)) = (require::program("localedef"), require::file(source)) else {
        return;
    };
    let scratch = Scratch::new("locale");
    let (archived, plain) = (root(), scratch.subfolder("plain"));
    let below = |root: &Path| root.join("usr/lib/locale");
    for path in ["de_DE.utf8", "en_US"] {
        fs::remove_dir_all(below(archived.0.path()).join(path)).unwrap();
    }
    fs::create_dir_all(below(&plain)).unwrap();
    for territory in ["de_DE", "de_AT"] {
        let mut compile = Command::new(&localedef);
        compile.args(["--no-archive", "-i", territory, "-f", "UTF-8"]);
        compile.arg(format!("--prefix={}", plain.display()));
        run(compile.arg(format!("{territory}.UTF-8"))).ok();
        let mut archive = Command::new(&localedef);
        archive.arg("--add-to-archive").arg(format!("--prefix={}", archived.0.path().display()));
        run(archive.arg(below(&plain).join(format!("{territory}.utf8")))).ok();
    }
    let recipe = format!("executables = [{APP:?}]\nlocales = [\"de_DE.UTF-8\", \"de_AT.UTF-8\"]");
    let (plan, _) = archived.plan(&recipe, None).unwrap();
    let once = plan.entries.values().filter(|entry| {
        matches!(&entry.node, Node::File { source: Source::Part { size, .. }, .. } if *size > 1 << 20)
    });
    assert_eq!(once.count(), 1, "the collation of two locales is the same");
    let image = scratch.path().join("image");
    let file = scratch.file("l.toml", recipe);
    let mut build = scratch.coracle();
    build.args(["build", "-q", "--sysroot"]).arg(archived.0.path()).arg(&file);
    run(build.arg("-o").arg(format!("{}/", image.display()))).ok();
    let mut diff = Command::new("diff");
    diff.arg("-r").arg(plain.join("usr/lib/locale")).arg(image.join("usr/lib/locale"));
    run(&mut diff).ok();
}
