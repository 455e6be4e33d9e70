//! A connection to a message bus, or to systemd itself: one call at a time, synchronous, with a time limit.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::wire::{Call, HEAD, Kind, Message, Writer, size};

/// How long an answer or a signal may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why systemd cannot be talked to.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// There is no address of a bus.
    #[error("no address of the user's message bus is known")]
    NoAddress,
    /// The address is none that a socket of this host has.
    #[error("the address `{0}` of the message bus cannot be used")]
    Address(String),
    /// Nobody answers there.
    #[error("cannot connect to `{at}`")]
    Connect {
        /// The socket.
        at: String,
        /// What the system said.
        source: io::Error,
    },
    /// The bus does not take us for who we are.
    #[error("`{at}` refuses us: it says `{said}`")]
    Refused {
        /// The socket.
        at: String,
        /// Its words.
        said: String,
    },
    /// The connection broke, or nothing came for a long time.
    #[error("the message bus does not answer")]
    Silent(#[source] io::Error),
    /// What came is no message.
    #[error("the message bus sent something that cannot be understood")]
    Garbled,
    /// The other side says no.
    #[error("{message} ({name})")]
    Error {
        /// The error's D-Bus name.
        name: String,
        /// Its words.
        message: String,
    },
}

/// A socket's address (D-Bus Specification, "Server Addresses"), as far as this host's are concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    Path(PathBuf),
    Abstract(Vec<u8>),
}

impl Address {
    /// The first of a list such as `unix:path=/run/user/1000/bus,guid=0123` that we can use.
    pub(super) fn parse(list: &str) -> Option<Self> {
        list.split(';').find_map(|address| {
            address.strip_prefix("unix:")?.split(',').find_map(|pair| {
                let (key, value) = pair.split_once('=')?;
                let value = unescape(value)?;
                match key {
                    "path" => Some(Self::Path(OsString::from_vec(value).into())),
                    "abstract" => Some(Self::Abstract(value)),
                    _ => None,
                }
            })
        })
    }

    fn connect(&self) -> io::Result<UnixStream> {
        match self {
            Self::Path(path) => UnixStream::connect(path),
            Self::Abstract(name) => {
                UnixStream::connect_addr(&SocketAddr::from_abstract_name(name)?)
            }
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Abstract(name) => write!(f, "@{}", name.escape_ascii()),
        }
    }
}

fn unescape(value: &str) -> Option<Vec<u8>> {
    let mut bytes = value.bytes();
    let mut out = Vec::new();
    while let Some(byte) = bytes.next() {
        out.push(if byte == b'%' {
            let digits = [bytes.next()?, bytes.next()?];
            u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
        } else {
            byte
        });
    }
    Some(out)
}

/// A connection.
#[derive(Debug)]
pub(super) struct Bus {
    stream: BufReader<UnixStream>,
    serial: u32,
    /// Signals that came while an answer was waited for.
    signals: VecDeque<Message>,
    /// Whether there is a bus between us and the others, which wants their names.
    routed: bool,
}

impl Bus {
    /// Connects to a bus and gets a name on it.
    pub(super) fn connect(address: &Address) -> Result<Self, BusError> {
        let mut bus = Self::authenticate(address, true)?;
        let name = "org.freedesktop.DBus";
        bus.call((name, "/org/freedesktop/DBus", name, "Hello"), "", &Writer::default())?;
        Ok(bus)
    }

    /// Connects to a service that is on no bus.
    pub(super) fn direct(address: &Address) -> Result<Self, BusError> {
        Self::authenticate(address, false)
    }

    /// Says who we are by what the socket says of us, so that it is right in a user namespace, too.
    fn authenticate(address: &Address, routed: bool) -> Result<Self, BusError> {
        let at = address.to_string();
        let stream = address.connect().and_then(|stream| {
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            Ok(BufReader::new(stream))
        });
        let mut stream = stream.map_err(|source| BusError::Connect { at: at.clone(), source })?;
        stream.get_mut().write_all(b"\0AUTH EXTERNAL\r\n").map_err(BusError::Silent)?;
        for (expected, answer) in [("DATA", "DATA\r\n"), ("OK", "BEGIN\r\n")] {
            let mut line = String::new();
            stream.by_ref().take(1024).read_line(&mut line).map_err(BusError::Silent)?;
            if line.split_ascii_whitespace().next() != Some(expected) {
                return Err(BusError::Refused { at, said: line.trim().escape_debug().to_string() });
            }
            stream.get_mut().write_all(answer.as_bytes()).map_err(BusError::Silent)?;
        }
        Ok(Self { stream, serial: 0, signals: VecDeque::new(), routed })
    }

    /// Calls `(service, object, interface, method)` and waits for the answer.
    pub(super) fn call(
        &mut self,
        (destination, path, interface, member): (&str, &str, &str, &str),
        signature: &str,
        body: &Writer,
    ) -> Result<Message, BusError> {
        self.serial += 1;
        let destination = self.routed.then_some(destination);
        let call = Call { destination, path, interface, member, signature };
        let message = call.message(self.serial, &body.0);
        self.stream.get_mut().write_all(&message).map_err(BusError::Silent)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let message = self.read(deadline)?;
            match &message.kind {
                Kind::Answer { to } if *to == self.serial => return Ok(message),
                Kind::Error { to, name } if *to == self.serial => {
                    let text = message.reader().text().unwrap_or_default();
                    return Err(BusError::Error { name: name.clone(), message: text });
                }
                Kind::Signal { .. } => self.signals.push_back(message),
                _ => {}
            }
        }
    }

    /// Waits for a signal that `wanted` accepts, those that came already included.
    pub(super) fn signal<T>(
        &mut self,
        name: &str,
        mut wanted: impl FnMut(&Message) -> Option<T>,
    ) -> Result<T, BusError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let message = match self.signals.pop_front() {
                Some(message) => message,
                None => self.read(deadline)?,
            };
            if matches!(&message.kind, Kind::Signal { member } if member == name)
                && let Some(found) = wanted(&message)
            {
                return Ok(found);
            }
        }
    }

    fn read(&mut self, deadline: Instant) -> Result<Message, BusError> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(BusError::Silent(io::ErrorKind::TimedOut.into()));
        }
        self.stream.get_ref().set_read_timeout(Some(left)).map_err(BusError::Silent)?;
        let mut head = [0; HEAD];
        self.stream.read_exact(&mut head).map_err(BusError::Silent)?;
        let mut bytes = vec![0; size(&head).ok_or(BusError::Garbled)?];
        bytes[..HEAD].copy_from_slice(&head);
        self.stream.read_exact(&mut bytes[HEAD..]).map_err(BusError::Silent)?;
        Message::parse(&bytes).ok_or(BusError::Garbled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_the_specification_writes_them() {
        let path = |path: &str| Some(Address::Path(path.into()));
        for (list, expected) in [
            ("unix:path=/run/user/1000/bus", path("/run/user/1000/bus")),
            ("tcp:host=x;unix:guid=1,path=/a%20b", path("/a b")),
            ("unix:abstract=/tmp/x", Some(Address::Abstract(b"/tmp/x".to_vec()))),
            ("unix:path=/a%2", None),
            ("launchd:env=X", None),
            ("", None),
        ] {
            assert_eq!(Address::parse(list), expected, "{list}");
        }
    }
}
