//! containerd's CRI plugin, driven as a kubelet does it.

use std::fs;

use serde_json::{Value, json};

use super::containerd::Containerd;
use super::{all, limit, until};
use tests::outcome::{Outcome, run};
use tests::require;

/// The values of `PodSandboxState`, `ContainerState` and `NamespaceMode` that are used here.
const EXITED: i64 = 2;
const OF_THE_NODE: i64 = 2;

struct Kubelet {
    engine: Containerd,
}

impl Kubelet {
    fn new(name: &str) -> Option<Self> {
        require::file("/usr/lib/python3/dist-packages/grpc/__init__.py")?;
        let engine = Containerd::new(name)?;
        let number = engine.bench.subnet();
        engine.bench.scratch.subfolder("cni");
        engine.bench.scratch.subfolder("logs");
        let plugins = json!({
            "cniVersion": "0.4.0",
            "name": engine.bench.short(),
            "plugins": [
                {
                    "type": "bridge",
                    "bridge": engine.bench.short(),
                    "isGateway": true,
                    "ipam": {
                        "type": "host-local",
                        "ranges": [[{ "subnet": format!("10.214.{number}.0/24") }]],
                        "dataDir": engine.bench.scratch.path().join("addresses"),
                    },
                },
                { "type": "portmap", "capabilities": { "portMappings": true } },
            ],
        });
        engine.bench.scratch.file("cni/10-test.conflist", plugins.to_string());
        engine.bench.pack("pause", &["busybox", "sleep", "100000"]);
        for image in ["busybox", "pause"] {
            engine.import("k8s.io", image);
            // As a kubelet spells it.
            let (short, full) =
                (format!("{image}:latest"), format!("docker.io/library/{image}:latest"));
            engine.ctr(&["-n", "k8s.io", "images", "tag", &short, &full]).ok();
        }
        let kubelet = Self { engine };
        until("images and network are known", || {
            let images = kubelet.call("ImageService.ListImages", &json!({}));
            let status = kubelet.call("RuntimeService.Status", &json!({}));
            let ready = |value: &Value| value["status"].as_i64() == Some(1);
            images["images"].as_array().is_some_and(|list| list.len() == 2)
                && status["status"]["conditions"].as_array().unwrap().iter().all(ready)
        });
        Some(kubelet)
    }

    fn ask(&self, method: &str, request: &Value) -> Outcome {
        let mut command = self.engine.bench.scratch.command("/usr/bin/python3".as_ref());
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/engines/cri.py"));
        run(command.arg(self.engine.socket()).arg(method).arg(request.to_string()))
    }

    #[track_caller]
    fn call(&self, method: &str, request: &Value) -> Value {
        serde_json::from_slice(&self.ask(method, request).ok().stdout).unwrap()
    }

    fn pod_config(&self, name: &str, network: i64) -> Value {
        let bench = &self.engine.bench;
        json!({
            "metadata": { "name": name, "uid": bench.scratch.mark(), "namespace": "default" },
            "hostname": if network == OF_THE_NODE { "" } else { name },
            "log_directory": bench.scratch.path().join("logs"),
            "port_mappings": [{ "container_port": 8080, "host_port": self.port(), "host_ip": "127.0.0.1" }],
            "linux": {
                "cgroup_parent": format!("/{}", bench.scratch.mark()),
                "security_context": { "namespace_options": { "network": network, "pid": 1 } },
                "sysctls": if network == OF_THE_NODE { json!({}) } else { json!({ "net.ipv4.ip_unprivileged_port_start": "81" }) },
            },
        })
    }

    fn port(&self) -> u16 {
        21_000 + u16::from(self.engine.bench.subnet())
    }

    fn pod(&self, config: &Value) -> String {
        let request = json!({ "config": config, "runtime_handler": "paddle" });
        let pod = self.call("RuntimeService.RunPodSandbox", &request);
        pod["pod_sandbox_id"].as_str().unwrap().to_owned()
    }

