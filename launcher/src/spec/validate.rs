//! What no specification may contain, whoever wrote it.

use oci_spec::runtime::Spec;

use super::SpecError;

/// No argument, variable, or path can hold a NUL byte: the kernel would read less than was checked.
pub(super) fn strings(spec: &Spec) -> Result<(), SpecError> {
    let clean = |what, value: &str| {
        if value.contains('\0') {
            return Err(SpecError::Nul { what, value: value.to_owned() });
        }
        Ok(())
    };
    if let Some(process) = spec.process() {
        for argument in process.args().iter().flatten() {
            clean("argument", argument)?;
        }
        for variable in process.env().iter().flatten() {
            clean("environment variable", variable)?;
        }
        clean("working directory", &process.cwd().to_string_lossy())?;
    }
    for mount in spec.mounts().iter().flatten() {
        clean("mount point", &mount.destination().to_string_lossy())?;
        if let Some(source) = mount.source() {
            clean("mount source", &source.to_string_lossy())?;
        }
        for option in mount.options().iter().flatten() {
            clean("mount option", option)?;
        }
    }
    if let Some(hostname) = spec.hostname() {
        clean("host name", hostname)?;
    }
    Ok(())
}
