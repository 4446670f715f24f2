"""What a cell displays: a plain widget, and a picture after it only where that belongs."""

from __future__ import annotations

import base64
import gc
import io
import sys
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import anywidget
import ipywidgets
import matplotlib as mpl
import numpy as np
import pytest
import torch
from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import display, update_display
from IPython.utils.capture import capture_output
from PIL import Image
from torch import nn

from svr_widget import SVR, SVRWidget
from svr_widget.widget.cells.pictures import MARK
from svr_widget.widget.cells.superseded import free
from tests.widget.gate import Gate

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # bqplot on numpy 2

VIEW = "application/vnd.jupyter.widget-view+json"


class Plain(anywidget.AnyWidget):
    _esm = "export default {render() {}}"


class Publisher(DisplayPublisher):
    """Keeps what a kernel would send to the notebook."""

    outputs: list[dict[str, Any]] = []  # noqa: RUF012

    def publish(self, data: Any, metadata: Any = None, **options: Any) -> None:
        self.outputs.append({"data": data, **options})


class Hook(DisplayHook):
    """Keeps the results of cells."""

    outputs = Publisher.outputs

    def write_format_data(self, format_dict: Any, md_dict: Any = None) -> None:
        self.outputs.append({"data": format_dict})

    def write_output_prompt(self) -> None:
        pass

    def finish_displayhook(self) -> None:
        self._is_active = False


class Notebook:
    """Cells of a notebook, run in IPython's own shell."""

    def __init__(self) -> None:
        self.shell = InteractiveShell.instance(
            display_pub_class=Publisher, displayhook_class=Hook, user_ns={}
        )
        self.shell.display_pub.__class__ = Publisher
        self.shell.displayhook.__class__ = Hook
        self.shell.display_trap.hook = self.shell.displayhook
        Publisher.outputs.clear()
        self.names = self.shell.user_ns
        self.names.update(display=display, SVRWidget=SVRWidget, SVR=SVR, torch=torch)
        self.names.update(ipywidgets=ipywidgets, update_display=update_display)
        self.names["weights"] = [torch.randn(5, 4, generator=torch.Generator().manual_seed(0))]

    def run(self, code: str, cell: str | None = None) -> list[dict[str, Any]]:
        """The outputs of one cell."""
        Publisher.outputs.clear()
        self.shell.run_cell(code, store_history=True, cell_id=cell).raise_error()
        return list(Publisher.outputs)


@pytest.fixture
def notebook() -> Iterator[Notebook]:
    before = sys.displayhook
    made = Notebook()
    yield made
    made.shell.reset(new_session=False)
    made.shell.display_pub.__class__ = DisplayPublisher
    made.shell.displayhook.__class__ = DisplayHook
    sys.displayhook = before
    ipywidgets.Widget.close_all()


def kinds(outputs: list[dict[str, Any]]) -> list[str]:
    return [
        "view" if VIEW in each["data"] else "picture" if "image/png" in each["data"] else "other"
        for each in outputs
    ]


def picture(output: dict[str, Any]) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(output["data"]["image/png"])))


