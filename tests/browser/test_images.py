"""The pane of spectral images in a real JupyterLab: drawn signs, linking, dropped inputs."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.lab import Notebook
from tests.browser.picture import neuron_places, picture_of
from tests.browser.test_filters import signs

IMAGES = """
import torch
from torch import nn
from svr_widget import SVRWidget

torch.manual_seed(1)
model = nn.Sequential(
    nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Conv2d(6, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(320, 4)
)
images = torch.rand(3, 1, 12, 12)
labels = ["<img src=x onerror=alert(1)>", "two", "three"]
widget = SVRWidget(model, inputs=images, labels=labels, panes=["images"])
"""

DROP = """(pane, [name, text]) => {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type: "image/png" }));
  const options = { dataTransfer: transfer, bubbles: true, cancelable: true };
  pane.dispatchEvent(new DragEvent("drop", options));
}"""


def test_images_have_the_activations_signs(open_notebook: Callable[..., Notebook]) -> None:
    notebook = open_notebook(IMAGES, "widget")
    pane = notebook.page.locator('[data-pane="images"]')
    cells = pane.locator(".svr-cell-button")
    expect(cells).to_have_count(9)  # three maps, three neurons
    found = "widget.svr.spectral_activations(images[:1], maps=['2'], neurons=[1])['2']"
    values = np.array(notebook.python(f"{found}.flatten().tolist()"))
    drawn = cells.nth(3 + 1).locator("canvas")
    assert np.corrcoef(signs(drawn), values)[0, 1] > 0.95
    expect(cells.nth(3 + 2).locator(".svr-bars")).to_be_visible()  # the linear map
    expect(pane.get_by_label("input", exact=True)).to_contain_text("<img src=x")

    captions = pane.locator("figcaption")
    expect(captions.nth(3 + 1)).to_have_text(re.compile(r"^neuron 1± \d\.\d+$"))
    largest = abs(values).max()
    assert float(captions.nth(3 + 1).inner_text().split()[-1]) == pytest.approx(largest, rel=0.05)
    expect(pane.locator(".svr-own-scales")).to_have_text("−+of the number beneath each image")

    cells.nth(3 + 1).hover()
    tooltip = notebook.page.locator('[data-svr="tooltip"] .svr-tip-title')
    expect(tooltip).to_have_text("Conv 2 · 1")
    cells.nth(3 + 1).click()
    notebook.wait_for_python("widget.selected == [('2', 1)]")
    expect(cells).to_have_count(1)
    pane.get_by_role("button", name="Inputs").click()
    expect(cells).to_have_count(3)
    pane.get_by_role("button", name="cosine").click()
    table = "widget.svr.similarity(images, maps='2', neurons=[1])"
    mean, sd = notebook.python(f"[float({table}[name].iloc[0]) for name in ('mean', 'sd')]")
    expect(pane).to_contain_text("cosine with the Sobel filter of the input")
    expect(captions).to_have_text([re.compile(r"^± [\d.]+cos 0\.\d\d$")] * 3)
    expect(pane.locator('th[scope="row"]')).to_contain_text(f"{mean:.2f} ± {sd:.2f}n = 3")
    notebook.execute(
        "def corner(inputs, size):\n"
        "    reference = torch.zeros(len(inputs), *size)\n"
        "    reference[:, 0, 0] = 1\n"
        "    return reference\n"
        "widget.reference = corner"
    )
    expect(pane).to_contain_text("cosine with corner of the input")
    found = "widget.svr.spectral_activations(images, maps=['2'], neurons=[1])['2'].abs()"
    cosines = notebook.python(f"({found}[:, 0, 0, 0] / {found}.flatten(1).norm(dim=1)).tolist()")
    expect(captions).to_have_text([re.compile(f"cos {cosine:.2f}$") for cosine in cosines])


def test_inputs_are_set_and_dropped(open_notebook: Callable[..., Notebook]) -> None:
    notebook = open_notebook(IMAGES.replace("inputs=images, labels=labels, ", ""), "widget")
    pane = notebook.page.locator('[data-pane="images"]')
    expect(pane).to_contain_text("No inputs yet")
    notebook.execute("widget.inputs = images")
    cells = pane.locator(".svr-cell-button")
    expect(cells).to_have_count(9)
    pixels = np.zeros((24, 24, 3), np.uint8)
    pixels[:, 12:] = 255
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    text = base64.b64encode(file.getvalue()).decode()
    body = pane.locator(".svr-images")
    body.evaluate(DROP, ["half <b>white</b>.png", text])
    chosen = pane.get_by_label("input", exact=True).locator("option:checked")
    expect(chosen).to_contain_text("half <b>white</b>.png")
    thumbnail = pane.locator(".svr-input canvas")
    middle = """(canvas) => [2, canvas.width - 3].map((x) =>
      canvas.getContext("2d").getImageData(x, 5, 1, 1).data[0])"""
    expect(pane.locator(".svr-input")).to_contain_text("half")
    assert thumbnail.evaluate(middle) == [0, 255]
    body.evaluate(DROP, ["noise.png", base64.b64encode(b"no image").decode()])
    expect(pane.locator(".svr-status")).to_contain_text("noise.png is no image")


def test_a_cross_graph_has_images_of_both_sides(open_notebook: Callable[..., Notebook]) -> None:
    cross = IMAGES.replace("inputs=images", "inputs=images, method='cross'")
    notebook = open_notebook(cross, "widget")
    pane = notebook.page.locator('[data-pane="images"]')
    expect(pane.locator('th[scope="col"]')).to_have_text(["0", "2~", "2", "5"])
    notebook.execute("widget.selected = [('2~', 1)]")
    cells = pane.locator(".svr-cell-button")
    expect(cells).to_have_count(1)
    found = (
        "widget.svr.spectral_activations(images[:1], maps=['2'], neurons=[1], method='cosvr')['2']"
    )
    values = np.array(notebook.python(f"{found}.flatten().tolist()"))
    assert np.corrcoef(signs(cells.locator("canvas")), values)[0, 1] > 0.95


TRAINING = """
import threading
from svr_widget.widget.answers import requests
from torch.nn import functional

