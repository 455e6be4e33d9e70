//! Which image of an index it is.

use std::collections::BTreeMap;

use common::oci::layout::LayoutError;
use common::oci::select::select;
use common::oci::{ImageIndex, media_type};
use common::report::Diagnostic as _;
use serde_json::json;

use crate::{for_platform, image, index, name, new, plain, platform, set_index, store};

#[test]
fn indexes_of_other_tools_lead_to_the_platform_s_manifest() {
    let (_temp, layout) = new();
    for docker in [false, true] {
        let (amd, arm) = (image(&layout, "amd64", docker), image(&layout, "arm64", docker));
        let kind = if docker {
            media_type::DOCKER_INDEX
        } else {
            "application/vnd.oci.image.index.v1+json"
        };
        // docker: a nested index with attestations; the tag alone in the standard annotation.
        let attestation = for_platform(&arm, "unknown", "unknown");
        let nested = index(
            &layout,
            kind,
            &[
                attestation,
                for_platform(&amd, "linux", "amd64"),
                for_platform(&arm, "linux", "arm64"),
            ],
        );
        let mut entry = plain(&nested);
        entry["annotations"] = json!({
            "io.containerd.image.name": "docker.io/library/app:1", "org.opencontainers.image.ref.name": "1",
        });
        set_index(&layout, &[entry]);
        let full = name("docker.io/library/app:1");
        for (architecture, manifest) in [("amd64", &amd), ("arm64", &arm)] {
            let wanted = platform(architecture);
            assert_eq!(select(&layout, None, &wanted).unwrap().0.digest(), manifest.digest());
            assert_eq!(
                select(&layout, Some(&full), &wanted).unwrap().0.digest(),
                manifest.digest()
            );
        }
        let error = select(&layout, None, &platform("riscv64")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no image for `linux/riscv64`, only for linux/amd64, linux/arm64"
        );
        // skopeo and buildah: one manifest, neither name nor platform.
        set_index(&layout, &[plain(&arm)]);
        assert_eq!(select(&layout, None, &platform("arm64")).unwrap().0.digest(), arm.digest());
        let error = select(&layout, None, &platform("amd64")).unwrap_err();
        assert_eq!(error.to_string(), "there is no image for `linux/amd64`, only for linux/arm64");
    }
}

#[test]
fn a_choice_is_never_guessed() {
    let (_temp, layout) = new();
    let error = select(&layout, None, &platform("amd64")).unwrap_err();
    assert_eq!(error.to_string(), "there is no image for `linux/amd64`, only for nothing");
    let (one, two) = (image(&layout, "amd64", false), image(&layout, "amd64", true));
    layout.tag(&name("one"), one.clone()).unwrap();
    layout.tag(&name("also-one"), one.clone()).unwrap();
    // Two names of one image are no choice.
    assert_eq!(select(&layout, None, &platform("amd64")).unwrap().0.digest(), one.digest());
    layout.tag(&name("two"), two).unwrap();
    let error = select(&layout, None, &platform("amd64")).unwrap_err();
    assert!(matches!(error, LayoutError::Ambiguous { .. }));
    assert_eq!(error.hint().unwrap(), "named images: also-one:latest, one:latest, two:latest");
    let error = select(&layout, Some(&name("three")), &platform("amd64")).unwrap_err();
    assert_eq!(error.to_string(), "there is no image named `three:latest`");
}

#[test]
fn what_is_no_image_is_not_selected() {
    let (_temp, layout) = new();
    let empty = store(&layout, "application/vnd.oci.empty.v1+json", &json!({}));
    let artifact = json!({"schemaVersion": 2, "config": plain(&empty), "layers": []});
    let artifact = store(&layout, "application/vnd.oci.image.manifest.v1+json", &artifact);
    for entry in [artifact, store(&layout, "text/plain", &json!({}))] {
        layout.tag(&name("a"), entry).unwrap();
        let error = select(&layout, Some(&name("a")), &platform("amd64")).unwrap_err();
        assert!(matches!(error, LayoutError::NotAnImage { .. }), "{error}");
    }
    // Indexes without end: each level names the one before.
    let mut inner = image(&layout, "amd64", false);
    for _ in 0..6 {
        inner = index(&layout, "application/vnd.oci.image.index.v1+json", &[plain(&inner)]);
    }
    layout.tag(&name("deep"), inner).unwrap();
    let error = select(&layout, Some(&name("deep")), &platform("amd64")).unwrap_err();
    assert!(matches!(error, LayoutError::TooDeep { .. }), "{error}");
}

#[test]
fn an_index_that_other_tools_wrote_survives_a_tag() {
    let (_temp, layout) = new();
    let (one, two) = (image(&layout, "amd64", true), image(&layout, "arm64", false));
    let mut entry = for_platform(&one, "linux", "amd64");
    entry["annotations"] = json!({"org.opencontainers.image.ref.name": "not a name!", "k": "v"});
    set_index(&layout, &[entry.clone()]);
    layout.tag(&name("two"), two).unwrap();
    let index: ImageIndex = layout.index().unwrap();
    assert_eq!(serde_json::to_value(&index.manifests()[0]).unwrap(), entry);
    let names: BTreeMap<_, _> = layout.images().unwrap().into_iter().collect();
    assert_eq!(names.len(), 1);
}
