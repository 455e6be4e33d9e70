//! What is counted, and what is reported.

use super::*;

#[test]
fn statistics_bear_the_names_that_callers_parse() {
    if !require::root() || require::controller("memory").is_none() {
        return;
    }
    let limits = json!({"memory": {"limit": 64 << 20}, "pids": {"limit": 10}});
    let group = Group::new("stats", &limits);
    let file = tempfile::NamedTempFile::new().unwrap();
    let script = "head -c 8000000 /dev/zero > FILE; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; exec sleep 100";
    let mut child = group.start(&script.replace("FILE", &file.path().display().to_string()));
    wait_until("it has worked", || {
        let line = fs::read_to_string(format!("/proc/{}/cmdline", child.id())).unwrap();
        line.starts_with("sleep")
    });
    let stats = serde_json::to_value(group.cgroup.stats().unwrap()).unwrap();
    let number = |path: &str| stats.pointer(path).and_then(Value::as_u64).unwrap_or(0);
    assert_eq!(number("/memory/usage/limit"), 64 << 20, "{stats}");
    assert_eq!(number("/pids/limit"), 10, "{stats}");
    assert_eq!(number("/pids/current"), 1, "{stats}");
    for counted in [
        "/memory/usage/usage",
        "/memory/usage/max",
        "/memory/cache",
        "/memory/raw/pgfault",
        "/cpu/usage/total",
        "/cpu/usage/user",
    ] {
        assert!(number(counted) > 0, "{counted}: {stats}");
    }
    assert!(stats.pointer("/cpu/usage/kernel").is_some() && stats["hugetlb"].is_object());
    group.cgroup.kill().unwrap();
    child.wait().unwrap();
    // And back.
    serde_json::from_value::<cgroup::Stats>(stats).unwrap();
}

#[test]
fn a_v2_group_counts_under_the_names_of_v1() {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in [
        ("memory.current", "1000\n"),
        ("memory.max", "4000\n"),
        ("memory.peak", "2000\n"),
        ("memory.swap.current", "10\n"),
        ("memory.swap.max", "max\n"),
        ("memory.stat", "anon 600\nfile 300\n"),
        ("memory.pressure", "some avg10=1.50 avg60=0.00 avg300=0.00 total=9\n"),
        (
            "cpu.stat",
            "usage_usec 7\nuser_usec 4\nsystem_usec 3\nnr_periods 2\nnr_throttled 1\nthrottled_usec 5\n",
        ),
        ("pids.current", "3\n"),
        ("pids.max", "max\n"),
        ("io.stat", "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n254:1 \n"),
        ("hugetlb.2MB.current", "0\n"),
        ("hugetlb.2MB.rsvd.current", "2097152\n"),
        ("hugetlb.2MB.events", "max 8\n"),
    ] {
        fs::write(folder.path().join(name), content).unwrap();
    }
    let paths = json!({"groups": [
        {"version": "V2", "controllers": ["memory"], "path": folder.path()},
    ]});
    let group = cgroup::reopen(&serde_json::from_value(paths).unwrap());
    let stats = serde_json::to_value(group.stats().unwrap()).unwrap();
    let none = u64::MAX;
    assert_eq!(
        stats["memory"],
        json!({
            "cache": 300, "raw": {"anon": 600, "file": 300},
            "usage": {"limit": 4000, "usage": 1000, "max": 2000, "failcnt": 0},
            "swap": {"limit": none, "usage": 1010, "failcnt": 0},
            "kernel": {"limit": 0, "failcnt": 0}, "kernelTCP": {"limit": 0, "failcnt": 0},
            "psi": {"some": {"avg10": 1.5, "avg60": 0.0, "avg300": 0.0, "total": 9},
                    "full": {"avg10": 0.0, "avg60": 0.0, "avg300": 0.0, "total": 0}},
        })
    );
    assert_eq!(
        stats["cpu"],
        json!({
            "usage": {"total": 7000, "user": 4000, "kernel": 3000},
            "throttling": {"periods": 2, "throttledPeriods": 1, "throttledTime": 5000},
        })
    );
    assert_eq!(stats["pids"], json!({"current": 3}));
    assert_eq!(
        stats["blkio"],
        json!({
            "ioServiceBytesRecursive": [
                {"major": 8, "op": "Read", "value": 1}, {"major": 8, "op": "Write", "value": 2},
            ],
            "ioServicedRecursive": [
                {"major": 8, "op": "Read", "value": 3}, {"major": 8, "op": "Write", "value": 4},
            ],
        })
    );
    assert_eq!(stats["hugetlb"], json!({"2MB": {"usage": 2_097_152, "failcnt": 8}}));
}

#[test]
fn running_out_of_memory_is_reported_and_so_is_the_end() {
    if !require::root() || require::controller("memory").is_none() {
        return;
    }
    let group = Group::new("watch", &json!({"memory": {"limit": 16 << 20}}));
    let mut watch = group.cgroup.watch_memory().unwrap();
    let mut heard = |wanted: OomEvent| {
        wait_until("the event", || {
            let mut poll = [PollFd::new(&watch, PollFlags::IN)];
            let second = Timespec { tv_sec: 1, tv_nsec: 0 };
            rustix::event::poll(&mut poll, Some(&second)).unwrap();
            watch.take().unwrap() == wanted
        });
    };
    let status = group.run("exec tail /dev/zero");
    assert_eq!(status.signal(), Some(9));
    heard(OomEvent::OutOfMemory);
    group.cgroup.remove().unwrap();
    heard(OomEvent::Gone);
    assert_eq!(watch.kills(), 1);
}
