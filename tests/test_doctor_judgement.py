"""The doctor's judgement on machines that are not at hand, and on refusals made for real."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from netkit.operator import doctor, doctor_facts
from netkit.operator.doctor import Finding, judge, to_json, to_text
from netkit.operator.doctor_checks import find_free_range
from netkit.operator.doctor_facts import Engines, FoundEngine, Helper
from tests import recorded_machines as recorded
from tests.conftest import NETKIT
from tests.recorded_machines import DEBIAN


def diagnose(machine) -> dict[str, Finding]:
    """Findings by name; every one that is not well says what it costs and what helps."""
    findings = {finding.name: finding for finding in judge(machine)}
    assert all(bool(f.cost) == bool(f.remedy) == (f.state != "ok") for f in findings.values()), findings
    return findings


def ailing(machine) -> dict[str, str]:
    """What is not well there, as name → state."""
    return {name: finding.state for name, finding in diagnose(machine).items() if finding.state != "ok"}


def test_a_plain_debian_is_well():
    """Nothing is found wanting on a Debian 12 with everything installed, and it reads as the first notebook shows."""
    assert ailing(DEBIAN) == {}
    text = to_text(judge(DEBIAN))
    for line in (
        "✓ system           Linux 6.1.0-35-amd64, x86_64, Python 3.11.2, control groups version 2",
        "✓ engine           20.10.24 at /usr/sbin/dockerd; docker command: /usr/bin/docker",
        "✓ user namespaces  up to 63488 per user",
        "✓ identity         mode user: labs opened from here have 65537 user ids",
        "✓ iptables         iptables v1.8.9 (nf_tables)",
        "✓ programs         all 11 commands of the notebooks are there",
    ):
        assert line in text.splitlines()


def test_ubuntu_grants_a_namespace_and_nothing_in_it():
    """AppArmor's restriction is recognised by what is refused inside; three ways out, each with its price."""
    assert ailing(recorded.UBUNTU) == {"user namespaces": "fails"}
    finding = diagnose(recorded.UBUNTU)["user namespaces"]
    assert "without capabilities inside: a network is refused (EPERM)" in finding.facts
    for part in ("sysctl kernel.apparmor_restrict_unprivileged_userns=0", "profile netkit /usr/bin/python3.12 flags=(unconfined) { userns, }",
                 "apparmor_parser --replace", "every program of every user", "root's rights"):  # fmt: skip
        assert part in finding.remedy
    allowed = replace(recorded.UBUNTU, namespaces=replace(recorded.UBUNTU.namespaces, steps=recorded.ALL))
    assert ailing(allowed) == {}, "the setting alone is no fault: an AppArmor profile may allow this Python"


def test_wsl():
    """WSL 2 is a Linux whose iptables may be legacy; WSL 1 is none."""
    assert ailing(recorded.WSL2) == {"iptables": "lacks"}
    assert "update-alternatives --set iptables /usr/sbin/iptables-nft" in diagnose(recorded.WSL2)["iptables"].remedy
    old = replace(recorded.WSL2, release="4.4.0-22621-Microsoft")
    assert "wsl --set-version" in diagnose(old)["system"].remedy


def test_fedora_is_told_in_its_own_words():
    """Packages have Fedora's names; Podman's docker is told from Docker's; an old engine elsewhere is called old."""
    findings = diagnose(recorded.FEDORA)
    assert ailing(recorded.FEDORA) == {"engine": "lacks", "programs": "lacks", "font": "lacks"}
    assert findings["programs"].remedy == "`dnf install bind-utils conntrack-tools`"
    assert "Podman's" in findings["engine"].cost
    assert findings["other engines"].facts == "/opt/old/dockerd (19.03.15, too old)"
    assert "boxes (□)" in findings["font"].cost


def test_another_security_module_is_not_called_apparmor():
    """A capability refused by SELinux names the log to read, and no AppArmor."""
    finding = diagnose(recorded.CONFINED)["user namespaces"]
    assert finding.state == "fails" and "EACCES" in finding.facts
    assert "AppArmor" not in finding.facts + finding.remedy and "ausearch" in finding.remedy


def test_missing_subordinate_ids_are_given_from_what_is_free():
    """The remedy names a range that nobody has, and only the file that lacks it."""
    finding = diagnose(recorded.WITHOUT_SUBIDS)["identity"]
    assert finding.state == "fails"
    assert finding.remedy == "as root: `usermod --add-subuids 296608-362143 eve`"
    assert "0 subordinate ids in /etc/subuid for eve" in finding.facts


def test_a_free_range_is_free(seeded):
    """Whatever ranges there are, the one found overlaps none."""
    for _ in range(200):
        ranges = tuple(("x", seeded.randrange(0, 2_000_000), seeded.choice((1, 1000, 65536, 200_000))) for _ in range(seeded.randrange(12)))
        first = find_free_range(ranges)
        assert all(begin >= first + 65536 or begin + count <= first for _, begin, count in ranges)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"helpers": (Helper("newuidmap"), Helper("newgidmap"))}, "apt-get install uidmap"),
        ({"helpers": (Helper("newuidmap", "/usr/bin/newuidmap"),)}, "chmod u+s /usr/bin/newuidmap"),
    ],
)
def test_helpers_without_power(change, part):
    """newuidmap that is missing, or not setuid, is named with what helps."""
    assert part in diagnose(replace(DEBIAN, identities=replace(DEBIAN.identities, **change)))["identity"].remedy


