//! Each rule that comes with coracle: what makes it fire, and what it ships.

use std::path::Path;

use tests::elf::{Elf, library};

use super::{APP, Root, app, long, shipped};

/// A root, and what one rule ships of it.
struct Case {
    rule: &'static str,
    /// Sonames that the program needs.
    needs: &'static [&'static str],
    /// Symbols that it imports.
    symbols: &'static [&'static str],
    /// Paths of the root; `+` in front of what is shipped, `-` of what is not. Where ` = ` follows, what stands in it;
    /// else what ends in `.so` is an object (or say ` = ELF`).
    root: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case {
        rule: "pam",
        needs: &["libpam.so.0"],
        symbols: &[],
        root: &[
            "+/etc/pam.d/login = auth required pam_unix.so nullok\n# pam_debug.so\nsession optional pam_systemd.so",
            "+/etc/pam.conf",
            "+/etc/security/limits.conf",
            "-/etc/security/opasswd",
            "+L/security/pam_unix.so",
            "-L/security/pam_debug.so",
            "-L/security/pam_systemd.so",
        ],
    },
    Case {
        rule: "sasl",
        needs: &["libsasl2.so.2"],
        symbols: &[],
        root: &["+/etc/sasl2/app.conf", "+L/sasl2/libplain.so", "-L/sasl2/libsasldb.so"],
    },
    Case {
        rule: "sasl-server",
        needs: &["libsasl2.so.2"],
        symbols: &["sasl_server_new"],
        root: &["-L/sasl2/libplain.so", "+L/sasl2/libsasldb.so"],
    },
    Case {
        rule: "sasl-server",
        needs: &["libsasl2.so.2"],
        symbols: &["sasl_client_new"],
        root: &["-L/sasl2/libsasldb.so"],
    },
    Case {
        rule: "krb5",
        needs: &["libkrb5.so.3"],
        symbols: &[],
        root: &[
            "+/etc/krb5.conf",
            "+/etc/krb5.conf.d/realm",
            "+/etc/gss/mech.d/x.conf",
            "+L/krb5/plugins/preauth/spake.so",
            "-L/krb5/plugins/kdb/db2.so",
            "+L/gss/mech_x.so",
            "-/etc/krb5.keytab",
        ],
    },
    Case {
        rule: "p11-kit",
        needs: &["libp11-kit.so.0"],
        symbols: &[],
        root: &[
            "+/usr/share/p11-kit/modules/t.module = module: p11-kit-trust.so",
            "+L/pkcs11/p11-kit-trust.so",
            "-L/pkcs11/p11-kit-client.so",
        ],
    },
    Case {
        rule: "mozilla-nss",
        needs: &["libnss3.so"],
        symbols: &[],
        root: &["+L/libsoftokn3.so", "+L/libfreebl3.so", "+L/libnssckbi.so", "-L/libother.so"],
    },
    Case {
        rule: "magic",
        needs: &["libmagic.so.1"],
        symbols: &[],
        root: &["+/usr/share/misc/magic.mgc", "+/etc/magic", "-/usr/share/misc/other"],
    },
    Case {
        rule: "fontconfig",
        needs: &["libfontconfig.so.1"],
        symbols: &[],
        root: &[
            "+/etc/fonts/fonts.conf",
            "+/etc/fonts/conf.d/10-a.conf",
            "-/etc/fonts/conf.avail/20-b.conf",
            "-/var/cache/fontconfig/c",
        ],
    },
    Case {
        rule: "fonts",
        needs: &["libfontconfig.so.1"],
        symbols: &[],
        root: &[
            "+/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
            "+/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf",
            "-/usr/share/fonts/truetype/dejavu/DejaVuSerif.ttf",
            "-/usr/share/fonts/noto/NotoSans-Regular.ttf",
        ],
    },
    Case {
        rule: "fonts",
        needs: &["libfontconfig.so.1"],
        symbols: &[],
        root: &[
            "+/usr/share/fonts/noto/NotoSans-Regular.ttf",
            "-/usr/share/fonts/noto/NotoSansThai-Regular.ttf",
            "-/usr/share/fonts/LiberationSans-Regular.ttf",
        ],
    },
    Case {
        rule: "icu",
        needs: &["libicuuc.so.72"],
        symbols: &[],
        root: &["+/usr/share/icu/72.1/icudt72l.dat", "-/usr/share/icu/71.1/icudt71l.dat"],
    },
    Case {
        rule: "mime",
        needs: &["libgio-2.0.so.0"],
        symbols: &["g_content_type_guess"],
        root: &["+/usr/share/mime/mime.cache", "-/usr/share/mime/globs2"],
    },
    Case {
        rule: "mime",
        needs: &["libgio-2.0.so.0"],
        symbols: &["g_file_new_for_path"],
        root: &["-/usr/share/mime/mime.cache"],
    },
    Case {
        rule: "gsettings",
        needs: &["libgio-2.0.so.0"],
        symbols: &["g_settings_new"],
        root: &["+/usr/share/glib-2.0/schemas/gschemas.compiled"],
    },
    Case {
        rule: "gtk",
        needs: &["libgtk-3.so.0"],
        symbols: &[],
        root: &[
            "+L/gtk-3.0/3.0.0/immodules/im-xim.so",
            "+L/gtk-3.0/3.0.0/printbackends/libprintbackend-file.so",
            "-L/gtk-3.0/3.0.0/printbackends/libprintbackend-cups.so",
            "+/etc/gtk-3.0/settings.ini",
            "-L/gtk-4.0/4.0.0/immodules/libim.so",
            "-/etc/gtk-4.0/settings.ini",
            "+/usr/share/icons/hicolor/index.theme",
            "-/usr/share/icons/Adwaita/index.theme",
        ],
    },
    Case {
        rule: "qt",
        needs: &["libQt5Gui.so.5"],
        symbols: &[],
        root: &[
            "+L/qt5/plugins/platforms/libqxcb.so",
            "+L/qt5/plugins/platforms/libqoffscreen.so",
            "-L/qt5/plugins/platforms/libqeglfs.so",
            "+L/qt5/plugins/imageformats/libqjpeg.so",
            "-L/qt6/plugins/platforms/libqxcb.so",
        ],
    },
    Case {
        rule: "qt-network",
        needs: &["libQt6Network.so.6"],
        symbols: &[],
        root: &[
            "+L/qt6/plugins/tls/libqopensslbackend.so",
            "-L/qt5/plugins/bearer/libx.so",
            "+L/libssl.so.3 = ELF",
            "-L/libssl.so.1.1 = ELF",
        ],
    },
    Case {
        rule: "qt-sql",
        needs: &["libQt5Sql.so.5"],
        symbols: &[],
        root: &["+L/qt5/plugins/sqldrivers/libqsqlite.so"],
    },
    Case {
        rule: "gstreamer",
        needs: &["libgstreamer-1.0.so.0"],
        symbols: &[],
        root: &[
            "+L/gstreamer-1.0/libgstcoreelements.so",
            "+L/gstreamer-1.0/libgstvideoconvertscale.so",
            "-L/gstreamer-1.0/libgstlame.so",
            "+L/gstreamer1.0/gstreamer-1.0/gst-plugin-scanner = #!/usr/bin/app",
        ],
    },
    Case {
        rule: "xkb",
        needs: &["libxkbcommon.so.0"],
        symbols: &[],
        root: &[
            "+/usr/share/X11/xkb/symbols/de",
            "+/usr/share/X11/xkb/rules/evdev",
            "-/usr/share/X11/xkb/rules/evdev.xml",
            "-/usr/share/X11/xkb/geometry/pc",
        ],
    },
    Case {
        rule: "x11-locale",
        needs: &["libX11.so.6"],
        symbols: &["XOpenIM"],
        root: &[
            "+/usr/share/X11/locale/locale.dir",
            "+/usr/share/X11/locale/en_US.UTF-8/Compose",
            "-/usr/share/X11/locale/ja/XLC_LOCALE",
        ],
    },
    Case {
        rule: "x11-locale",
        needs: &["libX11.so.6"],
        symbols: &["XOpenDisplay"],
        root: &["-/usr/share/X11/locale/locale.dir"],
    },
    Case {
        rule: "imagemagick",
        needs: &["libMagickCore-6.Q16.so.6"],
        symbols: &[],
        root: &[
            "+L/ImageMagick-6.9.11/modules-Q16/coders/png.so",
            "+L/ImageMagick-6.9.11/modules-Q16/coders/png.la",
            "-L/ImageMagick-6.9.11/modules-Q16/coders/heic.so",
            "-L/ImageMagick-6.9.11/modules-Q16/coders/heic.la",
            "-L/ImageMagick-7.1.1/modules-Q16HDRI/coders/png.so",
            "+L/ImageMagick-6.9.11/config-Q16/configure.xml",
            "+/etc/ImageMagick-6/policy.xml",
            "+/usr/share/ImageMagick-6/english.xml",
            "-/usr/share/ImageMagick-6/francais.xml",
        ],
    },
    Case {
        rule: "openldap",
        needs: &["libldap-2.5.so.0"],
        symbols: &[],
        root: &["+/etc/ldap/ldap.conf"],
    },
    Case {
        rule: "terminfo",
        needs: &["libslang.so.2"],
        symbols: &[],
        root: &["+/usr/share/terminfo/x/xterm", "-/usr/share/terminfo/h/hp"],
    },
];

