"""What is seen while there is no picture yet: maps as they are done, slow ones before."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from typing import Any

import numpy as np
import pytest
import torch
from traitlets import HasTraits

from svr_widget import SVR, SVRWidget
from svr_widget.engine.graph import cost
from svr_widget.engine.work.decomposer import Decomposer
from svr_widget.widget.computing import first_picture, shown_graph
from svr_widget.widget.wire.codec import decode
from svr_widget.widget.wire.preview import EXACT, PREVIEW, WAITING

SHAPES = {"first": (90, 10), "slow": (150, 90), "last": (14, 150)}


def weights() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(4)
    made = {name: torch.randn(shape, generator=generator) for name, shape in SHAPES.items()}
    made["slow"] *= torch.arange(1, 151)[:, None] ** -1.0
    return made


class Held:
    """Holds the decomposition of the map "slow", which alone counts as slow."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()
        self.error: Exception | None = None
        self.previews = 0
        decomposition, preview = Decomposer.decomposition, Decomposer.preview

        def held(decomposer: Decomposer, task: Any, *rest: Any, **keywords: Any) -> Any:
            if task.name == "slow":
                self.reached.set()
                assert self.opened.wait(60)
                if self.error:
                    raise self.error
            return decomposition(decomposer, task, *rest, **keywords)

        def counted(decomposer: Decomposer, task: Any) -> Any:
            self.previews += 1
            return preview(decomposer, task)

        monkeypatch.setattr(Decomposer, "decomposition", held)
        monkeypatch.setattr(Decomposer, "preview", counted)
        for name in ("SLOW_SECONDS", "WORTH_WHILE"):
            monkeypatch.setattr(cost, name, 0.0)
        slow = cost.is_slow
        for module in (first_picture, "svr_widget.engine.graph.spectral_graph"):
            name = module if isinstance(module, str) else module.__name__
            monkeypatch.setattr(f"{name}.is_slow", lambda each: each.name == "slow" and slow(each))
        monkeypatch.setattr(shown_graph, "AT_ONCE_SECONDS", 0)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    made = Held(monkeypatch)
    yield made
    made.opened.set()


def states(sent: bytes) -> dict[str, int]:
    meta, arrays = decode(sent)
    return dict(zip([each["name"] for each in meta["maps"]], arrays["state"].tolist(), strict=True))


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[Any]]:
    """What a trait of any widget is set to from now on, for as long as the test runs."""

    def following(name: str) -> list[Any]:
        seen: list[Any] = []
        initialise = HasTraits.__init__

        def observed(self: Any, *args: Any, **keywords: Any) -> None:
            initialise(self, *args, **keywords)
            if isinstance(self, SVRWidget):
                self.observe(lambda change: seen.append(change["new"]), name)

        monkeypatch.setattr(HasTraits, "__init__", observed)
        return seen

    return following


def test_a_slow_map_is_seen_before_it_is_done(held: Held) -> None:
    widget = SVRWidget(weights(), links="chain")
    assert held.reached.wait(60)
    assert widget._scene == b""
    assert states(widget._preview) == {"first": EXACT, "slow": PREVIEW, "last": EXACT}
    meta, arrays = decode(widget._preview)
    truth = np.linalg.svd(weights()["slow"].double().numpy(), compute_uv=False)
    [slow] = [each for each in meta["maps"] if each["name"] == "slow"]
    shown = arrays["singular_value"][slow["start"] : slow["start"] + slow["neurons"]]
    assert (slow["neurons"], slow["rank"]) == (64, 90)
    np.testing.assert_allclose(shown, truth[:64], rtol=0.01)
    assert arrays["link_producer"].tolist() == [0, 1]
    held.opened.set()
    widget.wait(60)
    assert widget._preview == b""
    assert len(widget._scene) > 0