net = nn.Sequential(
    nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(0.2),
    nn.Conv2d(6, 5, 3), nn.BatchNorm2d(5), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(320, 4),
)
widget = SVRWidget(net, inputs=images, panes=["images"])
shown, answered, modes = threading.Event(), threading.Semaphore(0), []
answer = requests.Answers.answer

def counted(self, content, buffers=()):
    reply = answer(self, content, buffers)
    if content["kind"] == "images":
        answered.release()
    return reply

requests.Answers.answer = counted
"""
# Trains until three questions were answered meanwhile: each step in its own mode, to the last.
TRAIN = """
optimiser = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
steps = met = 0
while met < 3:
    modes.append(all(module.training for module in net.modules()))
    data = torch.rand(16, 1, 12, 12)
    loss = functional.cross_entropy(net(data), torch.arange(16) % 4)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    steps += 1
    met += answered.acquire(blocking=False)
"""


def test_a_cell_that_trains_answers_clicks(open_notebook: Callable[..., Notebook]) -> None:
    """JupyterLab's kernels answer what the page asks in another thread while a cell runs."""
    notebook = open_notebook(IMAGES, TRAINING, "widget")
    pane = notebook.page.locator('[data-pane="images"]')
    cells = pane.locator(".svr-cell-button")
    expect(cells).to_have_count(9)
    picture = picture_of(notebook)
    places = neuron_places(notebook, picture)
    notebook.execute("while answered.acquire(blocking=False): pass")
    notebook.page.evaluate(
        """(code) => {
          const future = lab.kernel().requestExecute({ code });
          window.training = future.done.then(({ content }) => content);
        }""",
        TRAIN,
    )
    for name, k in [("0", 4), ("4", 3), ("8", 3)]:  # the pane began with three of each map
        x, y = places[name][k]
        picture.canvas.click(position={"x": x, "y": y})
        expect(cells).to_have_count(1)
        expect(cells).to_have_accessible_name(re.compile(rf"{name} · {k}"))
        drawn = cells.locator("canvas, .svr-bars")
        expect(drawn).to_be_visible()
        if name != "8":
            assert len(set(signs(drawn).flatten().tolist())) > 1
    ended = notebook.page.evaluate("() => window.training")
    assert ended["status"] == "ok", ended
    assert notebook.python("all(modes) and len(modes) == steps")
    assert notebook.python("all(module.training for module in net.modules())")
    expect(notebook.page.locator(".svr-message:visible")).to_have_count(0)
