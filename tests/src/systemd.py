"""A stand-in for systemd's manager on a private bus, for tests of the cgroup driver.

    systemd.py MOUNT OPTIONS...

It does what the real one does with a scope, in the cgroup2 mount MOUNT: makes the slice's and the scope's folders, moves
the processes there, sends JobRemoved. Each call is written to standard output as a line of JSON, so that a test can see
exactly what was asked for. D-Bus's reference implementation decodes the messages and checks their types.

OPTIONS: unknown=NAME (a property that this systemd does not have), exists (a failed unit of that name is there until it is
reset), result=WORD (how jobs end), own=PATH (the manager's own cgroup).
"""

import json
import os
import sys

import dbus
import dbus.service
from dbus.mainloop.glib import DBusGMainLoop
from gi.repository import GLib

NAME = "org.freedesktop.systemd1"
MANAGER = NAME + ".Manager"
UNIT = "/org/freedesktop/systemd1/unit"

mount = sys.argv[1]
options = dict((word.split("=", 1) + [""])[:2] for word in sys.argv[2:])
scopes = {}


def plain(value):
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, dbus.Boolean):
        return bool(value)
    if isinstance(value, int):
        return int(value)
    return str(value)


def say(call, **what):
    print(json.dumps({"call": call, **what}), flush=True)


def slice_path(name):
    stem = name.removesuffix(".slice")
    if stem == "-":
        return ""
    parts = stem.split("-")
    return "/".join("-".join(parts[: i + 1]) + ".slice" for i in range(len(parts)))


def properties_of(properties):
    return {str(name): plain(value) for name, value in properties}


class Refused(dbus.DBusException):
    def __init__(self, kind, text):
        super().__init__(text, name=kind)


def check(properties):
    unknown = options.get("unknown")
    if any(name == unknown for name, _ in properties):
        raise Refused("org.freedesktop.DBus.Error.PropertyReadOnly",
                      f"Cannot set property {unknown}, or unknown property.")


class Manager(dbus.service.Object):
    jobs = 0

    def end_of_job(self, unit):
        Manager.jobs += 1
        number, path = Manager.jobs, f"/org/freedesktop/systemd1/job/{Manager.jobs}"
        result = options.get("result", "done")
        GLib.idle_add(lambda: self.JobRemoved(number, path, unit, result) and False)
        return path

    @dbus.service.method(MANAGER, in_signature="", out_signature="")
    def Subscribe(self):
        say("Subscribe")

    @dbus.service.method(MANAGER, in_signature="ssa(sv)a(sa(sv))", out_signature="o")
    def StartTransientUnit(self, unit, mode, properties, auxiliary):
        say("StartTransientUnit", unit=plain(unit), mode=plain(mode),
            properties=properties_of(properties), auxiliary=plain(auxiliary))
        check(properties)
        if "exists" in options:
            raise Refused(NAME + ".UnitExists", f"Unit {unit} was already loaded or has a fragment file.")
        given = properties_of(properties)
        path = "/".join(part for part in (options.get("own", "").strip("/"), slice_path(given["Slice"]), unit) if part)
        if options.get("result", "done") == "done":
            folder = os.path.join(mount, path)
            os.makedirs(folder, exist_ok=True)
            for pid in given["PIDs"]:
                with open(os.path.join(folder, "cgroup.procs"), "w") as file:
                    file.write(str(pid))
            scopes[escape(unit)] = "/" + path
        return self.end_of_job(unit)

    @dbus.service.method(MANAGER, in_signature="ss", out_signature="o")
    def StopUnit(self, unit, mode):
        say("StopUnit", unit=plain(unit), mode=plain(mode))
        path = scopes.pop(escape(unit), None)
        if path is None:
            raise Refused(NAME + ".NoSuchUnit", f"Unit {unit} not loaded.")
        try:
            os.rmdir(mount + path)
        except OSError:
            pass
        return self.end_of_job(unit)

    @dbus.service.method(MANAGER, in_signature="s", out_signature="")
    def ResetFailedUnit(self, unit):
        say("ResetFailedUnit", unit=plain(unit))
        options.pop("exists", None)

    @dbus.service.method(MANAGER, in_signature="sba(sv)", out_signature="")
    def SetUnitProperties(self, unit, runtime, properties):
        say("SetUnitProperties", unit=plain(unit), runtime=plain(runtime), properties=properties_of(properties))
        check(properties)

    @dbus.service.signal(MANAGER, signature="uoss")
    def JobRemoved(self, number, job, unit, result):
        pass

    @dbus.service.method(dbus.PROPERTIES_IFACE, in_signature="ss", out_signature="v")
    def Get(self, interface, name):
        if (interface, name) == (MANAGER, "ControlGroup"):
            return options.get("own", "")
        raise Refused("org.freedesktop.DBus.Error.UnknownProperty", name)


class Units(dbus.service.FallbackObject):
    SUPPORTS_MULTIPLE_OBJECT_PATHS = True

    @dbus.service.method(dbus.PROPERTIES_IFACE, in_signature="ss", out_signature="v", rel_path_keyword="path")
    def Get(self, interface, name, path):
        if (interface, name) == (NAME + ".Scope", "ControlGroup"):
            return scopes[path.strip("/")]
        raise Refused("org.freedesktop.DBus.Error.UnknownProperty", name)


def escape(unit):
    return "".join(c if c.isascii() and c.isalnum() and not (i == 0 and c.isdigit()) else f"_{ord(c):02x}"
                   for i, c in enumerate(unit))


DBusGMainLoop(set_as_default=True)
bus = dbus.SystemBus()
claimed = dbus.service.BusName(NAME, bus)
manager = Manager(bus, "/org/freedesktop/systemd1")
units = Units(bus, UNIT)
say("ready")
GLib.MainLoop().run()
