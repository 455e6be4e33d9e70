//! Programs whose libraries open modules and data by themselves: without their rules they start, and do nothing.

use std::fs;

use tests::outcome::run;
use tests::require;
use tests::scratch::Scratch;

#[test]
fn file_knows_a_program_and_a_script() {
    if !require::root() || require::program("file").is_none() {
        return;
    }
    let scratch = Scratch::new("file");
    scratch.pack(&["file"]);
    let script = scratch.file("script", "#!/bin/sh\necho\n");
    let volume = format!("{}:/script:ro", script.display());
    let options = ["--volume", &volume];
    let outcome = run(&mut scratch.launch(&options, "file", &["-b", "/script"])).ok();
    assert!(outcome.text().starts_with("POSIX shell script"), "{outcome:?}");
    let outcome = run(&mut scratch.launch(&[], "file", &["-bL", "/usr/bin/file"])).ok();
    assert!(outcome.text().starts_with("ELF 64-bit LSB"), "{outcome:?}");
}

/// GIF is no format that gdk-pixbuf has built in: the loader comes as a module, by its list, and the format is
/// told by the MIME database.
#[test]
fn gdk_pixbuf_reads_a_format_that_is_a_module() {
    let name = "gdk-pixbuf-thumbnailer";
    if !require::root() || require::program(name).is_none() {
        return;
    }
    // One black pixel.
    let gif =
        b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";
    let scratch = Scratch::new("pixbuf");
    let folder = scratch.subfolder("pictures");
    fs::write(folder.join("one.gif"), gif).unwrap();
    let volume = format!("{}:/pictures", folder.display());
    let thumbnail = |image: &str| {
        let arguments = ["/pictures/one.gif", "/pictures/one.png"];
        run(&mut scratch.launch(&["--volume", &volume], image, &arguments))
    };
    scratch.pack(&["-t", "with", name]);
    thumbnail("with").ok();
    assert!(fs::read(folder.join("one.png")).unwrap().starts_with(b"\x89PNG"));
    for rule in ["gdk-pixbuf", "mime"] {
        scratch.pack(&["-t", "without", "--no-rule", rule, name]);
        assert!(!thumbnail("without").status.success(), "{rule} is not needed");
    }
}

#[test]
fn fontconfig_finds_the_font_of_the_image() {
    if !require::root()
        || require::program("fc-match").is_none()
        || require::file("/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf").is_none()
    {
        return;
    }
    let scratch = Scratch::new("fonts");
    scratch.pack(&["fc-match"]);
    let outcome = run(&mut scratch.launch(&[], "fc-match", &["-f", "%{file}", "monospace"])).ok();
    assert_eq!(outcome.text(), "/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf");
}

#[test]
fn zones_that_were_named_are_known_and_the_first_is_local() {
    if !require::root() || require::file("/usr/share/zoneinfo/Asia/Tokyo").is_none() {
        return;
    }
    let scratch = Scratch::new("zones");
    scratch.pack(&["--zone", "Asia/Tokyo", "--zone", "America/New_York", "date"]);
    let hour = |options: &[&str]| {
        run(&mut scratch.launch(options, "date", &["-d", "@0", "+%H %Z"])).ok().text()
    };
    assert_eq!(hour(&[]), "09 JST");
    assert_eq!(hour(&["--env", "TZ=America/New_York"]), "19 EST");
    // glibc takes the first letters of a zone that it does not know for its name, and UTC for its time.
    assert_eq!(hour(&["--env", "TZ=Europe/Berlin"]), "00 Europe");
}

/// The locale is made in a root of its own: this machine's is left alone.
#[test]
fn a_locale_is_used_by_a_program() {
    let source = "/usr/share/i18n/locales/de_DE";
    let (Some(localedef), Some(_)) = (require::program("localedef"), require::file(source)) else {
        return;
    };
    if !require::root() {
        return;
    }
    let scratch = Scratch::new("german");
    let root = scratch.subfolder("root");
    let mut build = scratch.coracle();
    build.args(["build", "-q", "--force", "/usr/bin/date", "-o"]);
    run(build.arg(format!("{}/", root.display()))).ok();
    fs::create_dir_all(root.join("usr/lib/locale")).unwrap();
    let mut make = scratch.command(&localedef);
    make.args(["-i", "de_DE", "-f", "UTF-8"]).arg(format!("--prefix={}", root.display()));
    run(make.arg("de_DE.UTF-8")).ok();
    assert!(root.join("usr/lib/locale/locale-archive").is_file());
    scratch.pack(&[
        "--sysroot".as_ref(),
        root.as_os_str(),
        "--locale".as_ref(),
        "de_DE.UTF-8".as_ref(),
        "/usr/bin/date".as_ref(),
    ]);
    let options = ["--env", "LC_ALL=de_DE.UTF-8"];
    let outcome = run(&mut scratch.launch(&options, "date", &["-u", "-d", "@0", "+%A"])).ok();
    assert_eq!(outcome.text(), "Donnerstag");
    let outcome = run(&mut scratch.launch(&[], "date", &["-u", "-d", "@0", "+%A"])).ok();
    assert_eq!(outcome.text(), "Thursday");
}