@pytest.mark.parametrize(
    "code",
    [
        "SVRWidget(weights)",
        "display(SVRWidget(weights))",
        "w = SVRWidget(weights); display(w); w.threshold = 0.1",
        "SVRWidget(weights).dashboard()",
        "SVRWidget.compare(weights, weights)",
    ],
)
def test_a_picture_of_its_own_follows_what_a_cell_displays(notebook: Notebook, code: str) -> None:
    outputs = notebook.run(code)
    assert kinds(outputs) == ["view", "picture"]
    assert outputs[0]["data"].keys() == {"text/plain", VIEW}
    assert outputs[1]["data"].keys() == {"text/plain", "image/png"}
    drawn = picture(outputs[1])
    assert drawn.text["Software"] == MARK  # type: ignore[attr-defined]
    assert len(np.unique(np.asarray(drawn))) > 10
    # The view looks for the mark in the first bytes only.
    assert MARK.encode() in base64.b64decode(outputs[1]["data"]["image/png"][:120])
    assert (drawn.width > 1500) == ("compare" in code)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("SVRWidget(weights);", []),
        ("w = SVRWidget(weights)", []),
        ("display(SVRWidget(weights), display_id='x');", ["view"]),
        ("h = display(SVRWidget(weights), display_id=True)", ["view"]),
        ("update_display(SVRWidget(weights), display_id='x');", ["view"]),
        ("display(SVRWidget(weights), transient={'display_id': 'y'})", ["view"]),
        ("o = ipywidgets.Output(); o.append_display_data(SVRWidget(weights))", []),
        ("%%capture\ndisplay(SVRWidget(weights))", []),
        ("w = SVRWidget(weights); display(w); w.close()", ["view"]),
        ("display(ipywidgets.VBox([SVRWidget(weights)]))", ["view"]),
        ("w = SVRWidget(weights); display(w); display(w)", ["view", "view", "picture"]),
    ],
)
def test_no_picture_follows_what_others_update_or_take_away(
    notebook: Notebook, code: str, expected: list[str]
) -> None:
    assert kinds(notebook.run(code)) == expected
    assert kinds(notebook.run("1 + 1")) == ["other"]


def test_what_an_output_widget_captures_has_no_picture_beside_it(notebook: Notebook) -> None:
    code = "o = ipywidgets.Output(); o.msg_id = 'x'; display(SVRWidget(weights)); o.msg_id = ''"
    assert kinds(notebook.run(code)) == ["view"]


def test_it_displays_as_every_anywidget_does() -> None:
    InteractiveShell.instance()

    def seen(make: Callable[[], Any]) -> list[Any]:
        found: list[Any] = []
        with capture_output() as captured:
            display(make(), display_id="x")
            update_display(make(), display_id="x")
        found += [(o.update, o.transient, sorted(o.data)) for o in captured.outputs]
        out = ipywidgets.Output()
        with capture_output() as captured:
            out.append_display_data(make())
        found += [sorted(out.outputs[0]["data"]), len(out.outputs), len(captured.outputs)]
        closed = make()
        closed.close()
        try:
            with capture_output() as captured:
                display(closed)
            found.append([sorted(o.data) for o in captured.outputs])
        except TypeError as error:
            found.append(str(error))
        return found

    assert seen(lambda: SVRWidget([torch.eye(3)])) == seen(Plain)
    assert not hasattr(SVRWidget, "_ipython_display_")


