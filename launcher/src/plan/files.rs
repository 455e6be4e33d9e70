//! The files that the launcher generates for a container.

use common::tree::ImagePath;

use super::{Attributes, GeneratedFile, Ground, Mount, PlanError, Source, Spread};

/// `/etc/hostname` and `/etc/hosts`: about names of the container itself, so no image can have them right. What
/// is mounted at one of these places (a volume) is what the person wants there instead.
pub(super) fn plan(
    ground: &Ground<'_>,
    hostname: Option<&str>,
    isolated: bool,
    mounts: &[Mount],
) -> Result<Vec<GeneratedFile>, PlanError> {
    // A container that shares the host's names reads the host's own, and a bundle brings its own.
    let Some(hostname) = hostname.filter(|_| ground.generate_files) else { return Ok(Vec::new()) };
    let file = |name: &str, content: String| {
        let destination = ImagePath::new(format!("/etc/{name}")).map_err(PlanError::Path)?;
        Ok(GeneratedFile { destination, content })
    };
    let mut all =
        vec![file("hostname", format!("{hostname}\n"))?, file("hosts", hosts(ground, hostname))?];
    if isolated {
        // Nobody to ask: an empty file says so at once, where the image's would make look-ups time out.
        all.push(file("resolv.conf", String::new())?);
    }
    all.retain(|file| mounts.iter().all(|mount| mount.destination != file.destination));
    Ok(all)
}

fn hosts(ground: &Ground<'_>, hostname: &str) -> String {
    use std::fmt::Write as _;
    let mut text =
        String::from("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    let _ = writeln!(text, "127.0.1.1\t{hostname}");
    for entry in ground.add_hosts {
        let _ = writeln!(text, "{}\t{}", entry.address, entry.name);
    }
    text
}

/// On the host's network the host's resolver is the right one, unless the person mounts another.
pub(super) fn resolver(isolated: bool, mounts: &[Mount]) -> Result<Option<Mount>, PlanError> {
    let destination = ImagePath::new("/etc/resolv.conf").map_err(PlanError::Path)?;
    if isolated || mounts.iter().any(|mount| mount.destination == destination) {
        return Ok(None);
    }
    Ok(Some(Mount {
        destination,
        source: Source::Bind { path: "/etc/resolv.conf".into(), recursive: false, owners: None },
        attributes: Attributes::of(&["ro", "nosuid", "nodev", "noexec"]),
        propagation: vec![Spread::PRIVATE],
    }))
}