def test_no_new_privileges_are_noticed():
    """Under NoNewPrivs, as JupyterHub's SystemdSpawner sets it, newuidmap has no effect."""
    finding = diagnose(replace(DEBIAN, no_new_privileges=True))["identity"]
    assert finding.state == "fails" and "disable_user_sudo = False" in finding.remedy


def test_other_refusals():
    """Debian's own setting, a container's filter, an old kernel's version 1 control groups."""
    assert "kernel.unprivileged_userns_clone=1" in diagnose(recorded.HARDENED)["user namespaces"].remedy
    assert "--privileged" in diagnose(recorded.IN_DOCKER)["user namespaces"].remedy
    assert ailing(recorded.CGROUP1) == {}
    assert diagnose(recorded.CGROUP1)["control groups"].facts.startswith("version 1, none delegated")


def test_engines_that_will_not_do():
    """No engine, one elsewhere, and no docker command."""
    elsewhere = Engines(None, "no dockerd is installed", (FoundEngine("/opt/x/dockerd", "28.5.1"),))
    findings = diagnose(replace(DEBIAN, engines=elsewhere))
    assert (findings["engine"].state, findings["other engines"].state) == ("fails", "lacks")
    assert "NETKIT_ENGINE" in findings["other engines"].remedy
    old = diagnose(replace(DEBIAN, engines=replace(elsewhere, others=(FoundEngine("/opt/x/dockerd", "19.3"),))))
    assert old["other engines"].remedy == "install a newer engine"
    assert "docker-cli" in diagnose(replace(DEBIAN, engines=replace(DEBIAN.engines, docker="")))["engine"].remedy


def test_mixed_iptables_backends_and_little_room():
    """IPv6 rules in another backend than IPv4's are told, and so is too little memory or space."""
    mixed = replace(DEBIAN, ip6tables="ip6tables v1.8.9 (legacy)")
    assert "ip6tables is legacy" in diagnose(mixed)["iptables"].facts
    assert ailing(replace(DEBIAN, memory=300 << 20, places={"/tmp": 100 << 20})) == {"memory": "lacks", "space": "lacks"}
    assert diagnose(replace(DEBIAN, iptables="", ip6tables=""))["iptables"].state == "fails"


def test_the_json_has_the_documented_fields():
    """Every object has the five fields that the module's docstring documents, all of them strings."""
    for finding in json.loads(to_json(judge(recorded.FEDORA))):
        assert list(finding) == ["name", "state", "facts", "cost", "remedy"]
        assert all(isinstance(value, str) and f"``{name}``" in doctor.__doc__ for name, value in finding.items())


def in_user_namespace(setting: str, *command: str) -> subprocess.CompletedProcess:
    """Run a command in a user namespace in which a limit of namespaces is 0."""
    script = f'echo 0 >/proc/sys/user/{setting} && exec "$@"'
    return subprocess.run(["unshare", "--user", "--map-root-user", "sh", "-c", script, "sh", *command], capture_output=True, text=True)


def test_a_refused_user_namespace_is_found(machine):
    """Where the kernel really refuses user namespaces, the doctor says so, names the setting, and fails."""
    done = in_user_namespace("max_user_namespaces", NETKIT, "doctor")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "✗ user namespaces  forbidden: no notebook can be run" in done.stdout
    assert "sysctl user.max_user_namespaces=15000" in done.stdout
    assert "✗ lab              a lab cannot be opened" in done.stdout


def test_the_probe_sees_what_is_refused_inside():
    """The probe gets as far as the kernel lets it, and names the step that is refused."""
    command = [sys.executable, "-m", doctor_facts.__name__]
    free = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert {step: said for step, said in free.items() if step != "label"} == recorded.ALL
    for setting, expected in (
        ("max_user_namespaces", {"user": "ENOSPC"}),
        ("max_net_namespaces", {"user": "ok", "net": "ENOSPC"}),
        ("max_mnt_namespaces", {"user": "ok", "net": "ok", "admin": "ok", "mounts": "ENOSPC"}),
    ):
        said = json.loads(in_user_namespace(setting, *command).stdout)
        said.pop("label")
        assert said == expected


def test_an_engine_too_old_is_found(machine, tmp_path):
    """A dockerd that says 19.03 is refused by its version, and the remedy names what is needed."""
    for name in ("dockerd", "containerd", "containerd-shim-runc-v2"):
        (tmp_path / name).write_text("#!/bin/sh\necho Docker version 19.03.15, build 99e3ed8\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run([NETKIT, "doctor", "--engine", str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 1
    assert "is version 19.03.15, netkit needs 20.10 or newer" in done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user without subordinate ids")
def test_a_user_without_subordinate_ids_is_told_the_remedy():
    """The looking part sees that a real user has no ids, and that the helpers are powerful."""
    code = (
        "import sys; sys.path.insert(0, '.'); from dataclasses import replace\n"
        "from netkit.operator.doctor_facts import look_at_identities; from netkit.operator.doctor_checks import check_identities\n"
        "from tests.recorded_machines import DEBIAN; print(check_identities(replace(DEBIAN, identities=look_at_identities()))[3])"
    )
    # the system's Python: root's may live where nobody else can go
    command = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "/usr/bin/python3", "-c", code]
    if subprocess.run([*command[:-1], "import netkit"], capture_output=True).returncode:
        pytest.skip("nobody cannot read this tree with the system's Python")
    done = subprocess.run(command, capture_output=True, text=True)
    assert "usermod --add-subuids " in done.stdout and done.stdout.strip().endswith("nobody`"), done.stderr
