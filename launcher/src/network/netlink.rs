//! The few messages of rtnetlink(7) that move a network device. All numbers are in the machine's byte order.
//!
//! ```text
//! message    length[4] type[2] flags[2] sequence[4] 0[4]   header   attributes
//! attribute  length[2] type[2] value, padded to a multiple of 4
//! link       family[1] 0[1] type[2] index[4] flags[4] change[4]
//! address    family[1] prefix[1] flags[1] scope[1] index[4]
//! ```

use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with,
};

const REQUEST: u16 = 1;
const ACKNOWLEDGE: u16 = 4;
const DUMP: u16 = 0x300;
const CREATE_NEW: u16 = 0x600;

const ERROR: u16 = 2;
const DONE: u16 = 3;
const NEW_LINK: u16 = 16;
const GET_LINK: u16 = 18;
const NEW_ADDRESS: u16 = 20;
const GET_ADDRESS: u16 = 22;

const LINK_NAME: u16 = 3;
const LINK_NAMESPACE: u16 = 28;
const ADDRESS: u16 = 1;
const ADDRESS_LOCAL: u16 = 2;
const ADDRESS_BROADCAST: u16 = 4;
const ADDRESS_FLAGS: u16 = 8;

/// `IFF_UP`.
const UP: u32 = 1;
/// `IFA_F_PERMANENT`: set by somebody, not learned by the kernel.
const PERMANENT: u32 = 0x80;
/// `IFA_F_TENTATIVE`, `IFA_F_DADFAILED`: what the kernel finds out again.
const PASSING: u32 = PERMANENT | 0x40 | 0x08;

const HEADER: usize = 16;

/// A socket to the network namespace in which it was opened.
#[derive(Debug)]
pub(crate) struct Netlink {
    socket: OwnedFd,
}

/// An address of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    family: u8,
    prefix: u8,
    flags: u32,
    /// Address, local address, broadcast, each with its type.
    values: Vec<(u16, Vec<u8>)>,
}

impl Netlink {
    /// Opens one.
    pub(crate) fn open() -> Result<Self, Errno> {
        let (family, kind) = (AddressFamily::NETLINK, SocketType::RAW);
        Ok(Self { socket: socket_with(family, kind, SocketFlags::CLOEXEC, None)? })
    }

    /// The number of the device of this name.
    pub(crate) fn index(&self, name: &str) -> Result<u32, Errno> {
        let mut message = link(GET_LINK, 0, 0, 0, 0);
        attribute(&mut message, LINK_NAME, &with_nul(name));
        let answer = self.ask(message)?;
        let (kind, link) = answer.first().ok_or(Errno::NODEV)?;
        if *kind != NEW_LINK {
            return Err(Errno::NODEV);
        }
        number(link, 4)
    }

    /// The numbers of all devices.
    pub(crate) fn all(&self) -> Result<Vec<u32>, Errno> {
        let answer = self.ask(link(GET_LINK, DUMP, 0, 0, 0))?;
        answer
            .iter()
            .filter(|(kind, _)| *kind == NEW_LINK)
            .map(|(_, link)| number(link, 4))
            .collect()
    }

    /// Those addresses of a device that were set to stay and hold everywhere.
    pub(crate) fn addresses(&self, index: u32) -> Result<Vec<Address>, Errno> {
        let mut message = start(GET_ADDRESS, DUMP);
        message.extend([0; 8]);
        let answer = self.ask(message)?;
        let all = answer.iter().filter(|(kind, _)| *kind == NEW_ADDRESS);
        Ok(all.filter_map(|(_, bytes)| Address::read(bytes, index)).collect())
    }

    /// Moves a device into a network namespace, where it is called `name`; a `%d` in it becomes the first free number.
    pub(crate) fn move_to(
        &self,
        index: u32,
        namespace: BorrowedFd<'_>,
        name: &str,
    ) -> Result<(), Errno> {
        let mut message = link(NEW_LINK, ACKNOWLEDGE, index, 0, 0);
        attribute(&mut message, LINK_NAME, &with_nul(name));
        attribute(&mut message, LINK_NAMESPACE, &namespace.as_raw_fd().to_ne_bytes());
        self.ask(message).map(drop)
    }

    /// Gives a device an address.
    pub(crate) fn add(&self, index: u32, address: &Address) -> Result<(), Errno> {
        let mut message = start(NEW_ADDRESS, ACKNOWLEDGE | CREATE_NEW);
        let flags = address.flags & !PASSING;
        // What does not fit in the old field stands in the attribute alone.
        message.extend([address.family, address.prefix, flags.to_le_bytes()[0], 0]);
        message.extend(index.to_ne_bytes());
        for (kind, value) in &address.values {
            attribute(&mut message, *kind, value);
        }
        attribute(&mut message, ADDRESS_FLAGS, &flags.to_ne_bytes());
        self.ask(message).map(drop)
    }

