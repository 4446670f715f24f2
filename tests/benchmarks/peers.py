"""The same edges drawn by plotly, a trace an edge as the authors do it, and by sigma.js."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from playwright.sync_api import Browser, Page
from plotly.offline import get_plotlyjs

from svr_widget import SVRWidget

REPOSITORY = Path(__file__).parents[2]
SIGMA = REPOSITORY / "js" / "dev" / "build" / "sigma.js"
MOST = {"sigma.js": 100_000, "plotly": 1_000}
"""Edges that each is asked to draw: more would take it minutes."""
GONE = 0.01
"""Share of the edges, the weakest, that a step of the threshold takes away."""

PAGE = """<!doctype html><meta charset="utf-8"><body style="margin: 16px">
<div id="box" style="width: 1200px; height: 728px"></div>"""

# Both keep `peer`: `draw` once, then `show` a number of edges, and `pan` to a share of the width.
# Each resolves when the pixels are there.
VERBS = """
const painted = () => new Promise((done) => requestAnimationFrame(() => {
  const channel = new MessageChannel();
  channel.port1.onmessage = done;
  channel.port2.postMessage(0);
}));
const box = document.getElementById("box");
const edges = () => window.edges;
"""

PLOTLY = """
const line = { color: "rgba(90, 90, 90, 0.4)", width: 1 };
const plain = { showlegend: false, hovermode: false };
const layout = (left) => ({ ...plain, xaxis: { range: [left, left + 2.2] } });
const traces = (count) => Array.from({ length: count }, (_, i) => {
  const { x0, y0, x1, y1 } = edges();
  return { x: [x0[i], x1[i]], y: [y0[i], y1[i]], mode: "lines", type: "scatter", line };
});
window.peer = {
  async draw(count) { await Plotly.newPlot(box, traces(count), layout(-0.1)); await painted(); },
  async show(count) { await Plotly.react(box, traces(count), layout(-0.1)); await painted(); },
  async pan(to) { await Plotly.relayout(box, { "xaxis.range": [to, to + 2.2] }); await painted(); },
};
"""

SIGMA_VERBS = """
const contexts = new Set();
const { prototype } = HTMLCanvasElement;
const { getContext } = prototype;
prototype.getContext = function (...values) {
  const context = getContext.apply(this, values);
  if (context?.readPixels) contexts.add(context);
  return context;
};
// WebGL draws later, in another process: reading a pixel waits for it.
const finish = async () => {
  const pixel = new Uint8Array(4);
  for (const gl of contexts) gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, pixel);
  await painted();
};
let renderer;
let shown;
window.peer = {
  async draw(count) {
    const { x0, y0, x1, y1, from, to } = edges();
    const graph = new sigmaPeer.Graph({ multi: true });
    const node = (key, x, y) => graph.mergeNode(key, { x, y, size: 2, color: "#d55e00" });
    shown = count;
    for (let i = 0; i < count; i++) {
      node(from[i], x0[i], y0[i]);
      node(to[i], x1[i], y1[i]);
      graph.addEdge(from[i], to[i], { rank: i, size: 1, color: "rgba(90, 90, 90, 0.4)" });
    }
    const edgeReducer = (_, data) => (data.rank < shown ? data : { ...data, hidden: true });
    renderer = new sigmaPeer.Sigma(graph, box, { edgeReducer, renderLabels: false });
    await finish();
  },
  async show(count) { shown = count; renderer.refresh({ schedule: false }); await finish(); },
  async pan(to) {
    renderer.getCamera().setState({ x: 0.5 + to });
    renderer.refresh({ schedule: false, skipIndexation: true });
    await finish();
  },
};
"""

TIME = """async ([verb, value]) => {
  const start = performance.now();
  await window.peer[verb](value);
  return performance.now() - start;
}"""


class Peer(NamedTuple):
    """A page on which one of them has drawn ``count`` edges."""

    page: Page
    count: int

    def step(self) -> float:
        """Milliseconds until a few edges less are drawn."""
        spent = self._time("show", int(self.count * (1 - GONE)))
        self._time("show", self.count)
        return spent

    def pan(self, turn: int) -> float:
        """Milliseconds until the picture has moved by a little."""
        return self._time("pan", 0.02 * (turn % 2 + 1))

    def _time(self, verb: str, value: float) -> float:
        return float(self.page.evaluate(TIME, [verb, value]))


def bundle_sigma() -> None:
    """Build sigma.js into one script, with the npm that builds the front end."""
    hatch_build = runpy.run_path(str(REPOSITORY / "js" / "hatch_build.py"))
    hatch_build["npm"]("run", "--silent", "bench")


@contextmanager
def opened(browser: Browser, folder: Path, name: str, widget: SVRWidget) -> Iterator[Peer]:
    """A page of one of them with the strongest edges of a widget."""
    scripts = {"plotly": (get_plotlyjs(), PLOTLY), "sigma.js": (SIGMA.read_text(), SIGMA_VERBS)}
    page = browser.new_page(viewport={"width": 1232, "height": 760})
    path = folder / "peer.html"
    path.write_text(PAGE, encoding="utf-8")
    page.goto(path.as_uri())
    library, verbs = scripts[name]
    for script in (library, VERBS + verbs):
        page.add_script_tag(content=script)
    edges = places(widget, MOST[name])
    page.evaluate("(edges) => { window.edges = edges; }", edges)
    page.evaluate(TIME, ["draw", len(edges["x0"])])
    yield Peer(page, len(edges["x0"]))
    page.close()


def places(widget: SVRWidget, most: int) -> dict[str, list[Any]]:
    """The ends of the strongest edges: columns by map, heights by singular value."""
    edges = widget.edges().head(most)
    maps = {name: place for place, name in enumerate(widget.svr.columns)}
    heights = widget.neurons().set_index(["map", "k"])["singular_value"]
    found: dict[str, list[Any]] = {}
    for end, name, k in (("0", "producer", "m"), ("1", "consumer", "n")):
        keys = pd.MultiIndex.from_frame(edges[[name, k]])
        found[f"x{end}"] = [maps[at] for at in edges[name]]
        found[f"y{end}"] = heights.loc[keys].to_list()
        found["from" if end == "0" else "to"] = [f"{at} {k}" for at, k in keys]
    return found