def test_a_long_computation_fills_the_picture_when_it_is_done(
    notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    outputs = notebook.run("w = SVRWidget(weights); w")
    assert kinds(outputs) == ["view", "other"]
    assert "svr-widget-picture" in outputs[1]["data"]["text/html"]
    gate.opened.set()
    (late,) = notebook.run("w.wait(60)")
    assert (kinds([late]), late["update"]) == (["picture"], True)
    assert late["transient"] == outputs[1]["transient"]


def test_the_settings_of_matplotlib_do_not_matter(notebook: Notebook) -> None:
    plain = notebook.run("SVRWidget(weights)")[1]["data"]["image/png"]
    strange = {"text.usetex": True, "axes.facecolor": "red", "savefig.bbox": "tight"}
    with mpl.rc_context(strange):
        (_, output) = notebook.run("SVRWidget(weights)")
        assert mpl.rcParams["axes.facecolor"] == "red"
    assert output["data"]["image/png"] == plain


@pytest.mark.parametrize("code", ["SVRWidget(weights)", "SVRWidget.compare(weights, weights).left"])
def test_what_drawing_raises_is_a_note(
    notebook: Notebook, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("no pen")

    monkeypatch.setattr(SVR, "plot", fail)
    assert kinds(notebook.run(f"w = {code}; w")) == ["view"]
    assert notebook.names["w"]._notice == "there is no picture for the saved notebook: no pen"


class Lives:
    """Cells that are run again and again."""

    def __init__(self, notebook: Notebook) -> None:
        self._notebook = notebook

    def alive(self, code: str, times: int = 4) -> int:
        """Widgets of ours that are left when one cell was run so often."""
        before = {id(each) for each in gc.get_objects() if issubclass(type(each), SVRWidget)}
        for _ in range(times):
            self._notebook.run(code, "cell")
        gc.collect()
        found = [each for each in gc.get_objects() if issubclass(type(each), SVRWidget)]
        return sum(id(each) not in before for each in found)


@pytest.mark.parametrize(
    ("code", "most"),
    [
        # _, __ and ___ hold the last three results.
        ("SVRWidget(weights)", 3),
        ("display(SVRWidget(weights))", 1),
        ("w = SVRWidget(weights); display(w)", 1),
        ("SVRWidget(weights).dashboard()", 3),
        ("display(SVRWidget.compare(weights, weights))", 2),
    ],
)
def test_a_cell_that_is_run_again_frees_what_it_showed(
    notebook: Notebook, code: str, most: int
) -> None:
    lives = Lives(notebook)
    assert lives.alive(code) <= most
    instances = len(ipywidgets.widgets.widget._instances)
    lives.alive(code, 1)
    assert len(ipywidgets.widgets.widget._instances) <= instances


@pytest.mark.parametrize(
    "code",
    [
        "held.append(SVRWidget(weights)); display(held[-1])",
        "held.append(SVRWidget(weights)); held[-1]",
        "w = SVRWidget(weights); held.append(lambda w=w: w); display(w)",
        "b = ipywidgets.Button(); b.w = SVRWidget(weights); held.append(b); display(b.w)",
    ],
)
def test_what_somebody_still_holds_stays_as_it_was(notebook: Notebook, code: str) -> None:
    held: list[Any] = []
    notebook.names["held"] = held
    for _ in range(3):
        notebook.run(code, "cell")
    widgets = [each() if callable(each) else getattr(each, "w", each) for each in held]
    instances = ipywidgets.widgets.widget._instances
    for widget in widgets:
        assert widget.comm is not None
        assert instances[widget.model_id] is widget
        assert instances[widget.layout.model_id] is widget.layout
        message = {"method": "update", "state": {"threshold": 0.2}, "buffer_paths": []}
        widget.comm.handle_msg({"content": {"data": message}, "buffers": []})
        assert widget.threshold == 0.2
    if code.endswith("held[-1]"):
        results = list(notebook.names["_oh"].values())
        assert all(any(widget is each for each in results) for widget in widgets)


def test_an_interrupt_meanwhile_changes_nothing(
    notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    widget = SVRWidget(notebook.names["weights"])
    notebook.names["_oh"][99] = notebook.names["_99"] = widget
    monkeypatch.setattr(gc, "collect", interrupted)
    with pytest.raises(KeyboardInterrupt):
        free([weakref.ref(widget)], notebook.shell)
    instances = ipywidgets.widgets.widget._instances
    assert instances[widget.model_id] is widget
    assert instances[widget.layout.model_id] is widget.layout
    assert notebook.names["_oh"][99] is notebook.names["_99"] is widget


def test_another_cell_and_one_without_a_name_free_nothing(notebook: Notebook) -> None:
    references = []
    for cell in ("a", "b", None, None):
        notebook.run("display(w := SVRWidget(weights))", cell)
        references.append(weakref.ref(notebook.names.pop("w")))
    gc.collect()
    assert all(reference() is not None for reference in references)
    notebook.run("2", "a")
    gc.collect()
    assert [reference() is None for reference in references] == [True, False, False, False]


def test_what_is_shown_again_by_the_same_cell_stays(notebook: Notebook) -> None:
    notebook.names["model"] = nn.Linear(3, 3)
    notebook.run("held = SVRWidget(weights); display(held)", "first")
    for _ in range(3):
        notebook.run("display(held)", "cell")
    assert notebook.names["held"].comm is not None
