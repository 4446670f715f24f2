"""A real JupyterLab and a real Chromium, for the browser tests and ``make demo-check``."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import nbformat
import requests
from playwright.sync_api import Browser, Page, sync_playwright
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from tests.browser.kernels import Kernels

REPOSITORY = Path(__file__).parents[2]
TIMEOUT = 30
START = 120  # seconds: in a new environment servers and kernels compile what they import
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-gpu",
    "--enable-unsafe-swiftshader",
]
WIDGET = '[data-svr="root"]'

# Verbs that live in the page; the notebook is JupyterLab's current widget.
PAGE_VERBS = """
window.lab = {
  async until(condition, seconds) {
    const end = performance.now() + 1000 * seconds;
    const pause = (ms) => new Promise((done) => setTimeout(done, ms, false));
    while (!(await Promise.race([condition(), pause(1000)]))) {
      if (performance.now() > end) throw new Error(`waited ${seconds} s for ${condition}`);
      await pause(50);
    }
  },
  panel: () => window.jupyterapp?.shell?.currentWidget,
  kernel: () => lab.panel()?.sessionContext?.session?.kernel,
  async ready() {
    const panel = lab.panel();
    if (!panel?.context || !panel.content) return false;
    await panel.context.ready;
    await panel.sessionContext.ready;
    if (!lab.kernel()) return false;
    await lab.kernel().info;
    return true;
  },
  async show(path) {
    await window.jupyterapp.commands.execute("docmanager:open", { path, factory: "Notebook" });
  },
  // Once this is answered, all that closing breaks off has been reported.
  async end() {
    const { sessionContext, context } = lab.panel();
    const id = sessionContext.session?.id;
    context.model.dirty = false;
    lab.panel().dispose();
    if (id) void window.jupyterapp.serviceManager.sessions.shutdown(id);
    await new Promise((done) => setTimeout(done));
  },
  command: (id, args) => window.jupyterapp.commands.execute(id, args ?? {}),
  async execute(code) {
    const future = lab.kernel().requestExecute({ code, store_history: false });
    const out = { text: "", error: null };
    future.onIOPub = ({ header, content }) => {
      if (header.msg_type === "stream") out.text += content.text;
      if (header.msg_type === "error") out.error = `${content.ename}: ${content.evalue}`;
    };
    await future.done;
    return out;
  },
  errors: () => [...lab.panel().content.model.cells].flatMap((cell) =>
    (cell.toJSON().outputs ?? []).filter((o) => o.output_type === "error")
      .map((o) => `${o.ename}: ${o.evalue}`)),
};
"""


def find_chromium() -> str:
    """The system's Chromium (``$CHROMIUM`` first), which Playwright drives."""
    for name in (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"):
        if name and (path := shutil.which(name)):
            return path
    raise RuntimeError("Chromium is needed for the browser tests: apt-get install chromium")


@contextmanager
def chromium() -> Iterator[Browser]:
    """One headless Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_up(url: str, log: Path) -> None:
    """Wait for a server to answer; raises with the end of its log where it does not."""
    retries = Retry(total=10 * START, read=0, backoff_factor=0.1, backoff_max=0.1)
    with requests.Session() as session:
        session.mount(url, HTTPAdapter(max_retries=retries))
        try:
            session.get(url, timeout=TIMEOUT).raise_for_status()
        except requests.RequestException as error:
            raise RuntimeError(f"{url} did not start:\n{log.read_text()[-3000:]}") from error


class Lab:
    """A JupyterLab server on the loopback, with folders and settings of its own.

    Two may run at once: kernels talk over files, not over ports that each server believes free.
    ``forks`` makes kernels of ``Kernels.NAME`` available.
    """

    def __init__(self, forks: bool = False) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="svr-lab-"))
        self.notebooks = self.folder / "notebooks"
        self.notebooks.mkdir()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = (self.folder / "server.log").open("wb")
        environment = self._environment()
        self._kernels: Kernels | None = None
        if forks:
            self._kernels = Kernels(self.folder / "data", environment, self._log.fileno())
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
                *("--ServerApp.ip=127.0.0.1", f"--ServerApp.port={self.port}"),
                *("--IdentityProvider.token=", "--ServerApp.password="),
                *("--ServerApp.port_retries=0", "--ServerKernelManager.transport=ipc"),
                *(f"--ServerApp.root_dir={self.notebooks}", "--ServerApp.disable_check_xsrf=True"),
                "--LabApp.expose_app_in_browser=True",
                "--JupyterNotebookApp.expose_app_in_browser=True",
            ],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_until_up(f"{self.url}/api/status", self.folder / "server.log")
        except RuntimeError:
            self.stop()
            raise

    def write(self, name: str, cells: list[str], kernel: str = "python3") -> str:
        """Write a notebook of code cells for a kernel; returns its name.

        ``Kernels.NAME`` is a kernel that has imported torch and svr_widget when it starts.
        """
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
            metadata={"kernelspec": {"name": kernel, "display_name": "Python 3"}},
        )
        nbformat.write(notebook, self.notebooks / name)
        return name

    def stop(self) -> None:
        """End the server and its kernels, and remove its folder."""
        with suppress(requests.RequestException):
            requests.post(f"{self.url}/api/shutdown", timeout=10)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._kernels:
            self._kernels.stop()
        self._log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _environment(self) -> dict[str, str]:
        folders = {
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_DATA_DIR": "data",
            "JUPYTER_RUNTIME_DIR": "runtime",
            "JUPYTERLAB_SETTINGS_DIR": "settings",
            "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
            "IPYTHONDIR": "ipython",
        }
        own = {variable: str(self.folder / name) for variable, name in folders.items()}
        for folder in own.values():
            Path(folder).mkdir(exist_ok=True)
        self._setting(
            "@jupyterlab/apputils-extension/notification",
            {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True},
        )
        self._setting("@jupyterlab/docmanager-extension/plugin", {"autosave": False})
        self._setting("@jupyterlab/notebook-extension/tracker", {"windowingMode": "none"})
        return {**os.environ, **own, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}

    def _setting(self, plugin: str, values: dict[str, Any]) -> None:
        file = self.folder / "settings" / f"{plugin}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))


class Notebook:
    """One notebook open in one page, with everything that went wrong on it.

    ``app`` is where the server shows it: ``"doc/tree"`` in JupyterLab, ``"notebooks"`` in
    Notebook 7.
    """

    def __init__(self, lab: Lab, browser: Browser, name: str, app: str = "doc/tree") -> None:
        self.lab, self.name, self.app = lab, name, app
        self.context = browser.new_context(viewport={"width": 1280, "height": 900})
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(TIMEOUT * 1000)
        self.problems: list[str] = []
        self.page.on("pageerror", lambda error: self.problems.append(f"page error: {error}"))
        self.page.on("console", self._note_console)
        self.open()

    def open(self) -> None:
        """Load the page and wait for the notebook and its kernel."""
        self.page.goto(f"{self.lab.url}/{self.app}/{self.name}", wait_until="domcontentloaded")
        self.page.evaluate(PAGE_VERBS)
        self.page.evaluate("(seconds) => lab.until(lab.ready, seconds)", START)

    def end(self) -> None:
        """Close the notebook and end its kernel; the page stays, as a reader finds it."""
        self.page.evaluate("() => lab.end()")
        self.page.emulate_media(reduced_motion="null")
        self.page.mouse.move(0, 0)
        self.set_theme("light")

    def show(self, name: str) -> None:
        """Open another notebook on the page, where one has ended."""
        self.name = name
        self.page.evaluate("(name) => lab.show(name)", name)
        self.page.evaluate("(seconds) => lab.until(lab.ready, seconds)", START)

    def run(self) -> None:
        """Run every cell; raises where one ends in an error."""
        self.page.evaluate("() => lab.command('notebook:run-all-cells')")
        self.python("None")  # answered only after every cell
        errors = self.page.evaluate("() => lab.errors()")
        if errors:
            raise AssertionError("\n".join(errors))

    def python(self, code: str) -> Any:
        """Evaluate an expression in the kernel and return it by way of JSON."""
        wrapped = f"import json as _json\nprint(_json.dumps({code}))"
        answer = self.page.evaluate("(code) => lab.execute(code)", wrapped)
        if answer["error"]:
            raise AssertionError(answer["error"])
        return json.loads(answer["text"])

    def wait_for_python(self, condition: str) -> None:
        """Wait until an expression is true in the kernel."""
        self.page.evaluate(
            """([code, seconds]) =>
              lab.until(async () => (await lab.execute(code)).text === 'True\\n', seconds)""",
            [f"print(bool({condition}))", TIMEOUT],
        )

    def execute(self, code: str) -> None:
        """Run statements in the kernel, outside any cell."""
        answer = self.page.evaluate("(code) => lab.execute(code)", code)
        if answer["error"]:
            raise AssertionError(answer["error"])

    def set_theme(self, theme: str) -> None:
        """Switch JupyterLab to its light or dark theme."""
        change = "(theme) => lab.command('apputils:change-theme', { theme })"
        self.page.evaluate(change, f"JupyterLab {theme.capitalize()}")

    def close(self) -> None:
        """Close the page and its context."""
        self.context.close()

    def _note_console(self, message: Any) -> None:
        if message.type == "error":
            self.problems.append(f"console: {message.text}")
