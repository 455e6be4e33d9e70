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

/// What belongs to another platform is not passed over: whoever wrote it relies on it.
pub(super) fn platform(spec: &Spec) -> Result<(), SpecError> {
    let foreign = [
        ("windows", spec.windows().is_some()),
        ("solaris", spec.solaris().is_some()),
        ("zos", spec.zos().is_some()),
        ("vm", spec.vm().is_some()),
    ];
    match foreign.into_iter().find(|(_, present)| *present) {
        Some((name, _)) => Err(SpecError::Platform(name)),
        None => Ok(()),
    }
}

/// Where there is a process it has a program, and a folder in which that starts. (Without one a container can be created,
/// and not started.)
pub(super) fn process(spec: &Spec) -> Result<(), SpecError> {
    let Some(process) = spec.process() else { return Ok(()) };
    if process.args().as_deref().unwrap_or_default().is_empty() {
        return Err(SpecError::NoArguments);
    }
    if !process.cwd().is_absolute() {
        return Err(SpecError::Cwd(process.cwd().clone()));
    }
    Ok(())
}
