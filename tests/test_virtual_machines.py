"""The Vagrantfile, and the virtual machines it stands for."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

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
