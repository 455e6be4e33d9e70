//! Messages of D-Bus as bytes (D-Bus Specification, "Marshaling (Wire Format)"), the part that systemd's manager needs.
//!
//! ```text
//! 0   l       little endian, the only order that a local peer of ours uses
//! 1   type    1 call, 2 answer, 3 error, 4 signal
//! 2   flags
//! 3   1       version
//! 4   u32     length of the body
//! 8   u32     serial number
//! 12  u32     length of the fields
//! 16  fields  each aligned to 8: a byte that says which, then a variant
//!     padding to 8
//!     body
//! ```
//!
//! Own code because what there is would bring an async runtime and threads, or a C library; neither can be in front of a
//! clone. Bytes in, bytes out: the socket is `bus`'s.

/// Whatever a peer says, more than this is not read: systemd's answers have a few hundred bytes.
pub(super) const MOST: usize = 1 << 20;
/// The part of a message whose length is known.
pub(super) const HEAD: usize = 16;

const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

/// Appends values; each knows its alignment, counted from the start of the message (a body starts at a multiple of 8).
#[derive(Debug, Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn align(&mut self, to: usize) {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
    }

    pub(super) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.align(4);
        self.0.extend(value.to_le_bytes());
    }

    pub(super) fn u64(&mut self, value: u64) {
        self.align(8);
        self.0.extend(value.to_le_bytes());
    }

    /// A string or an object's path.
    pub(super) fn text(&mut self, value: &str) {
        self.u32(length(value.len()));
        self.0.extend(value.as_bytes());
        self.0.push(0);
    }

    pub(super) fn signature(&mut self, value: &str) {
        self.0.push(u8::try_from(value.len()).unwrap_or(u8::MAX));
        self.0.extend(value.as_bytes());
        self.0.push(0);
    }

    /// An array whose elements are aligned so; its length counts neither itself nor the padding behind it.
    pub(super) fn array(&mut self, alignment: usize, elements: impl FnOnce(&mut Self)) {
        self.u32(0);
        let at = self.0.len() - 4;
        self.align(alignment);
        let start = self.0.len();
        elements(self);
        let bytes = length(self.0.len() - start).to_le_bytes();
        self.0[at..at + 4].copy_from_slice(&bytes);
    }
}

/// What is written here is far below 4 GiB.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// A method call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    /// Who is meant; `None` where there is no bus between us.
    pub(super) destination: Option<&'a str>,
    pub(super) path: &'a str,
    pub(super) interface: &'a str,
    pub(super) member: &'a str,
    /// The types of the body.
    pub(super) signature: &'a str,
}

impl Call<'_> {
    pub(super) fn message(&self, serial: u32, body: &[u8]) -> Vec<u8> {
        let mut out = Writer(vec![b'l', 1, 0, 1]);
        out.u32(length(body.len()));
        out.u32(serial);
        out.array(8, |out| {
            let mut field = |code: u8, kind: &str, value: &str| {
                out.align(8);
                out.u8(code);
                out.signature(kind);
                if kind == "g" { out.signature(value) } else { out.text(value) }
            };
            field(PATH, "o", self.path);
            field(INTERFACE, "s", self.interface);
            field(MEMBER, "s", self.member);
            if let Some(destination) = self.destination {
                field(DESTINATION, "s", destination);
            }
            if !self.signature.is_empty() {
                field(SIGNATURE, "g", self.signature);
            }
        });
        out.align(8);
        out.0.extend(body);
        out.0
    }
}

/// What sort of message has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Answer { to: u32 },
    Error { to: u32, name: String },
    Signal { member: String },
    Call,
}

/// A message that has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) kind: Kind,
    pub(super) body: Vec<u8>,
}

/// How long the message is that starts with these bytes. `None` for what is no message, or too long.
pub(super) fn size(head: &[u8; HEAD]) -> Option<usize> {
    if head[0] != b'l' || head[3] != 1 {
        return None;
    }
    let number =
        |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let (body, fields) = (usize::try_from(number(4)).ok()?, usize::try_from(number(12)).ok()?);
    let size = HEAD.checked_add(fields)?.checked_next_multiple_of(8)?.checked_add(body)?;
    (size <= MOST).then_some(size)
}