    /// Creates and starts a container, whose log is `NAME.log`.
    fn container(
        &self,
        pod: &str,
        pod_config: &Value,
        name: &str,
        command: &[&str],
        more: &Value,
    ) -> String {
        let mut config = json!({
            "metadata": { "name": name },
            "image": { "image": "docker.io/library/busybox:latest" },
            "command": command,
            "log_path": format!("{name}.log"),
        });
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let request =
            json!({ "pod_sandbox_id": pod, "config": config, "sandbox_config": pod_config });
        let made = self.call("RuntimeService.CreateContainer", &request);
        let id = made["container_id"].as_str().unwrap().to_owned();
        self.call("RuntimeService.StartContainer", &json!({ "container_id": id }));
        id
    }

    /// What a container that ends by itself wrote to its log, and its status.
    fn finished(&self, name: &str, id: &str) -> (String, i64) {
        let status = || self.call("RuntimeService.ContainerStatus", &json!({ "container_id": id }));
        until(name, || status()["status"]["state"].as_i64() == Some(EXITED));
        let log = self.engine.bench.scratch.path().join(format!("logs/{name}.log"));
        let log = fs::read_to_string(log).unwrap();
        // `TIME STREAM FLAGS TEXT`
        let text: Vec<&str> = log.lines().filter_map(|line| line.splitn(4, ' ').nth(3)).collect();
        (text.join("\n"), status()["status"]["exit_code"].as_i64().unwrap_or(0))
    }

    fn shell(&self, id: &str, script: &str) -> Value {
        let request =
            json!({ "container_id": id, "cmd": ["busybox", "sh", "-c", script], "timeout": 20 });
        self.call("RuntimeService.ExecSync", &request)
    }

    fn remove_pod(&self, pod: &str) {
        self.call("RuntimeService.StopPodSandbox", &json!({ "pod_sandbox_id": pod }));
        self.call("RuntimeService.RemovePodSandbox", &json!({ "pod_sandbox_id": pod }));
    }
}

#[test]
fn a_pod_of_kubernetes_lives_and_is_removed() {
    if !all(&["iptables"]) || require::file("/usr/lib/cni/bridge").is_none() {
        return;
    }
    let Some(kubelet) = Kubelet::new("cri") else { return };
    let config = kubelet.pod_config("pod", 0);
    let pod = kubelet.pod(&config);
    let status = kubelet.call("RuntimeService.PodSandboxStatus", &json!({ "pod_sandbox_id": pod }));
    let address = status["status"]["network"]["ip"].as_str().unwrap().to_owned();

    let limits = json!({ "linux": { "resources": {
        "memory_limit_in_bytes": 67_108_864, "cpu_period": 100_000, "cpu_quota": 50_000, "cpu_shares": 512,
    } } });
    let server = ["busybox", "httpd", "-f", "-p", "8080", "-h", "/etc"];
    let server = kubelet.container(&pod, &config, "server", &server, &limits);
    let pid = kubelet.shell(
        &server,
        "cat /proc/1/comm; hostname; cat /proc/sys/net/ipv4/ip_unprivileged_port_start",
    );
    assert_eq!(pid["stdout"], "busybox\npod\n81\n");
    let failed = kubelet.shell(&server, "echo no >&2; exit 4");
    assert_eq!((&failed["stderr"], &failed["exit_code"]), (&"no\n".into(), &4.into()));

    // From another container of the pod, from the node, and by the published port.
    let get = "busybox wget -q -O - http://127.0.0.1:8080/passwd | grep -c ^root";
    let client =
        kubelet.container(&pod, &config, "client", &["busybox", "sh", "-c", get], &json!({}));
    assert_eq!(kubelet.finished("client", &client), ("1".to_owned(), 0));
    for url in [
        format!("http://{address}:8080/passwd"),
        format!("http://127.0.0.1:{}/passwd", kubelet.port()),
    ] {
        let said =
            run(std::process::Command::new("/bin/busybox").args(["wget", "-q", "-O", "-", &url]))
                .ok();
        assert!(said.text().starts_with("root"), "{said:?}");
    }

    limits_change(&kubelet, &server);
    let stats = kubelet.call("RuntimeService.ContainerStats", &json!({ "container_id": server }));
    assert!(
        stats["stats"]["memory"]["working_set_bytes"]["value"].as_u64() > Some(4096),
        "{stats}"
    );

    kubelet.call("RuntimeService.StopContainer", &json!({ "container_id": server, "timeout": 0 }));
    assert_eq!(kubelet.finished("server", &server).1, 137);
    kubelet.call("RuntimeService.RemoveContainer", &json!({ "container_id": server }));
    kubelet.remove_pod(&pod);
    run(std::process::Command::new("ip").args(["link", "delete", &kubelet.engine.bench.short()]))
        .ok();
}

