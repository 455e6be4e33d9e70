//! What is asked of systemd (`org.freedesktop.systemd1(5)`).

use std::env;
use std::fmt::Write as _;
use std::path::Path;

use rustix::process::geteuid;

use super::bus::{Address, Bus, BusError};
use super::value::{Property, Value};
use super::wire::{Message, Writer};
use crate::host::runtime_folder;

const SERVICE: &str = "org.freedesktop.systemd1";
const OBJECT: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// A connection to the system's manager, or to a user's.
#[derive(Debug)]
pub(super) struct Manager {
    bus: Bus,
}

/// How a job ended that was not `done`.
#[derive(Debug, thiserror::Error)]
pub enum ManagerError {
    /// It could not be asked.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// It tried and failed.
    #[error("the job ended as `{0}`")]
    Job(String),
}

impl Manager {
    /// Connects, such that ends of jobs are heard of.
    pub(super) fn connect(user: bool) -> Result<Self, BusError> {
        let mut manager = Self { bus: if user { user_bus()? } else { system_bus()? } };
        let mut rule = Writer::default();
        rule.text("type='signal',interface='org.freedesktop.systemd1.Manager',member='JobRemoved'");
        let bus = "org.freedesktop.DBus";
        let matched = manager.bus.call((bus, "/org/freedesktop/DBus", bus, "AddMatch"), "s", &rule);
        match matched {
            // Without a bus in between every signal comes.
            Ok(_) | Err(BusError::Error { .. }) => {}
            Err(error) => return Err(error),
        }
        manager.ask("Subscribe", "", &Writer::default())?;
        Ok(manager)
    }

    fn ask(&mut self, method: &str, signature: &str, body: &Writer) -> Result<Message, BusError> {
        self.bus.call((SERVICE, OBJECT, MANAGER, method), signature, body)
    }

    /// The manager's own cgroup: `/user.slice/user-1000.slice/user@1000.service`.
    pub(super) fn control_group(&mut self) -> Result<String, BusError> {
        self.text_property(OBJECT, MANAGER, "ControlGroup")
    }

    /// The cgroup of a scope.
    pub(super) fn control_group_of(&mut self, unit: &str) -> Result<String, BusError> {
        let object = format!("{OBJECT}/unit/{}", escape(unit));
        self.text_property(&object, "org.freedesktop.systemd1.Scope", "ControlGroup")
    }

    fn text_property(
        &mut self,
        object: &str,
        interface: &str,
        name: &str,
    ) -> Result<String, BusError> {
        let mut body = Writer::default();
        body.text(interface);
        body.text(name);
        let answer = self.bus.call((SERVICE, object, PROPERTIES, "Get"), "ss", &body)?;
        let mut reader = answer.reader();
        match reader.signature().as_deref() {
            Some("s") => reader.text().ok_or(BusError::Garbled),
            _ => Err(BusError::Garbled),
        }
    }

    /// Makes a scope around a process, and waits until it is in there. Properties that this systemd does not know are
    /// left out, if they are among the first `droppable`: their limits are written to the files anyway.
    pub(super) fn start_scope(
        &mut self,
        unit: &str,
        properties: &[Property],
        droppable: usize,
        pid: u32,
    ) -> Result<(), ManagerError> {
        let mut properties: Vec<_> =
            properties.iter().enumerate().map(|(index, one)| (index < droppable, one)).collect();
        let pids = Property::new("PIDs", Value::Numbers(vec![pid]));
        let mut reset = false;
        loop {
            let mut body = Writer::default();
            body.text(unit);
            body.text("fail");
            write_all(&mut body, properties.iter().map(|(_, one)| *one).chain([&pids]));
            // Auxiliary units: none.
            body.array(8, |_| {});
            let error = match self.ask("StartTransientUnit", "ssa(sv)a(sa(sv))", &body) {
                Ok(answer) => return self.wait(&answer),
                Err(error) => error,
            };
            if let Some(name) = unknown_property(&error)
                && let Some(at) =
                    properties.iter().position(|(drop, one)| *drop && one.name == name)
            {
                properties.remove(at);
            } else if !reset && is(&error, "UnitExists") {
                // One of that name that has failed stays until it is told to go.
                reset = true;
                self.reset_failed(unit).ok();
            } else {
                return Err(error.into());
            }
        }
    }

    /// Moves a process into a unit, to a path below its group.
    pub(super) fn attach(&mut self, unit: &str, below: &str, pid: u32) -> Result<(), BusError> {
        let mut body = Writer::default();
        body.text(unit);
        body.text(below);
        body.array(4, |body| body.u32(pid));
        self.ask("AttachProcessesToUnit", "ssau", &body).map(drop)
    }

