"""Kernels of the netkit kernelspec, for tests."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

import psutil
from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.manager import KernelManager

from tests.patience import LEAST, patiently


@contextlib.contextmanager
def kernel(**options) -> Iterator[tuple[KernelManager, BlockingKernelClient]]:
    """A running kernel in a lab of its own, and a client of it."""
    manager = KernelManager(kernel_name="netkit")
    manager.start_kernel(**options)
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=patiently())
        yield manager, client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()


def execute(client: BlockingKernelClient, code: str, timeout: float = 30) -> str:
    """What a cell writes, and the name and text of its error if it ends in one."""
    written = []

    def hear(message: dict) -> None:
        content = message["content"]
        match message["msg_type"]:
            case "stream":
                written.append(content["text"])
            case "execute_result":
                written.append(content["data"]["text/plain"])
            case "error":
                written.append(f"{content['ename']}: {content['evalue']}")

    client.execute_interactive(code, timeout=patiently(timeout), output_hook=hear, allow_stdin=False)
    return "".join(written)


def launcher(manager: KernelManager) -> psutil.Process:
    """The process the client started, which stays outside of the lab."""
    return psutil.Process(manager.provisioner.pid)


def wait_for(condition: Callable[[], bool], seconds: float = LEAST) -> bool:
    """Whether ``condition``, which has to come, holds within ``seconds`` of a usual machine, two minutes at least."""
    return holds_within(condition, patiently(seconds))


def holds_within(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether ``condition``, which need not come, holds within ``seconds``."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.01)
    return condition()
