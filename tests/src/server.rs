//! An HTTPS server on loopback, with a certificate authority made for it.
//!
//! `openssl s_server` serves one folder, one connection after another, under a name that no
//! resolver knows: a client reaches it only when it was told the address and the authority.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::outcome::run;
use crate::require;

/// The server's name. `.test` is reserved for this use (RFC 6761, section 6.2).
pub const NAME: &str = "files.coracle.test";

/// A running server. It ends when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    port: u16,
    authority: PathBuf,
}

impl Server {
    /// Serves the files of `folder`, or skips the test where `openssl` is missing. Keys and
    /// certificates are written to `keys`, an existing folder.
    ///
    /// # Panics
    /// When the server does not start.
    pub fn start(folder: &Path, keys: &Path) -> Option<Self> {
        let openssl = require::program("openssl")?;
        certify(&openssl, keys);
        let mut child = Command::new(openssl)
            .args(["s_server", "-WWW", "-accept", "127.0.0.1:0", "-cert"])
            .arg(keys.join("server.pem"))
            .arg("-key")
            .arg(keys.join("server.key"))
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl starts");
        let mut said = BufReader::new(child.stdout.take().expect("the output is piped"));
        let mut line = String::new();
        // `ACCEPT 127.0.0.1:PORT` says that the socket listens, and where.
        let port = loop {
            line.clear();
            let length = said.read_line(&mut line).expect("the server's output is text");
            assert!(length > 0, "openssl s_server ended before it listened");
            if let Some(port) = line.strip_prefix("ACCEPT 127.0.0.1:") {
                break port.trim().parse().expect("a port number");
            }
        };
        // It logs each connection there; a full or closed pipe would stop it.
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        Some(Self { child, port, authority: keys.join("authority.pem") })
    }

    /// `NAME:PORT`, as `curl --resolve` wants it.
    pub fn host_and_port(&self) -> String {
        format!("{NAME}:{}", self.port)
    }

    /// The address of a file of the served folder.
    pub fn url(&self, file: &str) -> String {
        format!("https://{}/{file}", self.host_and_port())
    }

    /// The certificate of the authority that vouches for the server, in PEM.
    pub fn authority(&self) -> &Path {
        &self.authority
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Makes an authority, and a certificate of [`NAME`] that it signed.
fn certify(openssl: &Path, keys: &Path) {
    let step = |arguments: &str| {
        run(Command::new(openssl).current_dir(keys).args(arguments.split(' '))).ok();
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    fs::write(keys.join("server.ext"), format!("subjectAltName=DNS:{NAME}\n")).expect("writable");
    step(&format!(
        "req -x509 {key} -keyout authority.key -out authority.pem -days 2 -subj /CN=tests"
    ));
    step(&format!("req {key} -keyout server.key -out server.csr -subj /CN={NAME}"));
    step(
        "x509 -req -in server.csr -CA authority.pem -CAkey authority.key -CAcreateserial \
         -days 2 -extfile server.ext -out server.pem",
    );
}
