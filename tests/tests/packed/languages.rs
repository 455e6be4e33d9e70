//! Interpreters with their standard libraries, whose extension modules have closures of their own.

use tests::outcome::run;
use tests::require;
use tests::scratch::Scratch;
const PYTHON: &str = r#"
import ctypes, lzma, os, sqlite3, ssl, sys
data = bytes(range(256)) * 100
assert lzma.decompress(lzma.compress(data)) == data
base = sqlite3.connect("/tmp/base.db")
base.execute("create table t (n integer)")
base.executemany("insert into t values (?)", [(n,) for n in range(101)])
print("sqlite3", base.execute("select sum(n) from t").fetchone()[0])
print("ctypes", ctypes.CDLL(None).getpid() == os.getpid())

# A whole TLS handshake, in memory.
server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
server_side.load_cert_chain("/keys/server.pem", "/keys/server.key")
client_side = ssl.create_default_context(cafile="/keys/authority.pem")
to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
client = client_side.wrap_bio(to_client, to_server, server_hostname="NAME")
server = server_side.wrap_bio(to_server, to_client, server_side=True)
waiting = [client, server]
while waiting:
    for side in list(waiting):
        try:
            side.do_handshake()
            waiting.remove(side)
        except ssl.SSLWantReadError:
            pass
client.write(b"sealed")
print("ssl", client.version(), server.read().decode())
sys.exit(4)
"#;

#[test]
fn python_imports_extension_modules_and_works_with_them() {
    let Some(python) = require::file("/usr/bin/python3").filter(|_| require::root()) else {
        return;
    };
    let scratch = Scratch::new("python");
    let keys = scratch.subfolder("keys");
    // Only its certificates are wanted here.
    if tests::server::Server::start(scratch.path(), &keys).is_none() {
        return;
    }
    let modules = "ctypes,lzma,sqlite3,ssl";
    let modules = ["--python-modules", modules, "-t", "python"].map(std::ffi::OsStr::new);
    scratch.pack(&[modules.as_slice(), &[python.as_os_str()]].concat());
    let script = scratch.file("script.py", PYTHON.replace("NAME", tests::server::NAME));
    let script = format!("{}:/script.py:ro", script.display());
    let keys = format!("{}:/keys:ro", keys.display());
    let options = ["--volume", &script, "--volume", &keys];
    let outcome = run(&mut scratch.launch(&options, "python", &["/script.py"])).exits(4);
    assert_eq!(outcome.text(), "sqlite3 5050\nctypes True\nssl TLSv1.3 sealed", "{outcome:?}");
}

const PERL: &str = r#"
use strict; use warnings;
use Digest::SHA qw(sha256_hex); use JSON::PP; use List::Util qw(sum); use POSIX qw(floor);
print "digest ", sha256_hex("abc"), "\n";
print "json ", JSON::PP->new->canonical->encode({ b => [1, 2], a => sum(1 .. 10) }), "\n";
print "posix ", floor(6.7), "\n";
exit 9;
"#;

#[test]
fn perl_finds_its_modules() {
    let Some(perl) = require::program("perl").filter(|_| require::root()) else { return };
    let scratch = Scratch::new("perl");
    let modules = "Digest::SHA,JSON::PP,List::Util,POSIX";
    scratch.pack(&["--perl-modules".as_ref(), modules.as_ref(), perl.as_os_str()]);
    let outcome = run(&mut scratch.launch(&[], "perl", &["-e", PERL])).exits(9);
    assert_eq!(
        outcome.text(),
        "digest ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n\
         json {\"a\":55,\"b\":[1,2]}\nposix 6",
        "{outcome:?}"
    );
}
