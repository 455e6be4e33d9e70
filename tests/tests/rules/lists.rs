//! Lists of modules name those that the image has.

use builder::assemble::generated;
use builder::plan::{Node, Plan, Source};
use common::tree::ImagePath;
use tests::elf::library;

use super::{APP, Root, app, long};

/// What stands in a list of the image; `None` where it has none, or the root's own.
fn text(plan: &Plan, path: &str) -> Option<String> {
    let entry = plan.entries.get(&ImagePath::new(long(path)).unwrap())?;
    let Node::File { source: Source::Generated { what }, .. } = &entry.node else { return None };
    Some(String::from_utf8(generated::bytes(what)).unwrap())
}

/// A loader that cannot be resolved is left out, with its paragraph, and so is one that was not asked for.
#[test]
fn loaders_of_gdk_pixbuf() {
    const LOADERS: &str = "L/gdk-pixbuf-2.0/2.10.0/loaders";
    const LIST: &str = "L/gdk-pixbuf-2.0/2.10.0/loaders.cache";
    let root = Root::new();
    root.object(APP, &app(&["libgdk_pixbuf-2.0.so.0"], &[]));
    root.object("L/libgdk_pixbuf-2.0.so.0", &library("libgdk_pixbuf-2.0.so.0", &[]));
    let mut list = String::from("# made by a tool\n#\n");
    let paragraph =
        |name: &str| format!("\"{}/{name}\"\n\"{name}\" 4\n\"\" 100\n\n", long(LOADERS));
    for (name, needs) in
        [("a.so", &[][..]), ("b.so", &["libgone.so"]), ("libpixbufloader-svg.so", &[])]
    {
        root.object(&format!("{LOADERS}/{name}"), &library(name, needs));
        list.push_str(&paragraph(name));
    }
    list.push_str(&paragraph("never.so"));
    root.text(LIST, &list);
    let recipe = format!("executables = [{APP:?}]");
    let (plan, warnings) = root.plan(&recipe, None).unwrap();
    let expected = format!("# made by a tool\n#\n{}", paragraph("a.so"));
    assert_eq!(text(&plan, LIST).unwrap(), expected);
    assert!(warnings.iter().any(|w| w.contains("b.so`: `libgone.so` is missing")), "{warnings:?}");
    let svg = format!("{recipe}\n[rules]\non = [\"gdk-pixbuf-svg\"]");
    let (plan, _) = root.plan(&svg, None).unwrap();
    let both = format!("{expected}{}", paragraph("libpixbufloader-svg.so"));
    assert_eq!(text(&plan, LIST).unwrap(), both);
    let (plan, _) = root.plan(&format!("{recipe}\n[rules]\noff = [\"gdk-pixbuf\"]"), None).unwrap();
    assert_eq!(text(&plan, LIST), None);
}

#[test]
fn modules_of_gio() {
    let root = Root::new();
    root.object(APP, &app(&["libgio-2.0.so.0"], &["g_tls_client_connection_new"]));
    root.object("L/libgio-2.0.so.0", &library("libgio-2.0.so.0", &[]));
    for name in ["libgiognutls.so", "libdconfsettings.so"] {
        root.object(&format!("L/gio/modules/{name}"), &library(name, &[]));
    }
    let list = "libdconfsettings.so: gsettings-backend\nlibgiognutls.so: gio-tls-backend\n";
    root.text("L/gio/modules/giomodule.cache", list);
    let recipe = format!("executables = [{APP:?}]");
    let (plan, _) = root.plan(&recipe, None).unwrap();
    let found = text(&plan, "L/gio/modules/giomodule.cache").unwrap();
    assert_eq!(found, "libgiognutls.so: gio-tls-backend\n");
    let (plan, _) = root.plan(&format!("{recipe}\n[rules]\non = [\"gio-modules\"]"), None).unwrap();
    assert_eq!(text(&plan, "L/gio/modules/giomodule.cache").unwrap(), list);
}
