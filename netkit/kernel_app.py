"""ipykernel's application, made to change its network namespace at the right moment."""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence

from ipykernel.iostream import OutStream
from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelapp import IPKernelApp
from ipykernel.kernelbase import Kernel
from IPython.core.history import HistorySavingThread
from traitlets import Type

from netkit import put_workplace_last

# `docker run --detach` of clients before 26.1.1 waits for the container in the background as well, and may get to
# complain that it was cancelled before it ends: https://github.com/docker/cli/pull/5043. Once in some thousand runs.
NO_ERROR = re.compile(r'^time="[^"\n]*" level=error msg="error waiting for container: context canceled"\n', re.MULTILINE)


def wait_for_saving_thread(thread: HistorySavingThread, timeout: float | None = None) -> None:
    """``Thread.join``, but telling IPython's history thread again and again that it is to look whether it should stop.

    IPython stops it before each fork, so before each ``!command`` (https://github.com/ipython/ipython/pull/15115), and tells it
    once. Where the thread has just looked, it takes that for what woke it, and waits again: the cell hung for ever.
    """
    while timeout is None and thread.is_alive():
        thread.save_flag.set()
        threading.Thread.join(thread, 0.05)
    threading.Thread.join(thread, timeout)


class LabStream(OutStream):
    """What a cell writes, without the one line that older Docker clients write now and then though nothing is wrong."""

    def write(self, string: str) -> int | None:
        """Pass ``string`` on; returns how many characters were taken, as ``io.TextIOBase.write`` does."""
        kept = NO_ERROR.sub("", string) if self.name == "stderr" and isinstance(string, str) else string
        written = super().write(kept)
        return written if written is None else len(string)


class PoliteApp(IPKernelApp):
    """Lets the control channel's thread end before the channels that it still writes to, and does without a user's home.

    Asked to shut down, that thread first stops the main one, then flushes what was written and says "idle". ipykernel
    closes iopub meanwhile, and joins that thread after: where it was late, each flush waited ten seconds for iopub,
    longer than clients wait before they kill (``IPKernelApp.close``, seen with 7.4; one side of the race is told in
    https://github.com/ipython/ipykernel/pull/1518).
    """

    _spare: tempfile.TemporaryDirectory | None = None

    def init_profile_dir(self) -> None:
        """Keep IPython's profile for this kernel alone where the user's own takes nothing more: IPython tries to, and ends."""
        try:
            super().init_profile_dir()
        except OSError as error:
            why = error.strerror or error
            print(f"netkit: {self.ipython_dir} cannot be written ({why}): this kernel keeps no history", file=sys.stderr)
            self._spare = tempfile.TemporaryDirectory(prefix="netkit-ipython-", ignore_cleanup_errors=True)
            self.ipython_dir = self._spare.name
            super().init_profile_dir()

    def serve(self) -> None:
        """Answer the client until it shuts the kernel down."""
        self.start()
        with contextlib.suppress(Exception):
            self.close()

    def close(self) -> None:
        """Close all channels, the control channel's thread first."""
        atexit.unregister(self.close)  # there, iopub would be closed before
        if self.control_thread and self.control_thread.is_alive():
            self.control_thread.stop()
            self.control_thread.join()
        super().close()
        if self._spare:
            self._spare.cleanup()


class LabKernelApp(PoliteApp):
    """Binds all sockets, enters the lab's network, and only then starts its threads.

    ``enter_network`` is set by :func:`run_kernel`.
    """

    enter_network: Callable[[], None] | None = None

    def init_iopub(self, context) -> None:
        """iopub is bound last, and the first thread is its: the heartbeat's has to start before."""
        super().init_heartbeat()
        self._binds_last = True
        super().init_iopub(context)

    def init_heartbeat(self) -> None:
        """Done in :meth:`init_iopub`."""

    def init_path(self) -> None:
        """What lies beside a notebook can be imported, and stands for nothing that is installed: IPython looks there first."""
        if "" not in sys.path and not self.ignore_cwd and not os.environ.get("PYTHONSAFEPATH"):
            sys.path.append("")

    def _bind_socket(self, s, port: int) -> int:
        port = super()._bind_socket(s, port)
        if getattr(self, "_binds_last", False) and self.enter_network:
            self.enter_network()
            self.enter_network = None
        return port


def check_arguments(arguments: Sequence[str]) -> None:
    """Exit with ipykernel's own words and status if it does not take these arguments, or only answers, as to ``--help``."""
    LabKernelApp().parse_command_line(list(arguments))


def run_kernel(
    arguments: Sequence[str],
    enter_network: Callable[[], None],
    wait_for_engine: Callable[[], bool],
    set_environment: Callable[[], None],
    extensions: Sequence[str] = (),
) -> None:
    """Serve a Python kernel with ipykernel's ``arguments``, and with IPython ``extensions`` beside netkit's own.

    ``set_environment`` is called after a learner's own settings and start-up files, which may have set anything.
    Returns when the client shuts it down, or the engine does not come up.
    """
    HistorySavingThread.join = wait_for_saving_thread
    app = LabKernelApp.instance(kernel_class=IPythonKernel)
    app.enter_network = enter_network
    app.log_level = "ERROR"
    app.outstream_class = f"{__name__}.{LabStream.__name__}"
    # not app.extensions: a learner's settings would replace them
    app.default_extensions = [*app.default_extensions, "netkit.notebook", *extensions]
    app.initialize(list(arguments))
    set_environment()
    put_workplace_last()
    if wait_for_engine():
        app.serve()


class RefusalKernel(Kernel):
    """Answers every cell with the reason why there is no lab: a silent dead kernel explains nothing."""

    implementation = "netkit"
    implementation_version = "1"
    language_info = {"name": "python", "mimetype": "text/x-python", "file_extension": ".py"}  # noqa: RUF012
    banner = "no lab"
    reason = ""

    async def do_execute(self, code, silent, store_history=True, user_expressions=None, allow_stdin=False, **_) -> dict:
        error = {"ename": "LabError", "evalue": self.reason, "traceback": [f"\x1b[31mno lab:\x1b[0m {self.reason}"]}
        if not silent:
            self.send_response(self.iopub_socket, "error", error)
        return {"status": "error", "execution_count": self.execution_count, **error}


class RefusalApp(PoliteApp):
    """Serves that kernel, and no other that a learner's settings name: it would run cells on the machine itself."""

    kernel_class = Type(RefusalKernel, klass=Kernel)  # without config=True, unlike ipykernel's


def run_refusal(arguments: Sequence[str], reason: str) -> None:
    """Serve a kernel outside of any lab that runs nothing and says why, with ipykernel's ``arguments``; returns when shut down."""
    RefusalKernel.reason = reason
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    app = RefusalApp.instance()
    app.log_level = "ERROR"
    app.initialize(list(arguments))
    app.serve()
