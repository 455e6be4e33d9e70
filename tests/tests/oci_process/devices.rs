//! Network devices that move into a container. The host of these tests is a network namespace of their own.

use std::process::Command;

use serde_json::{Value, json};

use super::Bench;

/// Runs the container where there is a pair of devices, `v0` with addresses and `v1`; what is left there comes after its
/// answers.
fn run(bench: &Bench, questions: &[&str], devices: &Value) -> String {
    bench.configure(questions, &json!({}), &json!({ "netDevices": devices }));
    let paddle = bench.scratch.paddle();
    let arguments: Vec<&std::ffi::OsStr> = paddle.get_args().collect();
    let script = "ip link set lo up && ip link add v0 type veth peer name v1 && ip addr add 10.1.2.3/24 dev v0 \
        && ip addr add 2001:db8::5/64 dev v0 nodad && ip link set v0 up && ip link set v1 up && \"$@\"; echo $?; \
        ip -o link show v0 2>&1 | cut -c1-10; exit 0";
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", script, "sh"]).arg(paddle.get_program()).args(arguments);
    command.args(["run", "--bundle"]).arg(&bench.bundle).arg(bench.scratch.container());
    for (name, value) in paddle.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    let output = command.output().unwrap();
    let words = |bytes: &[u8]| {
        String::from_utf8_lossy(bytes).split_whitespace().collect::<Vec<_>>().join(" ")
    };
    format!("{}|{}", words(&output.stdout), words(&output.stderr))
}

#[test]
fn a_device_moves_with_its_addresses_under_the_name_that_is_wanted() {
    let Some(bench) = Bench::new("devices-move") else { return };
    let Some(_) = tests::require::program("ip") else { return };
    let check = |questions: &[&str], devices: Value, expected: &str| {
        let found = run(&bench, questions, &devices);
        assert!(found.starts_with(expected), "{devices}: {found}");
    };
    let gone = "0 Device \"v0";
    let six = "20010db8000000000000000000000005";
    check(&["device=v0", "inet6=2001"], json!({ "v0": {} }), &format!("v0 up 10.1.2.3 {six}"));
    check(&["device=v0"], json!({ "v0": { "name": "" } }), &format!("v0 up 10.1.2.3 {gone}"));
    check(
        &["device=e0", "device=v0"],
        json!({ "v0": { "name": "e0" } }),
        &format!("e0 up 10.1.2.3 v0 ENODEV {gone}"),
    );
    check(
        &["device=eth0"],
        json!({ "v0": { "name": "eth%d" } }),
        &format!("eth0 up 10.1.2.3 {gone}"),
    );
    let both = json!({ "v0": { "name": "a" }, "v1": { "name": "b" } });
    check(&["device=a", "device=b"], both, "a up 10.1.2.3 b up none 0");
}

#[test]
fn a_device_that_cannot_move_stays() {
    let Some(bench) = Bench::new("devices-stay") else { return };
    let Some(_) = tests::require::program("ip") else { return };
    let check = |devices: Value, expected: &str| {
        let found = run(&bench, &["ids"], &devices);
        assert!(found.starts_with("1 3: v0@v1"), "{devices}: {found}");
        assert!(found.contains(expected), "{devices}: {found}");
    };
    check(json!({ "v0": { "name": "lo" } }), "cannot move network device `lo`: File exists");
    check(json!({ "nope": {} }), "cannot find network device `nope`");
    check(json!({ "v0": { "name": "a/b" } }), "no name of a network device");
}
