//! Mounts that show their owners by other ids.

use launcher::host::{Host, Kernel};
use serde_json::{Value, json};
use tests::require;

use crate::binds::user_namespace;
use crate::bundle::{Bundle, bind};

/// Two file systems that can show other owners, one below the other: tmpfs, which can since Linux 6.3, or ext4.
fn files() -> String {
    let new = if Host::probe().unwrap().kernel() < Kernel::new(6, 3) {
        "new() { truncate -s 4M %HOST/$1; mkfs.ext4 -q %HOST/$1; mount -o loop %HOST/$1 $2; }"
    } else {
        "new() { mount -t tmpfs $1 $2; }"
    };
    format!(
        "{new}; mkdir -p %HOST/data; new one %HOST/data; mkdir %HOST/data/below; new two %HOST/data/below
         touch %HOST/data/file %HOST/data/below/file
         chown 1000:2000 %HOST/data/file %HOST/data/below/file"
    )
}

fn mapped(options: &str, inside: u32, outside: u32) -> Value {
    let map = json!([{ "containerID": inside, "hostID": outside, "size": 5000 }]);
    let mut changes = bind("/data", "%HOST/data", options);
    changes["mounts"][0]["uidMappings"] = map.clone();
    changes["mounts"][0]["gidMappings"] = map;
    changes
}

#[test]
fn a_mounts_own_maps_are_used() {
    if !require::root() {
        return;
    }
    let bundle = Bundle::new("own").before(&files());
    let questions = ["stat=/data/file", "stat=/data/below/file"];
    let plain = "100644 1000:2000 0:0\n";
    for (options, top, below) in [
        ("rbind", "100644 8000:9000 0:0\n", plain),
        ("rbind idmap", "100644 8000:9000 0:0\n", plain),
        ("rbind ridmap", "100644 8000:9000 0:0\n", "100644 8000:9000 0:0\n"),
    ] {
        bundle.check(&mapped(options, 0, 7000), &questions, &format!("{top}{below}"));
    }
    // And back: what is written gets the id that the file system has. What has no map is nobody's.
    let ran = Bundle::new("own")
        .before(&format!("{}; chown 1500:1500 %HOST/data", files()))
        .after("stat -c %u:%g %HOST/data/new")
        .run(&mapped("rbind idmap", 1500, 0), &["stat=/data/file", "write=/data/new"]);
    assert_eq!(ran.stdout, "100644 65534:500 0:0\nok\n1500:1500\n", "{ran:?}");
}

#[test]
fn a_mount_is_shown_by_the_containers_maps() {
    if !require::root() {
        return;
    }
    let bundle = Bundle::new("containers").before(&files());
    for entry in walkdir::WalkDir::new(bundle.root()) {
        std::os::unix::fs::lchown(entry.unwrap().path(), Some(200_000), Some(200_000)).unwrap();
    }
    let questions = ["stat=/data/file", "stat=/data/below/file"];
    for (options, below) in [("rbind idmap", "65534:65534"), ("rbind ridmap", "1000:2000")] {
        let mut changes = bind("/data", "%HOST/data", options);
        changes["linux"] = user_namespace();
        bundle.check(&changes, &questions, &format!("100644 1000:2000 0:0\n100644 {below} 0:0\n"));
    }
}

#[test]
fn maps_that_cannot_be_used_are_refused() {
    if !require::root() {
        return;
    }
    let bundle = Bundle::new("refused").before(&files());
    let refused = |changes: &Value| bundle.plan(changes, &[]).unwrap_err().to_string();
    let alone = refused(&bind("/data", "%HOST/data", "bind idmap"));
    assert!(alone.contains("has no maps and the container no user namespace"), "{alone}");
    let mut half = mapped("bind", 0, 7000);
    half["mounts"][0].as_object_mut().unwrap().remove("gidMappings");
    assert!(refused(&half).contains("maps owners of one sort only"), "{}", refused(&half));
    let mut fresh = mapped("idmap", 0, 7000);
    fresh["mounts"][0]["type"] = "tmpfs".into();
    assert!(refused(&fresh).contains("which only a bind can do"), "{}", refused(&fresh));
    let user = Bundle::new("refused").launched_by(60_126);
    let mut changes = mapped("bind", 0, 7000);
    changes["linux"] = user_namespace();
    let message = user.plan(&changes, &[]).unwrap_err().to_string();
    assert!(message.contains("which only the host's root can do"), "{message}");
    // procfs has no owners that could be mapped.
    let mut changes = mapped("bind", 0, 7000);
    changes["mounts"][0]["source"] = "/proc".into();
    let message = bundle.refusal(&changes);
    assert!(
        message.contains(
            "cannot show with mapped ids `/data`: its file system cannot map ids of a mount"
        ),
        "{message}"
    );
}