impl Message {
    /// `bytes` is a whole message, as [`size`] says.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader { bytes, at: 4 };
        let body = usize::try_from(reader.u32()?).ok()?;
        reader.at = 12;
        let end = usize::try_from(reader.u32()?).ok()?.checked_add(HEAD)?;
        let (mut member, mut name, mut to) = (None, None, None);
        while reader.at < end {
            reader.align(8);
            let code = reader.u8()?;
            let kind = reader.signature()?;
            match (code, kind.as_str()) {
                (MEMBER, "s") => member = Some(reader.text()?),
                (ERROR_NAME, "s") => name = Some(reader.text()?),
                (REPLY_SERIAL, "u") => to = Some(reader.u32()?),
                (_, "s" | "o") => drop(reader.text()?),
                (_, "g") => drop(reader.signature()?),
                (_, "u") => drop(reader.u32()?),
                _ => return None,
            }
        }
        let kind = match bytes.get(1)? {
            2 => Kind::Answer { to: to? },
            3 => Kind::Error { to: to?, name: name? },
            4 => Kind::Signal { member: member? },
            _ => Kind::Call,
        };
        let body = bytes.get(bytes.len().checked_sub(body)?..)?.to_vec();
        Some(Self { kind, body })
    }

    pub(super) fn reader(&self) -> Reader<'_> {
        Reader { bytes: &self.body, at: 0 }
    }
}

/// Reads values in the order in which they were written. `None` beyond the end.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    fn take(&mut self, count: usize) -> Option<&[u8]> {
        let end = self.at.checked_add(count)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.align(4);
        self.take(4)?.try_into().map(u32::from_le_bytes).ok()
    }

    pub(super) fn text(&mut self) -> Option<String> {
        let count = usize::try_from(self.u32()?).ok()?;
        let text = String::from_utf8(self.take(count)?.to_vec()).ok()?;
        self.take(1)?;
        Some(text)
    }

    pub(super) fn signature(&mut self) -> Option<String> {
        let count = usize::from(self.u8()?);
        let text = String::from_utf8(self.take(count)?.to_vec()).ok()?;
        self.take(1)?;
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::systemd::value::Value;

    /// Byte for byte what the specification's rules give, counted by hand.
    #[test]
    fn a_call_is_laid_out_as_the_specification_says() {
        let call =
            Call { destination: None, path: "/a", interface: "i.j", member: "M", signature: "s" };
        let mut body = Writer::default();
        body.text("xy");
        let message = call.message(7, &body.0);
        let mut expected =
            Vec::from(*b"l\x01\x00\x01\x07\x00\x00\x00\x07\x00\x00\x00\x37\x00\x00\x00");
        expected.extend(b"\x01\x01o\x00\x02\x00\x00\x00/a\x00\x00\x00\x00\x00\x00");
        expected.extend(b"\x02\x01s\x00\x03\x00\x00\x00i.j\x00\x00\x00\x00\x00");
        expected.extend(b"\x03\x01s\x00\x01\x00\x00\x00M\x00\x00\x00\x00\x00\x00\x00");
        expected.extend(b"\x08\x01g\x00\x01s\x00\x00");
        expected.extend(b"\x02\x00\x00\x00xy\x00");
        assert_eq!(message, expected);
        let head = message[..HEAD].try_into().unwrap();
        assert_eq!(size(&head), Some(message.len()));
    }

    #[test]
    fn arrays_count_neither_themselves_nor_padding() {
        let mut out = Writer::default();
        Value::Amounts(vec![("/d".to_owned(), 9)]).write(&mut out);
        let mut expected = Vec::from(*b"\x05a(st)\x00\x00\x10\x00\x00\x00\x00\x00\x00\x00");
        // The signature ends at 7, the length is at 8, the first element at 16.
        expected.truncate(12);
        expected.extend([0; 4]);
        expected.extend(b"\x02\x00\x00\x00/d\x00\x00\x09\x00\x00\x00\x00\x00\x00\x00");
        assert_eq!(out.0, expected);
        let mut out = Writer::default();
        Value::Texts(Vec::new()).write(&mut out);
        assert_eq!(out.0, b"\x02as\x00\x00\x00\x00\x00");
    }

    #[test]
    fn what_is_no_message_is_refused_and_what_is_cut_short_too() {
        assert_eq!(size(b"B\x01\x00\x01\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00"), None);
        assert_eq!(size(b"l\x01\x00\x01\xff\xff\xff\xff\x01\x00\x00\x00\xff\xff\xff\xff"), None);
        let call = Call {
            destination: Some("d.e"),
            path: "/",
            interface: "i",
            member: "M",
            signature: "",
        };
        let mut message = call.message(1, &[]);
        message[1] = 4;
        let signal = Message::parse(&message).unwrap();
        assert_eq!(signal.kind, Kind::Signal { member: "M".to_owned() });
        for length in 0..message.len() {
            // Whatever it is read as, nothing panics.
            drop(Message::parse(&message[..length]));
        }
    }
}