def test_previews_are_there_before_anything_is_exact(
    held: Held, record: Callable[[str], list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = record("_preview")
    monkeypatch.setattr(first_picture, "PAUSE", 1e9)  # what comes after is late
    SVRWidget(weights(), links="chain")
    assert held.reached.wait(60)
    found = [states(each) for each in sent if each]
    assert found[0] == {"first": WAITING, "slow": PREVIEW, "last": WAITING}
    assert found[-1] == {"first": EXACT, "slow": PREVIEW, "last": EXACT}
    assert len(found) == 2


def test_a_quick_network_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(monkeypatch)
    held.opened.set()
    monkeypatch.setattr(shown_graph, "AT_ONCE_SECONDS", 1e9)
    widget = SVRWidget(weights(), links="chain")
    assert widget._preview == b""
    assert held.previews == 0


def test_no_map_of_an_ordinary_small_network_is_slow() -> None:
    svr = SVR(weights(), links="chain")
    assert not any(map(cost.is_slow, svr.maps.values()))
    assert svr.preview_all() == {}


def test_what_was_done_stays_after_cancel_and_is_not_done_again(held: Held) -> None:
    svr = SVR(weights(), links="chain")
    widget = SVRWidget(svr)
    assert held.reached.wait(60)
    widget.cancel()
    held.opened.set()
    with pytest.raises(CancelledError):
        widget.wait(60)
    assert widget._status == {"state": "cancelled"}
    assert states(widget._preview) == {"first": EXACT, "slow": EXACT, "last": EXACT}
    done = dict(svr.decomposed)
    again = SVRWidget(svr)
    again.wait(60)
    assert len(again._scene) > 0
    assert held.previews == 1
    assert all(svr.decomposed[key] is each for key, each in done.items())


def test_a_cancelled_computation_goes_on_from_there(held: Held) -> None:
    widget = SVRWidget(weights(), links="chain", cache=False)
    assert held.reached.wait(60)
    widget.resume()  # nothing was cancelled
    widget.cancel()
    held.opened.set()
    with pytest.raises(CancelledError):
        widget.wait(60)
    kept, done = widget._preview, dict(widget._shown.asked.decomposed)
    assert kept
    assert done
    widget.resume()
    widget.wait(60)
    assert len(widget._scene) > 0
    assert held.previews == 1
    assert all(widget.svr.decomposed[key] is each for key, each in done.items())


def test_what_was_done_stays_after_an_error(held: Held) -> None:
    held.error = ValueError("map 'slow' broke")
    widget = SVRWidget(weights(), links="chain", cache=False)
    held.opened.set()
    with pytest.raises(ValueError, match="broke"):
        widget.wait(60)
    assert widget._status == {"state": "failed", "message": "map 'slow' broke"}
    assert states(widget._preview) == {"first": EXACT, "slow": PREVIEW, "last": EXACT}


def test_a_picture_that_is_there_stays(held: Held) -> None:
    """Another method is computed in its place; until then it is the last one that is shown."""
    held.opened.set()
    widget = SVRWidget(weights(), links="chain")
    widget.wait(60)
    held.opened.clear()
    before, previews = widget._scene, held.previews
    widget.svr._decompositions.clear()
    widget.method = "cosvr"
    assert held.reached.wait(60)
    assert (widget._preview, widget._scene) == (b"", before)
    held.opened.set()
    widget.wait(60)
    assert held.previews == previews


def test_an_exported_page_has_no_preview(held: Held) -> None:
    widget = SVRWidget(weights(), links="chain")
    assert held.reached.wait(60)
    assert "_preview" in widget.get_state()
    held.opened.set()
    assert "_preview" not in widget._page_part({}).state


def test_a_folder_that_has_a_map_needs_no_preview_of_it(held: Held, tmp_path: Any) -> None:
    held.opened.set()
    SVR(weights(), links="chain", cache=tmp_path / "kept").compute()
    assert SVR(weights(), links="chain", cache=tmp_path / "kept").preview_all() == {}
    assert list(SVR(weights(), links="chain").preview_all()) == ["slow"]
