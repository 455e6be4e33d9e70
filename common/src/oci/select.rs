//! From a name and a platform to one manifest.
//!
//! Indexes of foreign tools come in several shapes: one manifest (skopeo, buildah); a nested index with
//! a manifest for each platform and attestations for the platform `unknown/unknown` (docker);
//! docker's own media types. All end at one manifest here, or at an error that names the choices.

use super::blobs::{self, Blobs};
use super::error::LayoutError;
use super::media_type::{MAX_DEPTH, is_config, is_index, is_manifest};
use super::reference::Reference;
use super::{Descriptor, ImageConfiguration, ImageIndex, ImageManifest, Platform};

/// The platform of this program: `linux/amd64`, `linux/arm64`.
pub fn host() -> Platform {
    Platform::default()
}

/// The manifest for `platform` of the image called `name`, or of the only image when no name is given,
/// with its descriptor. A manifest without a platform is taken for what its configuration says.
pub fn select<B: Blobs>(
    blobs: &B,
    name: Option<&Reference>,
    platform: &Platform,
) -> Result<(Descriptor, ImageManifest), LayoutError> {
    let index = blobs.index()?;
    let start = start(&index, name)?;
    let mut search =
        Search { blobs, platform, matching: Vec::new(), others: Vec::new(), not: None };
    for entry in &start {
        search.visit(entry, 0)?;
    }
    let Some(first) = search.matching.first() else {
        return Err(match search.not {
            Some(other) if search.others.is_empty() => other,
            _ => LayoutError::Platform { wanted: platform.clone().into(), found: search.others },
        });
    };
    // "If multiple manifests match, the first matching entry SHOULD be used" (image-index.md), but
    // not across images.
    if name.is_none() && search.matching.iter().any(|other| other.digest() != first.digest()) {
        return Err(LayoutError::Ambiguous { known: names(&index) });
    }
    let manifest = blobs.read_json(first)?;
    Ok((first.clone(), manifest))
}

/// The entries to look at.
fn start(index: &ImageIndex, name: Option<&Reference>) -> Result<Vec<Descriptor>, LayoutError> {
    let Some(name) = name else {
        return Ok(index.manifests().clone());
    };
    let has_name = |entry: &&Descriptor| blobs::name(entry).as_ref() == Some(name);
    let found: Vec<_> = index.manifests().iter().filter(has_name).cloned().collect();
    if found.is_empty() {
        return Err(LayoutError::NoSuchImage { name: name.clone(), known: names(index) });
    }
    Ok(found)
}

fn names(index: &ImageIndex) -> Vec<Reference> {
    blobs::named(index).into_iter().map(|(name, _)| name).collect()
}

struct Search<'a, B> {
    blobs: &'a B,
    platform: &'a Platform,
    matching: Vec<Descriptor>,
    /// Platforms that were there.
    others: Vec<Platform>,
    /// The last thing that was no image.
    not: Option<LayoutError>,
}

impl<B: Blobs> Search<'_, B> {
    fn visit(&mut self, entry: &Descriptor, depth: usize) -> Result<(), LayoutError> {
        if depth > MAX_DEPTH {
            return Err(LayoutError::TooDeep { limit: MAX_DEPTH });
        }
        if is_index(entry.media_type()) {
            for inner in self.blobs.read_json::<ImageIndex>(entry)?.manifests() {
                self.visit(inner, depth + 1)?;
            }
            return Ok(());
        }
        if !is_manifest(entry.media_type()) {
            self.not = Some(not_an_image(entry, entry));
            return Ok(());
        }
        let platform = match entry.platform() {
            Some(platform) => platform.clone(),
            None => match self.configured(entry)? {
                Some(platform) => platform,
                None => return Ok(()),
            },
        };
        if matches(self.platform, &platform) {
            self.matching.push(entry.clone());
        } else if platform.os().to_string() != "unknown" {
            self.others.push(platform);
        }
        Ok(())
    }

    /// The platform that the configuration says; `None` for what is no image (an artifact).
    fn configured(&mut self, entry: &Descriptor) -> Result<Option<Platform>, LayoutError> {
        let manifest: ImageManifest = self.blobs.read_json(entry)?;
        if !is_config(manifest.config().media_type()) {
            self.not = Some(not_an_image(entry, manifest.config()));
            return Ok(None);
        }
        let config: ImageConfiguration = self.blobs.read_json(manifest.config())?;
        let mut platform = Platform::default();
        platform.set_os(config.os().clone());
        platform.set_architecture(config.architecture().clone());
        platform.set_variant(config.variant().clone());
        Ok(Some(platform))
    }
}

fn not_an_image(entry: &Descriptor, kind: &Descriptor) -> LayoutError {
    let media_type = kind.media_type().to_string();
    LayoutError::NotAnImage { digest: entry.digest().to_string(), media_type }
}

/// A variant (`arm/v7`) that nobody asked for does not matter.
fn matches(wanted: &Platform, found: &Platform) -> bool {
    wanted.os() == found.os()
        && wanted.architecture() == found.architecture()
        && (wanted.variant().is_none()
            || found.variant().is_none()
            || wanted.variant() == found.variant())
}
