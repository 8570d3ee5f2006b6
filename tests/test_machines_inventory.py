"""Inventories are read strictly, and what is wrong with one is said in a sentence. Nothing is opened here."""

from __future__ import annotations

import ast
import ipaddress
from pathlib import Path

import pytest

from netkit.errors import LabError
from netkit.laboratory.spec import ROOT
from netkit.operator.guard_engine import LABEL, labels_of
from netkit.operator.guard_proxy import add_label, widen_query
from netkit.operator.inventory import read_inventory
from netkit.operator.ssh import MODULES, OLDEST, OPTIONS, build_options

pytestmark = pytest.mark.once

LOCAL = '[machines.node1]\nssh = "local"\naddress = "192.168.59.1"\n'
SECOND = '[machines.node2]\nssh = "you@192.168.59.2"\n'


def read(tmp_path: Path, text: str):
    (tmp_path / "inventory.toml").write_text(text)
    return read_inventory(str(tmp_path / "inventory.toml"))


def test_an_inventory_says_all_there_is_to_say(tmp_path):
    """Every setting arrives, paths are relative to the file, node1 is first and outside last."""
    (tmp_path / "key").touch()
    (tmp_path / "hosts").touch()
    text = 'lan = "192.168.59.0/24"\nknown_hosts = "hosts"\n'
    text += '[machines.node2]\nssh = "you@host-2.example:2222"\naddress = "192.168.59.2"\nkey = "key"\nsudo = true\nshared = true\n'
    text += LOCAL + '[outside]\nssh = "192.168.59.254"\n'
    found = read(tmp_path, text)
    assert found.nodes == ("node1", "node2")
    assert found.lan == ipaddress.ip_network("192.168.59.0/24")
    one, two, outside = found.machines
    assert (one.host, one.where, two.where, two.host) == ("", "local", "you@host-2.example:2222", "host-2.example")
    assert (two.key, two.known_hosts, two.sudo, two.shared) == (str(tmp_path / "key"), str(tmp_path / "hosts"), True, True)
    assert (outside.name, outside.engine, str(outside.address)) == ("outside", False, "192.168.59.254")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it names no machine"),
        ("machines = 3", "it names no machine"),
        ("[machines", "is no TOML"),
        (SECOND, "it has no node1"),
        (LOCAL + LOCAL, "two machines are called node1"),
        ("colour = 1\n" + LOCAL, "a key nobody knows, 'colour'"),
        (LOCAL + "color = 1", "node1 has a key nobody knows, 'color'"),
        (LOCAL + "sudo = 'yes'", "sudo of node1 has to be true or false, not 'yes'"),
        ("[machines.node1]\nssh = 5", "ssh of node1 has to be a text in quotes"),
        ("[machines.node1]\naddress = '10.0.0.1'", "node1 has no ssh address"),
        ("[machines]\nnode1 = 'local'", "node1 is no table"),
        ("[machines.node1]\nssh = 'local'", "the address by which the other machines know node1 is needed, and it is not told"),
        ("[machines.node1]\nssh = 'you@host'", "'host' is no IP address"),
        ("[machines.node1]\nssh = '-oProxyCommand=reboot'", "is none"),
        ("[machines.node1]\nssh = 'you@-oProxyCommand=x'", "is none"),
        ("[machines.node1]\nssh = 'a b'", "is none"),
        ("[machines.node1]\nssh = '10.0.0.1:70000'", "is none"),
        (LOCAL + "[machines.outside]\nssh='10.0.0.1'", "'outside' cannot be the name of a node"),
        (LOCAL + "[machines.'../x']\nssh='10.0.0.1'", "cannot be the name of a node"),
        (LOCAL + SECOND + "key = 'nowhere'", "there is no such file"),
        (LOCAL + "[machines.node2]\nssh = 'local'\naddress = '192.168.59.2'", "node1 and node2 are the same machine, local"),
        (LOCAL + "[machines.node2]\nssh = '192.168.59.1'", "node1 and node2 are the same machine, 192.168.59.1"),
        ("lan = 'home'\n" + LOCAL, "lan is 'home'"),
        ("lan = '10.0.0.0/8'\n" + LOCAL, "the address of node1, 192.168.59.1, is not in lan"),
    ],
)
def test_a_bad_inventory_is_refused_in_one_sentence(tmp_path, text, said):
    """What is wrong, and in which file."""
    with pytest.raises(LabError) as caught:
        read(tmp_path, text)
    assert said in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_inventory_that_is_not_there_is_named():
    """The variable is named too: it is what has to be corrected."""
    with pytest.raises(LabError, match=r"/nowhere cannot be read .*NETKIT_MACHINES has to name a file"):
        read_inventory("/nowhere")


def test_ssh_is_asked_strictly(tmp_path):
    """Host keys are checked, nothing is forwarded, nobody is asked: for every machine."""
    (tmp_path / "a key").touch()
    machine = read(tmp_path, "[machines.node1]\nssh = 'you@10.0.0.1:23'\nkey = 'a key'\n").machines[0]
    options = build_options(machine, "/run/x")
    for wanted in ("StrictHostKeyChecking=yes", "ForwardAgent=no", "ForwardX11=no", "BatchMode=yes", "Port=23", "User=you"):
        assert wanted in options
    assert f'IdentityFile="{tmp_path}/a key"' in options
    assert not any(name in OPTIONS for name in ("LocalForward", "RemoteForward", "DynamicForward"))


def test_what_is_sent_to_machines_is_old_python():
    """The code that runs there is of the oldest version that is promised, and asks for nothing but the standard library."""
    paths = [path for pattern in MODULES for path in Path(ROOT).glob(pattern)]
    assert len(paths) > 10
    for path in paths:
        tree = ast.parse(path.read_text(), feature_version=OLDEST)
        assert not [node for node in ast.walk(tree) if isinstance(node, ast.Match)], path


def test_requests_get_the_label_where_it_belongs():
    """Labels a user gives stay; a service bears ours in its containers; a prune is narrowed to the lab's own."""
    assert add_label("/containers/create", {"Image": "x", "Labels": {"a": "b"}}, "7") == {
        "Image": "x",
        "Labels": {"a": "b", LABEL: "7"},
    }
    service = add_label("/services/create", {"Name": "s", "Labels": {"season": "winter"}}, "7")
    assert service["Labels"] == {"season": "winter"}
    assert labels_of({"Spec": service}) == {LABEL: "7"}
    assert widen_query("filters=%7B%22until%22%3A%5B%221h%22%5D%7D", "filters", {"label": ["x"]}) == (
        "filters=%7B%22until%22%3A+%5B%221h%22%5D%2C+%22label%22%3A+%5B%22x%22%5D%7D"
    )