    /// Brings a device up.
    pub(crate) fn bring_up(&self, index: u32) -> Result<(), Errno> {
        self.ask(link(NEW_LINK, ACKNOWLEDGE, index, UP, UP)).map(drop)
    }

    /// Sends a request, and returns the bodies of what is answered, up to the end or the acknowledgement.
    fn ask(&self, mut message: Vec<u8>) -> Result<Vec<(u16, Vec<u8>)>, Errno> {
        let length = u32::try_from(message.len()).or(Err(Errno::MSGSIZE))?;
        message.splice(..4, length.to_ne_bytes());
        let flags = u16::from_ne_bytes([message[6], message[7]]);
        send(self.socket.as_fd(), &message, SendFlags::empty())?;
        let mut answer = Vec::new();
        let mut bytes = vec![0; 64 * 1024];
        loop {
            let (length, _) = rustix::io::retry_on_intr(|| {
                recv(self.socket.as_fd(), &mut bytes[..], RecvFlags::empty())
            })?;
            let mut rest = bytes.get(..length).ok_or(Errno::BADMSG)?;
            while rest.len() >= HEADER {
                let length = usize::try_from(number(rest, 0)?).or(Err(Errno::BADMSG))?;
                let kind = u16::from_ne_bytes([rest[4], rest[5]]);
                let body = rest.get(HEADER..length).ok_or(Errno::BADMSG)?;
                match kind {
                    ERROR => return error(body).map_or(Ok(answer), Err),
                    DONE => return Ok(answer),
                    _ => answer.push((kind, body.to_vec())),
                }
                rest = rest.get(padded(length)..).unwrap_or_default();
            }
            if flags & (DUMP | ACKNOWLEDGE) == 0 {
                return Ok(answer);
            }
        }
    }
}

impl Address {
    /// From a message, when it is one of this device that moves along.
    fn read(bytes: &[u8], index: u32) -> Option<Self> {
        const EVERYWHERE: u8 = 0;
        let [family, prefix, flags, scope, ..] = *bytes else { return None };
        if number(bytes, 4) != Ok(index) || scope != EVERYWHERE {
            return None;
        }
        let mut flags = u32::from(flags);
        let mut values = Vec::new();
        let mut rest = bytes.get(8..)?;
        while let [a, b, c, d, ..] = *rest {
            let (length, kind) =
                (usize::from(u16::from_ne_bytes([a, b])), u16::from_ne_bytes([c, d]));
            let value = rest.get(4..length)?;
            match kind {
                ADDRESS_FLAGS => flags = number(value, 0).ok()?,
                ADDRESS | ADDRESS_LOCAL | ADDRESS_BROADCAST => values.push((kind, value.to_vec())),
                _ => {}
            }
            rest = rest.get(padded(length)..).unwrap_or_default();
        }
        (flags & PERMANENT != 0).then_some(Self { family, prefix, flags, values })
    }
}

/// A message without its length.
fn start(kind: u16, flags: u16) -> Vec<u8> {
    let mut message = vec![0; 4];
    message.extend(kind.to_ne_bytes());
    message.extend((REQUEST | flags).to_ne_bytes());
    message.extend([0; 8]);
    message
}

fn link(kind: u16, flags: u16, index: u32, set: u32, change: u32) -> Vec<u8> {
    let mut message = start(kind, flags);
    message.extend([0; 4]);
    for field in [index, set, change] {
        message.extend(field.to_ne_bytes());
    }
    message
}

fn attribute(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    // No value here is longer than an address or a name.
    let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    message.extend(length.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(value);
    message.resize(padded(message.len()), 0);
}

fn with_nul(name: &str) -> Vec<u8> {
    [name.as_bytes(), &[0]].concat()
}

fn padded(length: usize) -> usize {
    length.next_multiple_of(4)
}

fn number(bytes: &[u8], at: usize) -> Result<u32, Errno> {
    let field = bytes.get(at..at + 4).and_then(|field| field.try_into().ok());
    field.map(u32::from_ne_bytes).ok_or(Errno::BADMSG)
}

/// What an error message says: a negative number, or 0 for an acknowledgement.
fn error(body: &[u8]) -> Option<Errno> {
    let number = number(body, 0).unwrap_or_default().cast_signed();
    (number != 0).then(|| Errno::from_raw_os_error(number.wrapping_neg()))
}
