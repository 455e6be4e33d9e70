"""One call of the Kubernetes Container Runtime Interface: `cri.py SOCKET SERVICE.METHOD [REQUEST]`.

The request and the answer are JSON, with the field names of the interface (runtime.v1, cri-api's api.proto). Written for
the tests of engines: it knows the messages and the fields that those use, and no others.

A message is a table: field name to number and type, where a type is a scalar's name or another table; `[type]` is a
repeated field, `{}` a map of strings.
"""

import json
import sys

import grpc

ID = {"pod_sandbox_id": (1, "string")}
CONTAINER_ID = {"container_id": (1, "string")}
VALUE = {"value": (1, "int")}
METADATA = {"name": (1, "string"), "uid": (2, "string"), "namespace": (3, "string"), "attempt": (4, "int")}
NAMESPACES = {"network": (1, "int"), "pid": (2, "int"), "ipc": (3, "int")}
PROFILE = {"profile_type": (1, "int"), "localhost_ref": (2, "string")}
RESOURCES = {
    "cpu_period": (1, "int"),
    "cpu_quota": (2, "int"),
    "cpu_shares": (3, "int"),
    "memory_limit_in_bytes": (4, "int"),
    "oom_score_adj": (5, "int"),
}
SANDBOX = {
    "metadata": (1, METADATA),
    "hostname": (2, "string"),
    "log_directory": (3, "string"),
    "port_mappings": (
        5,
        [{"protocol": (1, "int"), "container_port": (2, "int"), "host_port": (3, "int"), "host_ip": (4, "string")}],
    ),
    "labels": (6, {}),
    "linux": (
        8,
        {
            "cgroup_parent": (1, "string"),
            "security_context": (2, {"namespace_options": (1, NAMESPACES), "privileged": (6, "int")}),
            "sysctls": (3, {}),
        },
    ),
}
SECURITY = {
    "capabilities": (1, {"add_capabilities": (1, ["string"]), "drop_capabilities": (2, ["string"])}),
    "privileged": (2, "int"),
    "namespace_options": (3, NAMESPACES),
    "run_as_user": (5, VALUE),
    "readonly_rootfs": (7, "int"),
    "supplemental_groups": (8, ["int"]),
    "no_new_privs": (11, "int"),
    "run_as_group": (12, VALUE),
    "masked_paths": (13, ["string"]),
    "readonly_paths": (14, ["string"]),
    "seccomp": (15, PROFILE),
}
CONTAINER = {
    "metadata": (1, {"name": (1, "string"), "attempt": (2, "int")}),
    "image": (2, {"image": (1, "string")}),
    "command": (3, ["string"]),
    "args": (4, ["string"]),
    "working_dir": (5, "string"),
    "envs": (6, [{"key": (1, "string"), "value": (2, "string")}]),
    "mounts": (
        7,
        [
            {
                "container_path": (1, "string"),
                "host_path": (2, "string"),
                "readonly": (3, "int"),
                "propagation": (5, "int"),
            }
        ],
    ),
    "devices": (8, [{"container_path": (1, "string"), "host_path": (2, "string"), "permissions": (3, "string")}]),
    "log_path": (11, "string"),
    "linux": (15, {"resources": (1, RESOURCES), "security_context": (2, SECURITY)}),
}
STATS = {
    "stats": (
        1,
        {
            "cpu": (2, {"usage_core_nano_seconds": (2, VALUE)}),
            "memory": (3, {"working_set_bytes": (2, VALUE), "usage_bytes": (4, VALUE)}),
        },
    )
}
# Method: its request, its answer.
METHODS = {
    "RuntimeService.Version": ({}, {"runtime_name": (2, "string")}),
    "RuntimeService.Status": (
        {},
        {
            "status": (
                1,
                {"conditions": (1, [{"type": (1, "string"), "status": (2, "int"), "message": (4, "string")}])},
            )
        },
    ),
    "RuntimeService.RunPodSandbox": ({"config": (1, SANDBOX), "runtime_handler": (2, "string")}, ID),
    "RuntimeService.StopPodSandbox": (ID, {}),
    "RuntimeService.RemovePodSandbox": (ID, {}),
    "RuntimeService.PodSandboxStatus": (
        ID,
        {"status": (1, {"id": (1, "string"), "state": (3, "int"), "network": (5, {"ip": (1, "string")})})},
    ),
    "RuntimeService.CreateContainer": (
        {"pod_sandbox_id": (1, "string"), "config": (2, CONTAINER), "sandbox_config": (3, SANDBOX)},
        CONTAINER_ID,
    ),
    "RuntimeService.StartContainer": (CONTAINER_ID, {}),
    "RuntimeService.StopContainer": ({"container_id": (1, "string"), "timeout": (2, "int")}, {}),
    "RuntimeService.RemoveContainer": (CONTAINER_ID, {}),
    "RuntimeService.ContainerStatus": (
        CONTAINER_ID,
        {
            "status": (
                1,
                {"id": (1, "string"), "state": (3, "int"), "exit_code": (7, "int"), "reason": (10, "string")},
            )
        },
    ),
    "RuntimeService.UpdateContainerResources": ({"container_id": (1, "string"), "linux": (2, RESOURCES)}, {}),
    "RuntimeService.ExecSync": (
        {"container_id": (1, "string"), "cmd": (2, ["string"]), "timeout": (3, "int")},
        {"stdout": (1, "string"), "stderr": (2, "string"), "exit_code": (3, "int")},
    ),
    "RuntimeService.ContainerStats": (CONTAINER_ID, STATS),
    "ImageService.ListImages": ({}, {"images": (1, [{"id": (1, "string"), "repo_tags": (2, ["string"])}])}),
}


def varint(number):
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def encode(table, message):
    out = b""
    for name, value in message.items():
        number, kind = table[name]
        if kind == {}:
            kind, value = [{"key": (1, "string"), "value": (2, "string")}], [
                {"key": key, "value": text} for key, text in value.items()
            ]
        for item in value if isinstance(kind, list) else [value]:
            inner = kind[0] if isinstance(kind, list) else kind
            if inner == "int":
                out += varint(number << 3) + varint(int(item))
            else:
                data = item.encode() if inner == "string" else encode(inner, item)
                out += varint(number << 3 | 2) + varint(len(data)) + data
    return out


def decode(table, data):
    fields = {number: (name, kind) for name, (number, kind) in table.items()}
    message, at = {}, 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = number()
        if key & 7 == 0:
            value = number()
        elif key & 7 == 2:
            length = number()
            value = data[at : at + length]
            at += length
        else:
            at += {1: 8, 5: 4}[key & 7]
            continue
        if key >> 3 not in fields:
            continue
        name, kind = fields[key >> 3]
        inner = kind[0] if isinstance(kind, list) else kind
        if inner == "string":
            value = value.decode(errors="replace")
        elif isinstance(inner, dict):
            value = decode(inner, value)
        if isinstance(kind, list):
            message.setdefault(name, []).append(value)
        else:
            message[name] = value
    return message


def main():
    socket, method, *request = sys.argv[1:]
    asked, answered = METHODS[method]
    channel = grpc.insecure_channel(f"unix://{socket}")
    call = channel.unary_unary(
        "/runtime.v1." + method.replace(".", "/"),
        request_serializer=lambda message: encode(asked, message),
        response_deserializer=lambda data: decode(answered, data),
    )
    try:
        answer = call(json.loads(request[0]) if request else {}, timeout=60)
    except grpc.RpcError as error:
        sys.exit(f"{error.code().name}: {error.details()}")
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
