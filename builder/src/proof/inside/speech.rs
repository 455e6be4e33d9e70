//! TCP to 127.0.0.1: whether somebody accepts connections, and what is answered.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use super::Clock;
use super::compare::{excerpt, has};
use crate::proof::MOST_COMPARED;
use crate::proof::outcome::{Printed, Problem, Waiting};
use crate::spec::check::{Speech, TcpPort};

/// Nothing between here and loopback takes that long.
const CONNECT: Duration = Duration::from_millis(500);

fn address(port: TcpPort) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port.number()).into()
}

/// Whether somebody accepts connections.
pub(super) fn is_open(port: TcpPort) -> bool {
    TcpStream::connect_timeout(&address(port), CONNECT).is_ok()
}

/// Says it, and reads until every piece has come, the other side ends, or the time is over.
pub(super) fn speak(speech: &Speech, clock: &Clock) -> Result<(), Problem> {
    let port = speech.port.number();
    let slow = Problem::Time { waiting: Waiting::Answer(port) };
    let failed = |error: &io::Error| Problem::NotBegun {
        why: format!("cannot speak to port {port}: {error}"),
    };
    let mut stream =
        TcpStream::connect_timeout(&address(speech.port), CONNECT).map_err(|e| failed(&e))?;
    stream.set_write_timeout(Some(clock.left().max(CONNECT))).map_err(|e| failed(&e))?;
    let written = stream.write_all(speech.send.as_bytes());
    let mut answer = Vec::new();
    let mut buffer = [0; 1 << 14];
    let mut closed = written.is_err();
    loop {
        let missing = speech.has.iter().find(|piece| !has(&answer, piece));
        let Some(piece) = missing else { return Ok(()) };
        if answer.len() > MOST_COMPARED {
            let limit = MOST_COMPARED as u64;
            return Err(Problem::TooMuch { stream: Printed::Answer, limit });
        }
        if closed || (clock.is_over() && !answer.is_empty()) {
            return Err(Problem::Lacks {
                stream: Printed::Answer,
                piece: excerpt(piece.as_bytes()),
                got: Some(excerpt(&answer)),
            });
        }
        if clock.is_over() {
            return Err(slow);
        }
        let moment = clock.left().clamp(Duration::from_millis(1), CONNECT);
        stream.set_read_timeout(Some(moment)).map_err(|error| failed(&error))?;
        match stream.read(&mut buffer) {
            Ok(0) => closed = true,
            Ok(count) => answer.extend_from_slice(&buffer[..count]),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock
                        | io::ErrorKind::TimedOut
                        | io::ErrorKind::Interrupted
                ) => {}
            // Reset: what has come by then is what there is.
            Err(_) => closed = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn answered(bytes: &'static [u8], keep: bool, has: &[&str]) -> Result<(), Problem> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = i64::from(listener.local_addr().unwrap().port());
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = [0; 2];
            stream.read_exact(&mut asked).unwrap();
            stream.write_all(bytes).unwrap();
            // The connection stays open until the other side has had enough.
            if keep { stream.read(&mut asked).ok() } else { None }
        });
        let has = has.iter().map(|piece| (*piece).to_owned()).collect();
        let speech = Speech { port: port.try_into().unwrap(), send: "hi".to_owned(), has };
        let clock = Clock::for_test(Duration::from_secs(2));
        let result = speak(&speech, &clock);
        server.join().unwrap();
        result
    }

    #[test]
    fn an_answer_has_its_pieces_or_says_what_came() {
        assert_eq!(answered(b"HTTP/1.0 200 OK\r\n", true, &["200", "HTTP"]), Ok(()));
        let lacks = |got: &str| {
            Err(Problem::Lacks {
                stream: Printed::Answer,
                piece: "200".to_owned(),
                got: Some(got.to_owned()),
            })
        };
        assert_eq!(answered(b"404", false, &["200"]), lacks("404"));
        assert_eq!(answered(b"404", true, &["200"]), lacks("404"));
        assert!(matches!(answered(b"", true, &["200"]), Err(Problem::Time { .. })));
    }
}