/// Everything of the root that the rule ships, and nothing else.
fn check(case: &Case) -> Result<(), String> {
    let root = Root::new();
    root.object(APP, &app(case.needs, case.symbols));
    for name in case.needs {
        root.object(&format!("L/{name}"), &library(name, &[]));
    }
    let mut expected = Vec::new();
    for line in case.root {
        let (path, text) = line[1..].split_once(" = ").unwrap_or((&line[1..], ""));
        if text == "ELF" || text.is_empty() && Path::new(path).extension() == Some("so".as_ref()) {
            root.object(path, &library(path.rsplit('/').next().unwrap(), &[]));
        } else {
            root.text(path, text);
        }
        if line.starts_with('+') {
            expected.push(long(path));
        }
    }
    expected.sort();
    let (plan, _) = root.plan(&format!("executables = [{APP:?}]"), None).unwrap();
    let found = shipped(&plan, case.rule);
    if found == expected {
        return Ok(());
    }
    Err(format!(
        "{}: {:?} {:?}\n  ships  {found:?}\n  should {expected:?}",
        case.rule, case.needs, case.symbols
    ))
}

#[test]
fn each_rule_ships_what_its_library_opens() {
    let wrong: Vec<String> = CASES.iter().filter_map(|case| check(case).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A program that draws text and has no font is warned of; an icon does not make a font.
#[test]
fn a_root_without_fonts_is_told() {
    let root = Root::new();
    root.object(APP, &app(&["libfontconfig.so.1"], &[]));
    root.object("L/libfontconfig.so.1", &library("libfontconfig.so.1", &[]));
    let warned = || {
        let (_, warnings) = root.plan(&format!("executables = [{APP:?}]"), None).unwrap();
        warnings.iter().any(|warning| warning.starts_with("fonts: "))
    };
    assert!(warned());
    root.text("/usr/share/fonts/x/DejaVuSans.ttf", "x");
    assert!(!warned());
}

#[test]
fn who_looks_names_up_and_speaks_tls_without_libraries_has_the_files_for_it() {
    let texts = ["x/etc/nsswitch.conf/etc/hosts", "y/etc/ssl/certs/ca-certificates.crt/etc/pki"];
    let with = |elf: Elf| texts.iter().fold(elf, |elf, text| elf.string(text));
    let bundle = "/etc/ssl/certs/ca-certificates.crt";
    // A library has the names for its programs to use.
    for (held_by_app, names, authorities) in
        [(true, &["/etc/nsswitch.conf", "/etc/services"][..], &[bundle][..]), (false, &[], &[])]
    {
        let root = Root::new();
        let (held, bare) = (with(app(&["liba.so.1"], &[])), app(&["liba.so.1"], &[]));
        root.object(APP, if held_by_app { &held } else { &bare });
        root.object("L/liba.so.1", &with(library("liba.so.1", &[])));
        for path in ["/etc/nsswitch.conf", "/etc/services", bundle] {
            root.text(path, "");
        }
        let (plan, _) = root.plan(&format!("executables = [{APP:?}]"), None).unwrap();
        assert_eq!(shipped(&plan, "names-static"), names);
        assert_eq!(shipped(&plan, "ca-certificates"), authorities);
    }
}
