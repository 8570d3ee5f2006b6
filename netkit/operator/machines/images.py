"""The workshop's images on a machine that lacks them: built here, loaded there, and taken away at the end."""

from __future__ import annotations

import http.client
import json
import os
import platform
import tarfile

from netkit.errors import LabError
from netkit.laboratory import images
from netkit.operator.machines.inside.api import Connection

PATIENCE = 120.0  # seconds for an engine to unpack them


def find_missing(present: dict[str, str]) -> tuple[images.Image, ...]:
    """Which of the workshop's images an engine, that has these (tag → id), lacks; raises LabError."""
    return tuple(image for image in images.describe_images() if not set(image.tags) <= set(present))


def is_same_kind(architecture: str) -> bool:
    """Whether programs of this machine run on one of that architecture."""
    return architecture == platform.machine()


def read_ids(archive: str) -> dict[str, str]:
    """The images in an archive of ``docker save``'s format, tag → id."""
    with tarfile.open(archive) as tar:
        manifest = json.load(tar.extractfile("manifest.json"))
    return {tag: "sha256:" + os.path.basename(row["Config"]).removesuffix(".json") for row in manifest for tag in row["RepoTags"]}


def load(name: str, socket: str, archive: str) -> None:
    """Load an archive into the engine behind a socket; raises LabError, naming a full disk as what it is."""
    connection = Connection(socket)
    connection.timeout = PATIENCE
    try:
        with open(archive, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            connection.request("POST", "/images/load?quiet=1", file, {"Content-Type": "application/x-tar", "Content-Length": str(size)})
            answer = connection.getresponse()
            said = answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        raise LabError(f"{name} did not take the workshop's images: {error}") from None
    finally:
        connection.close()
    if "no space left" in said:
        raise LabError(f"{name} has a full disk: the workshop's images do not fit; make room where its engine keeps them")
    if answer.status >= 400 or '"error"' in said:
        raise LabError(f"{name} did not take the workshop's images: {said.strip()[-300:]}")