fn limits_change(kubelet: &Kubelet, server: &str) {
    let scratch = &kubelet.engine.bench.scratch;
    // The runtime's own word for the container's process.
    let mut state = scratch.command(&kubelet.engine.bench.runtime());
    state.arg("--root").arg(scratch.state().join("k8s.io")).args(["state", server]);
    let state: Value = serde_json::from_slice(&run(&mut state).ok().stdout).unwrap();
    let pid = u32::try_from(state["pid"].as_u64().unwrap()).unwrap();
    let memory = || limit(pid, "memory", "memory.limit_in_bytes", "memory.max");
    assert_eq!(memory(), "67108864");
    let more = json!({ "container_id": server, "linux": { "memory_limit_in_bytes": 83_886_080, "cpu_quota": 70_000 } });
    kubelet.call("RuntimeService.UpdateContainerResources", &more);
    assert_eq!(memory(), "83886080");
    assert!(limit(pid, "cpu", "cpu.cfs_quota_us", "cpu.max").starts_with("70000"));
}

#[test]
fn security_contexts_of_kubernetes_hold() {
    let Some(kubelet) = Kubelet::new("cri-security") else { return };
    let config = kubelet.pod_config("pod", OF_THE_NODE);
    let pod = kubelet.pod(&config);
    let shared = kubelet.engine.bench.scratch.subfolder("shared");
    #[rustfmt::skip]
    let table = [
        (json!({ "run_as_user": { "value": 12 }, "run_as_group": { "value": 34 }, "supplemental_groups": [56] }), "id -u; id -G", "12\n34 56"),
        (json!({ "readonly_rootfs": true }), "touch /x", "touch: /x: Read-only file system"),
        (json!({ "no_new_privs": true }), "grep NoNewPrivs /proc/self/status", "NoNewPrivs:\t1"),
        (json!({ "capabilities": { "drop_capabilities": ["ALL"], "add_capabilities": ["CHOWN"] } }), "grep CapEff /proc/self/status", "CapEff:\t0000000000000001"),
        (json!({ "seccomp": { "profile_type": 0 } }), "grep Seccomp: /proc/self/status", "Seccomp:\t2"),
        (json!({ "masked_paths": ["/proc/uptime"], "readonly_paths": ["/proc/sys"] }), "wc -c </proc/uptime; echo 1 >/proc/sys/kernel/shmmax", "0\nsh: can't create /proc/sys/kernel/shmmax: Read-only file system"),
        (json!({}), "echo x >/data/file && cat /data/file", "x"),
    ];
    for (number, (context, script, expected)) in table.iter().enumerate() {
        let mounts = json!([{ "container_path": "/data", "host_path": shared, "propagation": 1 }]);
        let more = json!({ "linux": { "security_context": context }, "mounts": mounts });
        let name = format!("c{number}");
        let id = kubelet.container(
            &pod,
            &config,
            &name,
            &["busybox", "sh", "-c", &format!("{{ {script}; }} 2>&1")],
            &more,
        );
        assert_eq!(kubelet.finished(&name, &id).0, *expected, "{context}");
    }
    // What cannot be started is an error that the kubelet can show.
    let wrong = json!({ "pod_sandbox_id": pod, "sandbox_config": config, "config": {
        "metadata": { "name": "wrong" }, "image": { "image": "docker.io/library/busybox:latest" }, "command": ["/missing"],
    } });
    let made = kubelet.call("RuntimeService.CreateContainer", &wrong);
    let id = json!({ "container_id": made["container_id"] });
    kubelet
        .ask("RuntimeService.StartContainer", &id)
        .exits(1)
        .says(&["/missing", "no such file or directory"]);
    kubelet.remove_pod(&pod);
}
