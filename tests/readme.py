"""What the README and the pages of docs/ tell people to type, and how each of it is known to work."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
WORKFLOW = ROOT / ".github/workflows/notebooks.yml"

# what an inline `…` begins with if it is a command to type; options with their subject left out are none
FIRST_WORDS = re.compile(
    r"\./workshop|\.venv/bin/\S+ |netkit [a-z]|vagrant |sudo (?!-|=)|conda |docker (build|run) -\S+ \S+ |ssh -|tools/\w+|apt-get |NETKIT_\w+=\S+ ."
)

# run by tests/test_readme.py, which looks for the pattern in what they print
RUN = {
    ".venv/bin/netkit doctor": "✓ lab",
    "netkit doctor": "✓ lab",
    ".venv/bin/netkit doctor --json": '"name": "lab"',
    ".venv/bin/netkit ps": "",
    ".venv/bin/jupyter execute notebooks/00-start-here.ipynb": "Executing",
    ".venv/bin/netkit run -- bash -c 'docker swarm init --advertise-addr 192.168.59.1 && netkit on node2 -- docker swarm join --token "
    "$(docker swarm join-token -q worker) 192.168.59.1:2377 && docker node ls'": r"node2 +Ready",
}

# scripts whose work is long or changes the tree: here they are only asked for their help
HELP = {
    ".venv/bin/python tools/execute_notebooks.py",
    ".venv/bin/python tools/soak_notebooks.py",
    ".venv/bin/python tools/gallery.py",
    ".venv/bin/python benchmarks/workshop.py",
    "tools/make_box",
}

# run by other tests: these
ELSEWHERE = {
    ".venv/bin/python tools/count_files.py": "test_size.py::test_a_reader_follows_a_call_through_few_files",
    "./workshop": "test_readme.py::test_workshop_alone_opens_jupyterlab",
    "./workshop setup": "test_project.py::test_setting_up_again_is_quick_and_changes_nothing",
    "./workshop book": "test_book.py::test_the_contents_name_every_notebook",
    ".venv/bin/netkit start --no-browser": "test_server.py::test_the_server_keeps_its_token_and_to_loopback",
    ".venv/bin/netkit shell": "test_server.py::test_a_shell_without_a_lab_opens_one",
    ".venv/bin/python -m pytest notebooks": "test_validation.py::test_a_notebook_validates",
    ".venv/bin/python -m pytest notebooks/02-the-container-network-model.ipynb": "test_validation.py::test_a_notebook_validates",
    ".venv/bin/python -m pytest tests/test_lab.py": "test_virtual_machines.py::test_the_suite_passes_there",
    "conda activate netkit": "test_project.py::test_an_active_conda_environment_is_used",
    "netkit run -- netkit on node2 -- docker version": "test_machines.py::test_the_commands_find_the_machines",
    "docker build -f .devcontainer/Dockerfile -t netkit .": "test_container.py::test_a_lab_opens_in_a_container_as_its_ordinary_user",
    "docker run --rm -it --privileged --publish 127.0.0.1:8888:8888 netkit": "test_container.py::test_jupyterlab_is_reached_at_the_loopback_alone",
    "docker run --rm --privileged netkit .venv/bin/netkit doctor": "test_container.py::test_the_doctor_knows_a_container",
    "tools/provision_machine": "test_virtual_machines.py::test_an_ordinary_user_opens_a_lab_on_a_stock_debian",
    "sudo tools/make_box build/netkit.box": "test_virtual_machines.py::test_an_ordinary_user_opens_a_lab_on_a_stock_debian",
    "vagrant validate --ignore-provider": "test_virtual_machines.py::test_vagrant_takes_the_vagrantfile",
}

# not run by any test, and why
NOT_RUN = {
    "./workshop test": "it is what runs these tests",
    "./workshop test --full": "it is what runs these tests, and the other mode's share",
    "./workshop test --deselect tests/test_validation.py": "it is what runs these tests, but for the notebooks",
    "NETKIT_TEST_CONTAINER=1 .venv/bin/python -m pytest tests/test_container.py": "builds an image, for a quarter of an hour: opt-in",
    "NETKIT_TEST_VM=1 .venv/bin/python -m pytest tests/test_virtual_machines.py": "boots two virtual machines, for an hour: opt-in",
    "conda env create -f environment.yml": "wants conda-forge; environment.yml is compared with pyproject.toml by tests/test_project.py",
    "ssh -L 8888:127.0.0.1:8888 you@server": "wants a server of yours",
    "ssh -L 8888:127.0.0.1:8888": "wants a server of yours",
    "export NETKIT_MACHINES=$PWD/machines.toml": "the tests of machines set it to inventories of their own",
    "netkit start": "opens a browser; without one it is run by tests/test_server.py",
    ".venv/bin/jupyter console --kernel netkit": "its package is not one of ours",
    "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0": "changes the machine; only Ubuntu has the setting",
    "sudo ./workshop packages": "changes the machine; run by CI before the tests of an ordinary user",
    "apt-get install fonts-wqy-zenhei": "changes the machine",
    "vagrant up": "wants a provider: VirtualBox, libvirt or vagrant-qemu",
    "vagrant up --provider libvirt": "wants libvirt, and machines within the machine",
    "vagrant ssh node1": "wants what `vagrant up` makes",
    "sudo journalctl -u netkit -u netkit-machines": "wants what `vagrant up` makes",
}


def find_commands(text: str) -> set[str]:
    """The commands of a page in Markdown: its code blocks' lines, and inline code that begins like one; synopses are left out."""
    found, fence = [], None
    for line in text.splitlines():
        if mark := re.match(r"```(\w*)", line):
            fence = mark[1] if fence is None else None
        elif fence == "sh" or (fence is None and line.startswith("    ")):
            found.append(re.sub(r" +# .*", "", line))
        elif fence is None:
            found += [each for each in re.findall(r"`([^`]+)`", line) if FIRST_WORDS.match(each)]
    return {each.strip() for each in found if each.strip() and not is_synopsis(each)}


def find_synopses(text: str) -> list[str]:
    """What stands for many commands: with brackets, or words in capitals in place of what to fill in."""
    return [each.replace(r"\|", "|") for each in re.findall(r"`((?:netkit|sudo tools/)[^`]+)`", text) if is_synopsis(each)]


def is_synopsis(command: str) -> bool:
    """Whether a person has to fill something in first; a bare `netkit on` only names a command."""
    return bool(re.search(r" \[|\b(?:NODE|COMMAND|NAME|FILE)\b|^netkit \w+(?: --\w+)?$", command)) and command not in RUN | NOT_RUN
