//! Steps that go on, and programs beside the image.

use super::{Case, script};
use tests::require;

/// A server of a few lines.
fn server(port: u16, at_term: &str) -> String {
    format!(
        "[[check.step]]\nname = \"web\"\nport = {port}\nrun = [\"/usr/bin/python3\", \"-c\", '''\n\
         import signal, socket, sys\n\
         def end(*_): {at_term}\n\
         signal.signal(signal.SIGTERM, end)\n\
         signal.signal(signal.SIGHUP, lambda *_: print(\"again\", flush=True))\n\
         s = socket.create_server((\"127.0.0.1\", {port}))\n\
         while True:\n    c, _ = s.accept()\n    c.sendall(b\"you said \" + c.recv(99)); c.close()\n''']\n"
    )
}

fn check(name: &str, steps: &str) -> Option<(i32, String)> {
    require::file("/usr/bin/python3")?;
    let modules = "[modules]\npython = [\"signal\", \"socket\"]\n";
    let case = Case::new(name, &(modules.to_owned() + steps))?;
    // The recipe's first key again would be an error: the program is added where the shell is.
    let text = std::fs::read_to_string(&case.recipe).unwrap();
    let text = text.replacen("\"/bin/sh\",", "\"/bin/sh\", \"/usr/bin/python3\",", 1);
    std::fs::write(&case.recipe, text).unwrap();
    let outcome = case.check(&[]);
    Some((outcome.status.code().unwrap(), outcome.text()))
}

const SPEAK: &str =
    "[[check.step]]\nspeak = { port = 8000, send = \"hello\", has = [\"you said hello\"] }\n";

#[test]
fn a_server_is_spoken_to_signalled_stopped_and_started_again() {
    let steps = server(8000, "sys.exit(0)")
        + SPEAK
        + "[[check.step]]\nstop = \"web\"\nsignal = \"HUP\"\n"
        + SPEAK
        + "[[check.step]]\nstop = \"web\"\n"
        + &server(8000, "sys.exit(0)")
        + SPEAK;
    let Some((status, text)) = check("server", &steps) else { return };
    assert_eq!((status, text.lines().filter(|l| l.starts_with("ok ")).count()), (0, 7), "{text}");
}

#[test]
fn a_server_that_fails_is_told_of_with_its_log() {
    let early = "[[check.step]]\nname = \"web\"\nport = 8000\n\
        run = [\"sh\", \"-c\", \"echo no configuration >&2; exit 4\"]\n";
    let later = "[[check.step]]\nname = \"web\"\n\
        run = [\"sh\", \"-c\", \"echo > /tmp/gone; exit 5\"]\n"
        .to_owned()
        + &script("while [ ! -e /tmp/gone ]; do sleep 0.1; done; sleep 1");
    let badly = server(8000, "sys.exit(6)") + "[[check.step]]\nstop = \"web\"\n";
    let other = server(8000, "sys.exit(0)")
        + "[[check.step]]\nspeak = { port = 8000, send = \"a\", has = [\"b\"] }\n";
    let refused = "[[check.step]]\nspeak = { port = 9, has = [\"b\"] }\n".to_owned();
    for (name, steps, pieces) in [
        (
            "early",
            early.to_owned(),
            &["`web` ended by itself, with status 4", "no configuration"][..],
        ),
        ("later", later, &["ok ", "`web` ended by itself, with status 5"]),
        ("badly", badly, &["asked to end, and ended with status 6"]),
        ("other", other, &["the answer lacks \"b\"", "got:      \"you said a\""]),
        ("refused", refused, &["cannot speak to port 9"]),
    ] {
        let Some((status, text)) = check(name, &steps) else { return };
        assert_eq!(status, 1, "{text}");
        for piece in pieces {
            assert!(text.contains(piece), "`{piece}` is not in {text}");
        }
    }
}

#[test]
fn a_peer_is_a_program_of_the_root_beside_the_image() {
    let peer = "[check]\n[[check.peer]]\nname = \"tls\"\nexecutables = [\"openssl\", \"/bin/sh\"]\nport = 8443\n\
        files = [{ source = \"app.toml\", destination = \"/only/here\" }]\nenv = { A = \"b\" }\n\
        run = [\"sh\", \"-c\", \"test -e /only/here && test $A = b && read x < /dev/null; \
        openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=x -keyout /tmp/k -out /tmp/c && \
        exec openssl s_server -accept 8443 -key /tmp/k -cert /tmp/c\"]\n"
        .to_owned()
        + &script("[ ! -e /only ]; ls /.coracle/peers/tls || id -u")
        + "user = \"1\"\nstdout = \"1\\n\"\n";
    if require::program("openssl").is_none() {
        return;
    }
    let Some(case) = Case::new("peer", &peer) else { return };
    let outcome = case.check(&[]).ok();
    assert_eq!(outcome.text().lines().filter(|line| line.starts_with("ok ")).count(), 2);
}
