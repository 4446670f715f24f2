"""Kernels without the wait: forked from one process that has imported torch and svr_widget.

A kernel takes five seconds of a core until it has imported what a first cell needs, and thirty
tests want a kernel of their own. So one process imports it all once. What Jupyter starts in place
of a kernel is a stand-in, which has that process fork the kernel, passes signals on to it, ends
when it ends, and takes it along when Jupyter kills it.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path


class Kernels:
    """A kernelspec ``forked`` in a Jupyter data folder, and the process that it forks from."""

    NAME = "forked"

    def __init__(self, data: Path, environment: dict[str, str], log: int) -> None:
        address = str(data / "kernels.sock")
        specification = {
            "argv": [sys.executable, "-P", "-S", __file__, address, "{connection_file}"],
            "display_name": "Python 3 (forked)",
            "language": "python",
        }
        folder = data / "kernels" / self.NAME
        folder.mkdir(parents=True)
        (folder / "kernel.json").write_text(json.dumps(specification))
        # Listening from here on, a kernel that is asked for too early waits for its turn.
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(address)
            listener.listen()
            self._process = subprocess.Popen(
                [sys.executable, "-P", __file__, str(listener.fileno())],
                env={**environment, "MPLBACKEND": "module://matplotlib_inline.backend_inline"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[listener.fileno()],
            )

    def stop(self) -> None:
        """Fork no more; kernels that run end with their stand-ins."""
        self._process.kill()
        self._process.wait()


def fork_kernels(listener: socket.socket) -> None:
    """Import what takes long, then fork a kernel for every stand-in that asks."""
    # Nothing is computed here and no widget is made: threads and comms are each kernel's own.
    import matplotlib.backends.backend_agg
    import matplotlib.figure
    import torch._dynamo
    from ipykernel.kernelapp import IPKernelApp

    import svr_widget.widget

    del matplotlib, torch, svr_widget
    gc.collect()
    gc.freeze()  # what is here for good is looked through by no kernel, and so shared by all
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for a kernel
    while True:
        stand_in, _ = listener.accept()
        if os.fork() == 0:
            break
        stand_in.close()
    listener.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    asked = json.loads(stand_in.makefile().readline())
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    stand_in.sendall(f"{os.getpid()}\n".encode())
    threading.Thread(target=_end_with, args=[stand_in], daemon=True).start()
    IPKernelApp.launch_instance(argv=["-f", asked["connection"]])


def _end_with(stand_in: socket.socket) -> None:
    """Wait until the stand-in is gone, and end this process."""
    stand_in.recv(1)
    os.kill(os.getpid(), signal.SIGKILL)


def stand_in(address: str, connection: str) -> None:
    """Have a kernel forked for a connection file, and stay until it has ended."""
    environment = dict(os.environ)
    environment.pop("JPY_PARENT_PID", None)  # another process is its parent
    asked = {"connection": connection, "environment": environment, "folder": str(Path.cwd())}
    with socket.socket(socket.AF_UNIX) as kernel:
        kernel.connect(address)
        kernel.sendall(json.dumps(asked).encode() + b"\n")
        answers = kernel.makefile()
        pid = int(answers.readline())
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, _: os.kill(pid, number))
        answers.read()


if __name__ == "__main__":
    match sys.argv[1:]:
        case [address, connection]:
            stand_in(address, connection)
        case [descriptor]:
            fork_kernels(socket.socket(fileno=int(descriptor)))
