"""The doctor says what a machine can do, by trying it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from netkit.operator import doctor
from netkit.operator.doctor import Feature, try_feature
from tests.conftest import NETKIT


def test_the_doctor_knows_a_lab_opens(machine):
    """On a machine where labs open, the doctor says so, and which mode and engine they have."""
    done = subprocess.run([NETKIT, "doctor", "--json"], capture_output=True, text=True)
    findings = {finding["name"]: finding for finding in json.loads(done.stdout)}
    assert done.returncode == 0
    assert findings["lab"]["state"] == "ok"
    assert f"mode {'root' if os.geteuid() == 0 else 'user'}" in findings["lab"]["facts"]
    assert findings["bridge"]["state"] == findings["veth"]["state"] == "ok"
    assert all(finding["remedy"] for finding in findings.values() if finding["state"] != "ok")


def test_the_doctor_names_the_remedy_where_none_opens(machine):
    """Without an engine the doctor fails, names what is missing and how to get it."""
    done = subprocess.run([NETKIT, "doctor", "--engine", "/nowhere"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "✗ engine" in done.stdout and "✗ lab" in done.stdout
    assert "apt-get install docker.io" in done.stdout


def test_what_the_doctor_lacks_is_really_lacking(lab):
    """A kernel feature is 'ok' exactly if a host of a lab can use it."""
    said = json.loads(subprocess.run([NETKIT, "doctor", "--json"], capture_output=True, text=True).stdout)
    states = {finding["name"]: finding["state"] for finding in said}
    for kind in ("dummy", "ipvlan", "vxlan", "macvlan"):
        extra = {"vxlan": "id 7 dstport 4789 dev eth0", "dummy": ""}.get(kind, "")
        link = "link eth0" if kind in ("macvlan", "ipvlan") else ""
        done = lab["outside"].run(f"ip link add x0 {link} type {kind} {extra} && ip link delete x0", check=False)
        assert (done.status == 0) == (states[kind] == "ok"), (kind, done.stderr)


def test_a_kernel_that_has_it_is_told_from_one_that_has_not_and_one_that_refuses():
    """Of generic netlink, no kernel has a family of that name, and none lets a new user namespace delete TCP's metrics."""
    assert doctor.try_family("no such one", 1) == doctor.HAS_NONE
    code = f"from {doctor.__name__} import *; sys.exit(try_family('tcp_metrics', 2))"
    done = subprocess.run(["unshare", "--user", "--map-root-user", sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == doctor.REFUSED, done.stderr


def test_what_a_kernel_has_and_a_lab_may_not_use_has_a_remedy_of_its_own(lab):
    """A trial that is refused is told apart from one that found nothing: the module is there, loading it helps nobody."""
    told = {
        status: try_feature(lab, Feature("x", f"exit {status}", "cost", remedy="load it", refused="a newer kernel")) for status in range(3)
    }
    assert [told[status].state for status in (doctor.ANSWERS, doctor.HAS_NONE, doctor.REFUSED)] == [
        "ok",
        "lacks",
        "lacks",
    ]
    assert (told[doctor.HAS_NONE].remedy, told[doctor.REFUSED].remedy) == ("load it", "a newer kernel")
