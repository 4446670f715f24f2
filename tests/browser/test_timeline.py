"""A training run on one slider, in a real JupyterLab: scrubbed, played, and live while it runs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from playwright.sync_api import Locator, expect

from tests.browser.lab import WIDGET, Notebook
from tests.browser.picture import Picture, neuron_places
from tests.browser.test_states import violations

Open = Callable[..., Notebook]

# In each checkpoint the first neuron of "0" is weaker by one than in the one before it, and passes
# the second one, at 3, on its way from 5 to 1.
RUN = """
import torch
from torch import nn
from svr_widget import SVRRecorder, SVRTimeline

generator = torch.Generator().manual_seed(5)
model = nn.Sequential(nn.Linear(20, 16, bias=False), nn.ReLU(), nn.Linear(16, 8, bias=False))
U = torch.linalg.qr(torch.randn(16, 16, generator=generator))[0]
V = torch.linalg.qr(torch.randn(20, 16, generator=generator))[0]

def train(step):
    with torch.no_grad():
        sizes = torch.cat([torch.tensor([5.0 - step, 3.1]), torch.linspace(0.8, 0.1, 14)])
        model[0].weight.copy_(U * sizes @ V.T)

train(0)
recorder = SVRRecorder(model, 1)
widget = SVRTimeline(recorder, height=420)
"""
WHOLE = RUN + "for step in range(1, 5):\n    train(step)\n    recorder.step(loss=1 / step)\n"
WHOLE += "widget.wait()\n"


def moment(root: Locator) -> Locator:
    """The words that say which checkpoint is shown."""
    return root.locator('[data-svr="step"]')


def rest(root: Locator) -> None:
    """Wait until nothing moves any more: two frames in a row are the same picture."""
    root.evaluate(
        """async (root) => {
          const canvas = root.querySelector('[data-svr="graph"]');
          const frame = () => new Promise((done) => requestAnimationFrame(done));
          let last = "";
          for (let same = 0; same < 8; ) {
            await frame();
            const now = canvas.dataset.painted === "true" ? canvas.toDataURL() : "";
            same = now !== "" && now === last ? same + 1 : 0;
            last = now;
          }
        }"""
    )


def test_scrubbing_moves_the_neurons_and_the_selection_with_them(open_notebook: Open) -> None:
    notebook = open_notebook(WHOLE, "widget")
    root = notebook.page.locator(WIDGET)
    picture = Picture(root)
    expect(moment(root)).to_contain_text("step 4 of 4")
    slider = root.get_by_role("slider", name="checkpoint")
    slider.press("Home")
    expect(moment(root)).to_contain_text("step 0 of 4")
    notebook.wait_for_python("widget.step == 0 and not widget.following")
    rest(root)
    pixels = picture.pixels()
    for places in neuron_places(notebook, picture).values():
        for x, y in places:
            assert pixels[round(y) - 1 : round(y) + 2, round(x), 3].max() == 255
    notebook.execute("widget.selected = [('0', 0)]")
    for step, k in ((1, 0), (2, 1), (3, 1), (4, 1)):
        slider.press("ArrowRight")
        expect(moment(root)).to_contain_text(f"step {step} of 4")
        notebook.wait_for_python(f"widget.step == {step} and widget.selected == [('0', {k})]")
    assert notebook.python("widget.following")


def test_a_dot_is_on_its_way_between_two_checkpoints(open_notebook: Open) -> None:
    notebook = open_notebook(WHOLE, "widget")
    root = notebook.page.locator(WIDGET)
    picture = Picture(root)
    rest(root)
    heights = root.evaluate(
        """async (root) => {
          const canvas = root.querySelector('[data-svr="graph"]');
          const column = root.querySelector('.svr-columns [data-map="0"]').getBoundingClientRect();
          const box = canvas.getBoundingClientRect();
          const x = Math.round((column.left + column.right) / 2 - box.left);
          const ratio = canvas.width / box.width;
          const top = () => {
            const { height } = canvas;
            const line = canvas.getContext("2d").getImageData(x * ratio, 0, 1, height).data;
            for (let y = 0; y < height; y++) if (line[4 * y + 3] === 255) return y / ratio;
          };
          // Sixteen milliseconds a frame, however late it comes: a busy machine takes its time.
          const { requestAnimationFrame: frame, performance: clock } = window;
          const ask = frame.bind(window);
          let time = clock.now();
          let seen = 0;
          clock.now = () => time;
          window.requestAnimationFrame = (run) => ask((at) => {
            if (at !== seen) time += 16;
            seen = at;
            run(time);
          });
          const found = [top()];
          const slider = root.querySelector('input[aria-label="checkpoint"]');
          slider.value = 0;
          slider.dispatchEvent(new Event("input", { bubbles: true }));
          for (let still = 0; still < 20; ) {
            await new Promise((done) => requestAnimationFrame(done));
            const now = top();
            still = now === found.at(-1) && found.length > 1 ? still + 1 : 0;
            if (now !== found.at(-1)) found.push(now);
          }
          window.requestAnimationFrame = frame;
          delete clock.now;
          return found;
        }"""
    )
    assert len(heights) > 3
    assert np.all(np.diff(heights) < 0)
    assert picture.ink() > 100


def test_it_does_not_move_where_motion_is_unwanted(open_notebook: Open) -> None:
    notebook = open_notebook(WHOLE, "widget")
    notebook.page.emulate_media(reduced_motion="reduce")
    root = notebook.page.locator(WIDGET)
    rest(root)
    root.get_by_role("slider", name="checkpoint").press("Home")
    frames = root.evaluate(
        """async (root) => {
          const canvas = root.querySelector('[data-svr="graph"]');
          const seen = new Set();
          for (let frame = 0; frame < 40; frame++) {
            await new Promise((done) => requestAnimationFrame(done));
            if (canvas.dataset.painted === "true") seen.add(canvas.toDataURL());
          }
          return seen.size;
        }"""
    )
    assert frames <= 2  # before and after


def test_playing_begins_anew_at_the_end_and_stops_there(open_notebook: Open) -> None:
    notebook = open_notebook(WHOLE, "widget")
    root = notebook.page.locator(WIDGET)
    root.locator('[data-svr="graph"]').press("p")
    expect(root.get_by_role("button", name="pause", exact=True)).to_be_visible()
    for step in range(5):
        expect(moment(root)).to_contain_text(f"step {step} of 4")
    expect(root.get_by_role("button", name="play", exact=True)).to_be_visible()
    root.locator('[data-svr="graph"]').press(",")
    expect(moment(root)).to_contain_text("step 3 of 4")
    root.get_by_role("button", name="go to newest").click()
    notebook.wait_for_python("widget.step == 4 and widget.following")


LIVE = """
import time
from IPython.display import display
display(widget)
deadline, step = time.monotonic() + 60, 0
while time.monotonic() < deadline and not stop.is_file():
    step += 1
    with torch.no_grad():
        model[0].weight.mul_(1.02)
    recorder.step()
    time.sleep(0.3)