    /// Changes a unit's properties until it ends.
    pub(super) fn set(&mut self, unit: &str, properties: &[Property]) -> Result<(), BusError> {
        let mut properties: Vec<_> = properties.iter().collect();
        while !properties.is_empty() {
            let mut body = Writer::default();
            body.text(unit);
            // Runtime: not beyond the next boot.
            body.u32(1);
            write_all(&mut body, properties.iter().copied());
            match self.ask("SetUnitProperties", "sba(sv)", &body) {
                Ok(_) => return Ok(()),
                Err(error) => {
                    let at = unknown_property(&error)
                        .and_then(|name| properties.iter().position(|one| one.name == name));
                    properties.remove(at.ok_or(error)?);
                }
            }
        }
        Ok(())
    }

    /// Ends a unit, and forgets it. One that is gone already is no error.
    pub(super) fn stop(&mut self, unit: &str) -> Result<(), ManagerError> {
        let mut body = Writer::default();
        body.text(unit);
        body.text("replace");
        let stopped = match self.ask("StopUnit", "ss", &body) {
            Ok(answer) => self.wait(&answer),
            Err(error) if is(&error, "NoSuchUnit") => Ok(()),
            Err(error) => Err(error.into()),
        };
        // Not failed, as a rule, and then not known any more.
        self.reset_failed(unit).ok();
        stopped
    }

    fn reset_failed(&mut self, unit: &str) -> Result<(), BusError> {
        let mut body = Writer::default();
        body.text(unit);
        self.ask("ResetFailedUnit", "s", &body).map(drop)
    }

    /// Waits for the job that an answer names.
    fn wait(&mut self, answer: &Message) -> Result<(), ManagerError> {
        let job = answer.reader().text().ok_or(BusError::Garbled)?;
        let result = self.bus.signal("JobRemoved", |signal| {
            // Number, job, unit, result.
            let mut reader = signal.reader();
            let (_, path, _) = (reader.u32()?, reader.text()?, reader.text()?);
            (path == job).then(|| reader.text()).flatten()
        })?;
        if result == "done" { Ok(()) } else { Err(ManagerError::Job(result)) }
    }
}

fn write_all<'a>(body: &mut Writer, properties: impl Iterator<Item = &'a Property>) {
    body.array(8, |body| {
        for property in properties {
            body.align(8);
            body.text(&property.name);
            property.value.write(body);
        }
    });
}

fn is(error: &BusError, kind: &str) -> bool {
    matches!(error, BusError::Error { name, .. } if name.strip_prefix(SERVICE).is_some_and(|rest| rest == format!(".{kind}")))
}

/// `Cannot set property AllowedCPUs, or unknown property.`
fn unknown_property(error: &BusError) -> Option<String> {
    let BusError::Error { name, message } = error else { return None };
    if name != "org.freedesktop.DBus.Error.PropertyReadOnly" {
        return None;
    }
    let rest = message.strip_prefix("Cannot set property ")?;
    rest.split_once(',').map(|(name, _)| name.to_owned())
}

/// A unit's name as the last part of an object's path (`sd_bus_path_encode(3)`).
fn escape(unit: &str) -> String {
    let mut out = String::new();
    for (index, byte) in unit.bytes().enumerate() {
        if byte.is_ascii_alphabetic() || (byte.is_ascii_digit() && index > 0) {
            out.push(char::from(byte));
        } else {
            write!(out, "_{byte:02x}").ok();
        }
    }
    out
}

/// The system's bus; systemd's own socket where there is none.
fn system_bus() -> Result<Bus, BusError> {
    if let Some(list) = env::var("DBUS_SYSTEM_BUS_ADDRESS").ok().filter(|list| !list.is_empty()) {
        return Bus::connect(&Address::parse(&list).ok_or(BusError::Address(list))?);
    }
    let at = |path: &str| Address::Path(path.into());
    match Bus::connect(&at("/run/dbus/system_bus_socket")) {
        Err(BusError::Connect { at: socket, source }) => Bus::direct(&at("/run/systemd/private"))
            .or(Err(BusError::Connect { at: socket, source })),
        connected => connected,
    }
}

/// The user's bus, by what the session says, or in its usual place.
fn user_bus() -> Result<Bus, BusError> {
    if let Some(list) = env::var("DBUS_SESSION_BUS_ADDRESS").ok().filter(|list| !list.is_empty()) {
        return Bus::connect(&Address::parse(&list).ok_or(BusError::Address(list))?);
    }
    let folder = runtime_folder(geteuid().as_raw());
    if !folder.is_dir() {
        return Err(BusError::NoAddress);
    }
    let socket = |path: &str| Address::Path(folder.join(path));
    if Path::exists(&folder.join("bus")) {
        return Bus::connect(&socket("bus"));
    }
    Bus::direct(&socket("systemd/private"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_escaped_as_sd_bus_does_it() {
        assert_eq!(escape("coracle-a.scope"), "coracle_2da_2escope");
        assert_eq!(escape("1x"), "_31x");
    }

    #[test]
    fn a_property_that_an_old_systemd_lacks_is_found_in_its_words() {
        let error = BusError::Error {
            name: "org.freedesktop.DBus.Error.PropertyReadOnly".to_owned(),
            message: "Cannot set property AllowedCPUs, or unknown property.".to_owned(),
        };
        assert_eq!(unknown_property(&error).as_deref(), Some("AllowedCPUs"));
    }
}
