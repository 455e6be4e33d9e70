//! Containers in user namespaces: launched by root, and by an ordinary user.

mod sandbox_support;

use launcher::spec::{NetworkChoice, Overrides};
use sandbox_support::Box;
use tests::require;

const USER: u32 = 60_123;

fn with(change: impl FnOnce(&mut Overrides)) -> Overrides {
    let mut overrides = Overrides::default();
    change(&mut overrides);
    overrides
}

#[test]
fn root_launches_into_a_user_namespace() {
    if !require::root() {
        return;
    }
    let container = Box::new("mapped");
    for read_only in [false, true] {
        for network in [NetworkChoice::None, NetworkChoice::Host] {
            let overrides = with(|o| {
                (o.user_namespace, o.read_only, o.network) = (true, read_only, network);
            });
            let map = container.answer(&overrides, &["cat=/proc/self/uid_map"]);
            let map: Vec<&str> = map.split_ascii_whitespace().collect();
            assert_eq!((map[0], map[1] != "0"), ("0", true), "{map:?}");
            container.check_with(
                &overrides,
                &[
                    "ids",
                    "stat=/probe",
                    "stat=/etc/hosts",
                    "read=/dev/zero",
                    "write=/dev/null",
                    "write=/x",
                    "flags=/sys",
                ],
                &format!(
                    "0 0\n100755 0:0 0:0\n100644 0:0 0:0\nok\nok\n{}\nro,nosuid,nodev,noexec\n",
                    if read_only { "EROFS" } else { "ok" }
                ),
            );
        }
    }
    let tty = with(|o| (o.user_namespace, o.tty) = (true, true));
    container.check_with(&tty, &["tty", "ctty"], "tty /dev/pts/0\r\nok\r\n");
    let user = with(|o| (o.user_namespace, o.user) = (true, Some("1000:1000".parse().unwrap())));
    container.check_with(&user, &["ids", "write=/x"], "1000 1000\nEACCES\n");
    // What it writes belongs to nobody of the host.
    let plan = container.plan(&with(|o| o.user_namespace = true), &["write=/owned"]);
    assert_eq!(container.run(&plan).stdout, "ok\n");
}

#[test]
fn an_ordinary_user_launches() {
    if !require::root() || !require::user_namespaces() {
        return;
    }
    let mut container = Box::new("ordinary");
    container.user = Some(USER);
    container.give_away(USER);
    for read_only in [false, true] {
        for network in [NetworkChoice::None, NetworkChoice::Host] {
            for (init, tty) in [(false, false), (true, true)] {
                let overrides = with(|o| {
                    (o.read_only, o.network, o.init, o.tty) = (read_only, network, init, tty);
                });
                let expected = format!(
                    "0 0\n100755 0:0 0:0\nok\nok\n{}\nro,nosuid,nodev,noexec\n",
                    if read_only { "EROFS" } else { "ok" }
                );
                let expected = if tty { expected.replace('\n', "\r\n") } else { expected };
                container.check_with(
                    &overrides,
                    &[
                        "ids",
                        "stat=/probe",
                        "read=/dev/zero",
                        "write=/dev/null",
                        "write=/x",
                        "flags=/sys",
                    ],
                    &expected,
                );
            }
        }
    }
    let map = container
        .answer(&Overrides::default(), &["cat=/proc/self/uid_map", "cat=/proc/self/setgroups"]);
    let words: Vec<&str> = map.split_ascii_whitespace().collect();
    assert_eq!(words, ["0", &USER.to_string(), "1", "deny"]);
}