"""


def test_it_lives_while_the_cell_runs_and_leaves_who_scrubs_alone(
    open_notebook: Open, tmp_path_factory: pytest.TempPathFactory
) -> None:
    stop = tmp_path_factory.mktemp("live") / "stop"
    file = f"from pathlib import Path\nstop = Path({str(stop)!r})\n"
    notebook = open_notebook(RUN + file)
    page = notebook.page
    page.evaluate(
        """(code) => {
          const { content } = lab.panel();
          content.activeCell.model.sharedModel.setSource(code);
          lab.command('notebook:run-cell');
        }""",
        LIVE,
    )
    root = page.locator(WIDGET)
    busy = "() => lab.panel().sessionContext.kernelDisplayStatus"
    number = "(root) => Number(root.querySelector('[data-svr=step] b').textContent.slice(5))"
    page.wait_for_function(
        f"() => {{ const root = document.querySelector('{WIDGET}'); "
        f"return root && root.querySelector('[data-svr=step] b') && ({number})(root) >= 3; }}"
    )
    assert page.evaluate(busy) == "busy"
    # What comes while a button is pressed does not take the click away, nor the button.
    shown = root.evaluate(number)
    before = root.get_by_role("button", name="checkpoint before")
    before.hover()
    place = before.bounding_box()
    page.mouse.down()
    page.wait_for_function(f"() => ({number})(document.querySelector('{WIDGET}')) > {shown + 3}")
    assert before.bounding_box() == place
    page.mouse.up()
    expect(root.get_by_role("button", name="go to newest")).to_be_visible()
    at = root.evaluate(number)
    expect(moment(root)).not_to_contain_text(f"of {at + 1}")
    assert root.evaluate(number) == at
    assert page.evaluate(busy) == "busy"
    stop.touch()
    notebook.wait_for_python(f"widget.step == {at} and not widget.following")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_is_readable_in_both_themes(open_notebook: Open, theme: str) -> None:
    notebook = open_notebook(WHOLE, "widget")
    notebook.set_theme(theme)
    root = notebook.page.locator(WIDGET)
    expect(root).to_have_attribute("data-theme", theme)
    rest(root)
    assert violations(notebook) == []
    notebook.set_theme("light")
