//! The OCI configuration and the manifest (OCI image specification 1.1, config.md and manifest.md),
//! as canonical JSON.

use std::collections::HashMap;

use common::oci::layout::ImageLayout;
use common::oci::{
    Config, Descriptor, History, ImageConfiguration, ImageManifest, MediaType, RootFs, json,
    media_type,
};
use oci_spec::image::{
    Arch, ConfigBuilder, HistoryBuilder, ImageConfigurationBuilder, ImageManifestBuilder, Os,
    RootFsBuilder,
};

use super::layer::Layer;
use super::{Image, ImageError};
use crate::assemble::Epoch;
use crate::plan::{Configuration, Plan};

/// Writes configuration and manifest; the image.
pub(super) fn write(
    plan: &Plan,
    layer: &Layer,
    provenance: &Descriptor,
    epoch: Epoch,
    entries: usize,
    layout: &ImageLayout,
) -> Result<Image, ImageError> {
    let failed = |what| move |source| ImageError::Value { what, source };
    let configuration =
        configuration(&plan.config, layer, epoch).map_err(failed("configuration"))?;
    let bytes = canonical("configuration", &configuration)?;
    let config = layout.write(MediaType::ImageConfig, &bytes)?;
    let annotations = HashMap::from([
        (media_type::PROVENANCE_ANNOTATION.to_owned(), provenance.digest().to_string()),
        (super::read::PROVENANCE_SIZE.to_owned(), provenance.size().to_string()),
        (media_type::ENTRIES_ANNOTATION.to_owned(), entries.to_string()),
    ]);
    let size = layer.descriptor.size() + config.size() + provenance.size();
    let manifest: ImageManifest = ImageManifestBuilder::default()
        .schema_version(2_u32)
        .media_type(MediaType::ImageManifest)
        .config(config)
        .layers(vec![layer.descriptor.clone()])
        .annotations(annotations)
        .build()
        .map_err(failed("manifest"))?;
    let bytes = canonical("manifest", &manifest)?;
    let manifest = layout.write(MediaType::ImageManifest, &bytes)?;
    let size = size + manifest.size();
    Ok(Image { manifest, diff_id: layer.diff_id, unpacked: layer.unpacked, size, entries })
}

fn canonical<T: serde::Serialize>(what: &'static str, value: &T) -> Result<Vec<u8>, ImageError> {
    json::canonical(value).map_err(|source| ImageError::Json { what, source })
}

fn configuration(
    plan: &Configuration,
    layer: &Layer,
    epoch: Epoch,
) -> Result<ImageConfiguration, oci_spec::OciSpecError> {
    let rootfs: RootFs =
        RootFsBuilder::default().typ("layers").diff_ids(vec![layer.diff_id.to_string()]).build()?;
    let history: History =
        HistoryBuilder::default().created(epoch.rfc3339()).created_by("coracle build").build()?;
    let mut image: ImageConfiguration = ImageConfigurationBuilder::default()
        .created(epoch.rfc3339())
        .architecture(Arch::from(plan.architecture.as_str()))
        .os(Os::Linux)
        .config(run(plan)?)
        .rootfs(rootfs)
        .history(vec![history])
        .build()?;
    image.set_variant(plan.variant.clone());
    Ok(image)
}

fn run(plan: &Configuration) -> Result<Config, oci_spec::OciSpecError> {
    let mut config = ConfigBuilder::default()
        .user(plan.user.clone())
        .env(plan.env.clone())
        .working_dir(plan.workdir.clone())
        .build()?;
    let some = |list: &Vec<String>| (!list.is_empty()).then(|| list.clone());
    config.set_entrypoint(some(&plan.entrypoint));
    config.set_cmd(some(&plan.cmd));
    config.set_exposed_ports(some(&plan.ports));
    config.set_volumes(some(&plan.volumes));
    config.set_stop_signal(plan.stop_signal.clone());
    if !plan.labels.is_empty() {
        let labels = plan.labels.iter().map(|(key, value)| (key.clone(), value.clone()));
        config.set_labels(Some(labels.collect()));
    }
    Ok(config)
}
