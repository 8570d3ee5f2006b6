"""The Vagrantfile, and the virtual machines it stands for: two of QEMU, made and provisioned by the same scripts.

NETKIT_TEST_VM=1 .venv/bin/python -m pytest tests/test_virtual_machines.py
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.virtual import VirtualMachine, can_use_kvm, start_machines, unpack_box

ROOT = Path(__file__).parent.parent


def test_vagrant_takes_the_vagrantfile(tmp_path):
    """Vagrant finds nothing wrong with the Vagrantfile, and the keys it makes for the machines are their owner's alone."""
    if not shutil.which("vagrant"):
        pytest.skip("there is no vagrant on this machine: Debian has a package of it, Ubuntu has none any more")
    shutil.copy(ROOT / "Vagrantfile", tmp_path)
    environment = os.environ | {"VAGRANT_HOME": str(tmp_path / "home"), "VAGRANT_CHECKPOINT_DISABLE": "1", "VAGRANT_CWD": str(tmp_path)}
    # no provider need be installed to read it
    done = subprocess.run(
        ["vagrant", "validate", "--ignore-provider"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "validated successfully" in done.stdout
    assert "ending in" not in done.stdout
    keys = tmp_path / ".vagrant" / "netkit"
    assert sorted(path.name for path in keys.iterdir()) == ["host", "host.pub", "id", "id.pub"]
    for name in ("host", "id"):
        assert (keys / name).stat().st_mode & 0o077 == 0
        public = subprocess.run(["ssh-keygen", "-y", "-f", keys / name], capture_output=True, text=True, check=True).stdout
        assert public.split()[:2] == (keys / f"{name}.pub").read_text().split()[:2]


@pytest.fixture(scope="module")
def machines(tmp_path_factory) -> Iterator[dict[str, VirtualMachine]]:
    """node1 and node2, from the box of tools/make_box, provisioned by the Vagrantfile's own script, without a network."""
    if os.environ.get("NETKIT_TEST_VM") != "1":
        pytest.skip("makes a box and boots two machines, which takes an hour without KVM: asked for with NETKIT_TEST_VM=1")
    missing = [program for program in ("qemu-system-x86_64", "qemu-img", "ssh-keygen") if not shutil.which(program)]
    if missing:
        pytest.skip(f"{', '.join(missing)} missing on this machine")
    place = tmp_path_factory.mktemp("machines")
    image = unpack_box(_find_box(place), place)
    wheels = _find_wheels(place)
    tree = place / "tree"
    tree.mkdir()
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    subprocess.run(["xargs", "-0", "cp", "--parents", f"--target-directory={tree}"], cwd=ROOT, input=files, check=True)
    keys = place / "keys"
    keys.mkdir()
    for name in ("id", "host"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(keys / name)], check=True)
    started = start_machines(image, place)
    try:
        for machine in started:
            print(f"{machine.name} answers after {machine.wait():.0f} s, KVM: {can_use_kvm()}")
            for source, target in ((tree, "/vagrant"), (keys, "/tmp/netkit-keys"), (wheels, "/var/wheels")):
                machine.send(source, target)
            said = machine.run(
                "PIP_NO_INDEX=1 PIP_FIND_LINKS=/var/wheels PIP_NO_COMPILE=1 "
                f"/vagrant/tools/provision_machine {machine.name} vagrant /vagrant /tmp/netkit-keys; status=$?; rm -rf /tmp/netkit-keys; exit $status",
                timeout=3600,
            )
            print(said[-1500:])
        yield {machine.name: machine for machine in started}
    finally:
        for machine in started:
            machine.stop()


def _find_box(place: Path) -> Path:
    """The box named by NETKIT_TEST_BOX, or one made now."""
    if told := os.environ.get("NETKIT_TEST_BOX"):
        return Path(told)
    if os.geteuid() != 0:
        pytest.skip("only root can make a box: name one that is there with NETKIT_TEST_BOX")
    box = place / "netkit.box"
    done = subprocess.run([ROOT / "tools/make_box", "--with-packages", box], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout[-4000:]
    return box


def _find_wheels(place: Path) -> Path:
    """The Python packages, in the directory named by NETKIT_TEST_WHEELS or downloaded now for the Python of Debian 12: the machines have no network."""
    if told := os.environ.get("NETKIT_TEST_WHEELS"):
        return Path(told)
    wheels = place / "wheels"
    download = [sys.executable, "-m", "pip", "download", "-q", "--python-version", "3.11.2", "--only-binary=:all:", "-d", str(wheels)]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = [
        each for names in project["project"]["optional-dependencies"].values() for each in names if not each.startswith("netkit-workshop[")
    ]
    wanted = [*project["build-system"]["requires"], "editables", *project["project"]["dependencies"], *extras]
    subprocess.run([*download, *wanted], check=True)
    return wheels


def test_no_two_machines_of_a_box_are_the_same_to_others(machines):
    """Each has an identity of its own, by which DHCP servers and ssh know it: one box makes both."""
    for path in ("/etc/machine-id", "/etc/ssh/ssh_host_rsa_key.pub"):
        one, two = (machine.run(f"cat {path}").strip() for machine in machines.values())
        assert one and two and one != two, path


def test_an_ordinary_user_opens_a_lab_on_a_stock_debian(machines):
    """With systemd and cgroup version 2, as an ordinary user: a lab of two opens, and the doctor knows that Linux 6.1 has IPVS for machines, not for labs."""
    one = machines["node1"]
    assert "cgroup2fs" in one.run("stat -fc %T /sys/fs/cgroup")
    print(said := one.run(".venv/bin/netkit doctor", user="vagrant"))
    assert re.search(r"– ip_vs .*\n.*this kernel has it, and refuses it to user namespaces", said)
    assert "node2" in one.run(".venv/bin/netkit run -- netkit on node2 -- hostname", user="vagrant")


VIP = """docker swarm init --advertise-addr 192.168.59.1 >/dev/null
netkit on node2 -- docker swarm join --token $(docker swarm join-token -q worker) 192.168.59.1:2377
docker network create -d overlay --attachable over >/dev/null
docker create --name left --network over toolbox sleep infinity >/dev/null
for i in $(seq 10); do docker start left >/dev/null && break; sleep 1; done  # an engine waits 20 s to be let into a network
docker service create -q --detach --no-resolve-image --name web --network over --mode global --hostname '{{.Node.Hostname}}' \
  busybox sh -c 'hostname > /tmp/index.html; httpd -f -h /tmp' >/dev/null
for i in $(seq 600); do docker service ls --format '{{.Replicas}}' | grep -q 2/2 && break; sleep 0.1; done
for i in $(seq 100); do docker exec left curl -s -o /dev/null --max-time 1 http://web/ && break; sleep 0.1; done
echo "virtual address: $(docker exec left dig +short web)"
for i in 1 2 3 4; do docker exec left curl -s --max-time 3 http://web/; done | sort | uniq -c
"""


def test_a_services_virtual_address_answers_where_there_is_ipvs(machines):
    """In a lab on a machine whose kernel lets labs use IPVS, each node's task answers at the service's one virtual address."""
    release = tuple(map(int, machines["node1"].run("uname -r").split(".")[:2]))
    if release < (6, 10):
        pytest.skip(f"Linux {release[0]}.{release[1]} refuses IPVS to user namespaces: the machines themselves are asked below")
    said = machines["node1"].run(f".venv/bin/netkit run -- bash -c {shlex.quote(VIP)}", user="vagrant")
    print(said)
    assert "10.0.1." in said
    assert re.search(r"^ +2 node1$", said, re.MULTILINE), said
    assert re.search(r"^ +2 node2$", said, re.MULTILINE), said


def test_the_suite_passes_there(machines):
    """The tests of labs and kernels pass on that machine as an ordinary user."""
    tests = os.environ.get("NETKIT_TEST_VM_SUITE", "tests/test_lab.py tests/test_kernel.py tests/test_doctor.py")
    patience = 1 if can_use_kvm() else 10
    said = machines["node1"].run(
        f"NETKIT_TEST_PATIENCE={patience} .venv/bin/python -m pytest -q {tests}", user="vagrant", check=False, timeout=7200
    )
    print(said[-6000:])
    assert re.search(r"^\d+ passed", said.splitlines()[-1]), said[-3000:]


THERE = "ssh -F none -i /etc/netkit/id -o UserKnownHostsFile=/etc/netkit/known_hosts -o StrictHostKeyChecking=yes -o BatchMode=yes"
# as they were: a slow engine may need several tries to leave, keeps its bridge until told, and until restarted gives the next one another subnet
LEAVE = """docker ps -aq | xargs -r docker rm -f
for i in $(seq 10); do docker info --format '{{.Swarm.LocalNodeState}}' | grep -qx inactive && break; docker swarm leave --force; sleep 1; done
docker network rm docker_gwbridge; docker rmi busybox toolbox
systemctl restart docker"""
IMAGES = "from netkit.laboratory import images; images.write_archive(images.describe_images(), '/tmp/images.tar')"


def test_the_two_machines_form_a_swarm(machines):
    """node1 and node2 themselves, over their network and by the keys of the provisioning: a swarm, an overlay, a virtual address."""
    one = machines["node1"]
    assert one.run(f"{THERE} root@192.168.59.2 hostname").strip() == "node2"
    assert one.run(f"{THERE} root@192.168.59.254 hostname").strip() == "outside"
    assert one.run("ip -4 -brief address show eth0").split()[1:3] == ["UP", "192.168.59.1/24"]
    one.run(f'/home/vagrant/workshop/.venv/bin/python -c "{IMAGES}"')
    one.run(f"docker load -qi /tmp/images.tar; {THERE} root@192.168.59.2 docker load -q </tmp/images.tar")
    try:
        script = VIP.replace("netkit on node2 --", f"{THERE} root@192.168.59.2")
        print(said := one.run(f"bash -c {shlex.quote(script)}; docker exec left ping -c 1 -W 3 192.168.59.254", timeout=900))
        assert re.search(r"^ +2 node1$", said, re.MULTILINE), said
        assert re.search(r"^ +2 node2$", said, re.MULTILINE), said
        assert "1 packets received" in said or "1 received" in said
        one.run("docker node ls")
    finally:
        one.run(f"{THERE} root@192.168.59.2 {shlex.quote(LEAVE)}; {LEAVE}", check=False)


# a lab's nodes have one card; a virtual machine has another one, by which its host reaches it
OTHER_CARDS = r"""
[cards-beside-the-private-networks]
regex: (?m)^ +en\w+: .*, physical\n()
replace: \1
"""


def test_notebook_05_runs_across_the_two_machines(machines):
    """With the machines as its lab, every cell of notebook 05 gives its committed output, but those on a node whose plug is pulled."""
    notebook = "notebooks/05-swarm-overlay.ipynb"
    sources = ["".join(cell["source"]) for cell in json.loads((ROOT / notebook).read_text())["cells"] if cell["cell_type"] == "code"]
    # a machine's plug is a person's to pull, and its disk is not lost with it
    plug = next(number for number, source in enumerate(sources) if "lab.kill" in source)
    exercises = next(number for number, source in enumerate(sources) if "# and now you" in source)
    left_out = range(plug, exercises)
    patience = "--nbval-cell-timeout=600 --nbval-kernel-startup-timeout=600 --nbval-sanitize-with=/tmp/sanitize.cfg"
    chosen = shlex.join([notebook, *(f"--deselect={notebook}::Cell {number}" for number in left_out)])
    rules = f"(cat tests/sanitize.cfg; echo {shlex.quote(OTHER_CARDS)}) >/tmp/sanitize.cfg"
    said = machines["node1"].run(
        f"cd /home/vagrant/workshop && {rules} && NETKIT_MACHINES=/etc/netkit/machines.toml "
        f".venv/bin/python -m pytest -vv -p no:cacheprovider --noconftest {patience} {chosen}",
        check=False,
        timeout=7200,
    )
    print(said)
    passed = set(map(int, re.findall(r"::Cell (\d+) PASSED", said)))
    assert 40 < plug < exercises and passed == set(range(len(sources))) - set(left_out), said[-3000:]


def test_jupyterlab_of_node1_is_reached_at_the_loopback(machines):
    """Through the forwarded port the token opens JupyterLab, and without it nothing does."""
    one = machines["node1"]
    for guest, here in one.forwards.items():
        url = one.run(f"journalctl -o cat -b -u netkit -u netkit-machines | grep -o 'http://127.0.0.1:{guest}/[^ ]*' | tail -1").strip()
        token = url.partition("token=")[2]
        asked = urllib.request.Request(f"http://127.0.0.1:{here}/api/kernelspecs", headers={"Authorization": f"token {token}"})
        assert "netkit" in json.load(urllib.request.urlopen(asked, timeout=60))["kernelspecs"]
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(f"http://127.0.0.1:{here}/api/kernelspecs", timeout=60)
    listening = one.run("ss -Hltn | awk '{print $4}'").split()
    assert not [each for each in listening if each in ("0.0.0.0:8888", "*:8888", "0.0.0.0:8889", "*:8889", "192.168.59.1:8888")]
