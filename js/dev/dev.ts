// A page to look at the widget without Jupyter: ?scene=vgg&theme=dark&y=log&width=900...

import { mount } from "../src/ui/widget.js";
import type { Traits } from "../src/wire/host.js";
import {
  branches,
  chain,
  heads,
  parallel,
  recurrent,
  resnet,
  transformer,
  unet,
} from "./architectures.js";
import { devHost } from "./host.js";
import { deep, mlp, nothing, residual, vgg, wide } from "./networks.js";

const SCENES: Record<string, () => Uint8Array> = {
  trained: () => mlp(true),
  untrained: () => mlp(false),
  vgg: () => vgg(),
  million: () => vgg(1_000_000),
  residual,
  deep60: () => deep(60),
  deep300: () => deep(300),
  nothing,
  wide,
  resnet,
  branches,
  unet,
  transformer: () => transformer(),
  dense: () => transformer(12, 200),
  heads315: () => heads(),
  heads2000: () => heads(32, 64, 64, true),
  recurrent,
  parallel,
  one: () => chain(1),
  three: () => chain(3),
  chain100: () => chain(100),
};

const query = new URLSearchParams(location.search);
const name = query.get("scene") ?? "trained";
const theme = query.get("theme") ?? "light";
document.body.dataset.theme = theme;
const initial: Partial<Traits> = {
  y_scale: (query.get("y") ?? "auto") as Traits["y_scale"],
  threshold_mode: (query.get("mode") ?? "fdr") as Traits["threshold_mode"],
  threshold: Number(query.get("threshold") ?? 0.05),
  panes: (query.get("panes") ?? "adjacency").split(",").filter((pane) => pane !== "none") as never,
  height: Number(query.get("height") ?? 620),
  _inputs: {
    labels: query.has("inputs") ? ["7", "<b>3</b>", "ship ".repeat(20)] : [],
    model: query.get("model") !== "none",
    reference: "sobel",
    revision: 1,
  },
  _notice: query.get("notice") ?? "",
};
const working = { map: "features.17", maps: 16, done: 7, total: 31, seconds_left: 21 };
if (name === "computing") initial._status = { state: "computing", ...working };
else if (name === "cancelled") initial._status = { state: "cancelled" };
else if (name === "failed") {
  const message =
    "layer3.0.conv2: weight 512x512x3x3 holds NaN.\nLoad a checkpoint with finite weights.";
  initial._status = { state: "failed", message };
} else initial._scene = SCENES[name]();

const host = devHost(initial, query.get("kernel") !== "none", query.get("refusal") ?? "");
if (query.get("kernel") === "gone") host.losePython();
const element = document.createElement("div");
if (query.has("width")) element.style.width = `${query.get("width")}px`;
document.body.append(element);
const controller = new AbortController();
mount(element, host, controller.signal);
Object.assign(window, { host, controller });
