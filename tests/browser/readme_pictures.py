"""``make pictures``: takes the README's pictures anew, by its own code, in a real JupyterLab.

One is that which a lesson was recorded with. The others are outputs of cells that do what the
README prints, on networks that are trained here.
"""

from __future__ import annotations

import base64
import sys

import nbformat
from playwright.sync_api import expect

from tests.browser.lab import REPOSITORY, Lab, Notebook, chromium
from tests.notebooks.execution import outputs

NOTEBOOKS = REPOSITORY / "notebooks"
PICTURES = NOTEBOOKS / "pictures"

NETWORKS = """
import copy
import torch
from sklearn.datasets import load_digits
from torch import nn
from svr_widget import SVR, SVRRecorder, SVRTimeline, compare

digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16
labels = torch.tensor(digits.target)
train, test = torch.arange(1500), torch.arange(1500, len(labels))

def fit(model, epochs, chosen=train, lr=3e-3, decay=0.0, after_step=lambda: None):
    generator = torch.Generator().manual_seed(1)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=decay)
    for _ in range(epochs):
        for batch in chosen[torch.randperm(len(chosen), generator=generator)].split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images[batch]), labels[batch]).backward()
            optimizer.step()
            after_step()
    return model.eval()

def accuracy(model):
    with torch.no_grad():
        return float((model(images[test]).argmax(1) == labels[test]).float().mean())

def mlp():
    torch.manual_seed(0)
    widths = [64, 40, 40, 40, 10]
    model = nn.Sequential(nn.Flatten())
    for i, (width_in, width_out) in enumerate(zip(widths, widths[1:]), start=1):
        if i > 1:
            model.add_module(f"relu{i - 1}", nn.ReLU())
        model.add_module(f"fc{i}", nn.Linear(width_in, width_out, bias=False))
    return model
"""

CELLS = {
    "fine-tuning": """
some = train[labels[train] < 5]
base = fit(mlp(), 30, some)
tuned = fit(copy.deepcopy(base), 6, lr=1e-3)
compare(SVR(base, images[:1]), SVR(tuned, images[:1]), names=("five digits", "all ten"))
""",
    "timeline": """
model = mlp()
recorder = SVRRecorder(model, every=20, example_inputs=images[:1])
fit(model, 20, after_step=recorder.step)
timeline = SVRTimeline(recorder, step=120, selected=[("fc2", 0)])
timeline
""",
}
RECORDED = {"oversized": ("blocks", 2)}


def from_notebooks() -> None:
    """Copy the pictures that lessons were recorded with."""
    for name, (lesson, place) in RECORDED.items():
        recorded = nbformat.read(NOTEBOOKS / f"{lesson}.ipynb", as_version=4)
        drawn = [
            output.data["image/png"]
            for output in outputs(recorded)
            if "image/png" in output.get("data", {})
        ]
        (PICTURES / f"{name}.png").write_bytes(base64.b64decode(drawn[place]))


def from_jupyterlab(chosen: list[str]) -> None:
    """Run the cells of these names, or all, in turn and photograph what each shows."""
    lab = Lab()
    try:
        with chromium() as browser:
            for name in chosen or CELLS:
                notebook = Notebook(
                    lab, browser, lab.write(f"{name}.ipynb", [NETWORKS, CELLS[name]])
                )
                notebook.page.set_viewport_size({"width": 1360, "height": 1200})
                notebook.run()
                for graph in notebook.page.locator('[data-svr="graph"]:visible').all():
                    expect(graph).to_have_attribute("data-painted", "true", timeout=30_000)
                shown = notebook.page.locator(".jp-OutputArea-output:visible").last
                shown.screenshot(path=PICTURES / f"{name}.png")
                notebook.close()
    finally:
        lab.stop()


if __name__ == "__main__":
    PICTURES.mkdir(exist_ok=True)
    from_notebooks()
    from_jupyterlab(sys.argv[1:])
