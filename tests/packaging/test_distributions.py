"""What is shipped: the wheel and the sdist hold the front end, and the wheel works on its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from importlib.metadata import Distribution, PathDistribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from svr_widget import __version__

REPOSITORY = Path(__file__).parents[2]
CONSTRAINTS = REPOSITORY / "constraints.txt"
FRONT_END = {f"svr_widget/widget/static/{name}" for name in ("widget.js", "page.js", "widget.css")}

USE_THE_WHEEL = """
import torch
from svr_widget import SVR, SVRWidget
import svr_widget
assert "site-packages" in svr_widget.__file__, svr_widget.__file__
model = torch.nn.Sequential(torch.nn.Linear(12, 8), torch.nn.ReLU(), torch.nn.Linear(8, 4))
svr = SVR(model)
assert len(svr.maps) == 2 and len(svr.links) == 1
widget = SVRWidget(model)
import gzip
assert "render" in widget._esm and b"data-svr" in gzip.decompress(widget._code)
print(len(svr.edges(p=1.0)))
"""


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The sdist built from the checkout, and the wheel built from that sdist, without Node."""
    folder = tmp_path_factory.mktemp("dist")
    build(["--sdist", "--outdir", str(folder), str(REPOSITORY)], dict(os.environ))
    (sdist,) = folder.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    without_node = {**os.environ, "PATH": str(empty_path(folder))}
    unpacked = folder / sdist.name.removesuffix(".tar.gz")
    build(["--wheel", "--outdir", str(folder), str(unpacked)], without_node)
    (wheel,) = folder.glob("*.whl")
    return {"sdist": sdist, "wheel": wheel}


def build(arguments: list[str], environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "build", "--no-isolation", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def empty_path(folder: Path) -> Path:
    path = folder / "empty-path"
    path.mkdir()
    return path


def test_wheel_holds_the_front_end_and_nothing_else(distributions: dict[str, Path]) -> None:
    with zipfile.ZipFile(distributions["wheel"]) as archive:
        names = set(archive.namelist())
    assert names >= FRONT_END
    assert "svr_widget/py.typed" in names
    strays = {n for n in names if not n.startswith(("svr_widget/", "svr_widget-"))}
    assert strays == set()
    sources = {p.relative_to(REPOSITORY).as_posix() for p in REPOSITORY.glob("svr_widget/**/*.py")}
    assert sources == {name for name in names if name.endswith(".py")}


def test_sdist_holds_what_it_takes_to_build_and_test(distributions: dict[str, Path]) -> None:
    with tarfile.open(distributions["sdist"]) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    assert names >= FRONT_END
    wanted = {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "js/package-lock.json"}
    assert names >= wanted | {"js/hatch_build.py", "js/src/index.ts", "notebooks/quickstart.ipynb"}
    assert not any("node_modules" in name for name in names)


def declared(wheel: Path) -> dict[str, Distribution]:
    """What is installed here of what a wheel declares, and of what that declares in turn."""
    parts = zipfile.Path(wheel).iterdir()
    (metadata,) = (part for part in parts if part.name.endswith(".dist-info"))
    found: dict[str, Distribution] = {}

    def follow(distribution: Distribution, extras: set[str]) -> None:
        for text in distribution.requires or []:
            wanted = Requirement(text)
            if wanted.marker and not any(wanted.marker.evaluate({"extra": e}) for e in extras):
                continue
            name = canonicalize_name(wanted.name)
            if name not in found or wanted.extras:
                found[name] = Distribution.from_name(name)
                follow(found[name], {"", *wanted.extras})

    follow(PathDistribution(metadata), {""})
    return found


def link(distribution: Distribution, packages: Path, shared: set[str]) -> None:
    """Have a distribution in another environment, without a copy, compiled as it is here.

    Folders that several distributions share, ``shared``, are linked file by file.
    """
    files = [file for file in distribution.files or [] if ".." not in file.parts]
    own = {file.parts[0] for file in files} - shared - {"__pycache__"}
    within = {str(file) for file in files if file.parts[0] in shared}
    for name in own | within:
        source, target = Path(str(distribution.locate_file(name))), packages / name
        if source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(source)


def test_wheel_works_in_a_clean_environment(distributions: dict[str, Path], tmp_path: Path) -> None:
    """The environment holds of the installed packages those that the wheel declares, and no other.

    They were installed by pip from the same requirements; here pip finds nothing elsewhere, so that
    it refuses the wheel where something that it declares is missing or has another version.
    """
    venv.create(tmp_path / "env")
    python = tmp_path / "env" / "bin" / "python"
    (packages,) = (tmp_path / "env" / "lib").glob("python*/site-packages")
    there = declared(distributions["wheel"])
    assert {"torch", "anywidget", "traitlets"} <= there.keys()
    assert not there.keys() & {"pytest", "svr-widget", "transformers"}
    shared = {name for name, owners in packages_distributions().items() if len(set(owners)) > 1}
    for distribution in there.values():
        link(distribution, packages, shared)
    pip = [sys.executable, "-m", "pip", "--isolated", "--python", python]
    install = [*pip, "install", "--quiet", "--no-index", "--constraint", CONSTRAINTS]
    no_settings = {**os.environ, "PIP_CONFIG_FILE": os.devnull}
    subprocess.run([*install, distributions["wheel"]], env=no_settings, check=True)
    done = subprocess.run(
        [python, "-W", "error::UserWarning", "-c", USE_THE_WHEEL],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "32"
    command = tmp_path / "env" / "bin" / "svr-widget"
    version = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert version.stdout.strip() == __version__


def test_engine_runs_without_the_widget_packages() -> None:
    code = (
        "import sys\n"
        "for name in ('ipywidgets', 'anywidget', 'bqplot'):\n"
        "    sys.modules[name] = None\n"
        "import torch\n"
        "from svr_widget import SVR\n"
        "print(len(SVR([torch.eye(3), torch.eye(3)]).links))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "1"
