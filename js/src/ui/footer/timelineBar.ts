// The checkpoints beneath the graph: leading singular values over time, and a slider to go there.

import { signal } from "@preact/signals-core";
import { count, significant } from "../../logic/format.js";
import type { Playback } from "../../state/playback.js";
import { type History, track } from "../../wire/timeline.js";
import { fill, h, nameOf } from "../kit/dom.js";
import { icon, iconButton } from "../kit/icons.js";
import type { View } from "../view.js";
import { timelineTracks } from "./timelineTracks.js";

export function timelineBar(view: View, playback: Playback): HTMLElement {
  const chosen = signal<string | null>(null);
  const column = columnChoice(view, playback, chosen);
  return h(
    "div",
    { class: "svr-timeline", role: "group", "aria-label": "checkpoints", "data-svr": "timeline" },
    transport(view, playback),
    h(
      "div",
      { class: "svr-time" },
      timelineTracks(view, playback, column.value),
      slider(view, playback),
    ),
    h("div", { class: "svr-moment" }, words(view, playback), column.element),
  );
}

function transport(view: View, playback: Playback): HTMLElement {
  const back = iconButton(view, "previous", "checkpoint before", ",", () => playback.moveBy(-1));
  const next = iconButton(view, "next", "next checkpoint", ".", () => playback.moveBy(1));
  const play = iconButton(view, "play", "play", "p", () => playback.toggle());
  // By itself: an icon that is made anew while a button is pressed takes the click with it.
  view.watch(() => {
    const label = playback.playing.value ? "pause" : "play";
    fill(play, icon(label));
    play.setAttribute("aria-label", label);
    play.title = `${label} (p)`;
  });
  view.watch(() => {
    const steps = playback.history.value?.steps ?? [];
    const at = playback.place.value;
    play.disabled = steps.length < 2;
    back.disabled = at <= 0;
    next.disabled = at < 0 || at >= steps.length - 1;
  });
  return h("div", { class: "svr-transport" }, back, play, next);
}

function slider(view: View, playback: Playback): HTMLElement {
  const input = h("input", { type: "range", min: 0, max: 0, step: 1, "aria-label": "checkpoint" });
  view.watch(() => {
    const history = playback.history.value;
    const steps = history?.steps ?? [];
    const at = playback.place.value;
    input.max = String(Math.max(0, steps.length - 1));
    input.disabled = steps.length < 2;
    input.value = String(Math.max(0, at));
    const share = steps.length > 1 ? Math.max(0, at) / (steps.length - 1) : 0;
    input.style.setProperty("--svr-share", `${(share * 100).toFixed(2)}%`);
    if (history && at >= 0) input.setAttribute("aria-valuetext", momentText(history, at));
  });
  view.listen(input, "input", () => playback.seek(Number(input.value)));
  return input;
}

/** "step 300, epoch 3, loss 0.12". */
function momentText(history: History, at: number): string {
  const numbers = history.metrics
    .filter(({ values }) => !Number.isNaN(values[at]))
    .map(({ name, values }) => `${name} ${significant(values[at])}`);
  return [`step ${count(history.steps[at])}`, history.labels[at], ...numbers]
    .filter((part) => part !== "")
    .join(", ");
}

function words(view: View, playback: Playback): HTMLElement {
  const place = h("span");
  const where = h("div", { class: "svr-step", "data-svr": "step" }, place, follow(view, playback));
  const numbers = h("div", { class: "svr-metrics" });
  const changes = h("div", { class: "svr-soft svr-since" });
  view.watch(() => {
    const history = playback.history.value;
    const at = playback.place.value;
    if (!history || at < 0) return fill(place, "no checkpoint yet");
    const { steps, labels, metrics, born, died, notes } = history;
    const total = playback.recorded.value;
    const last = steps[steps.length - 1];
    fill(
      place,
      h("b", {}, `step ${count(steps[at])}`),
      h("span", { class: "svr-soft" }, ` of ${count(last)}`),
      labels[at] !== "" && " · ",
      labels[at] !== "" && nameOf(labels[at]),
    );
    fill(
      numbers,
      ...metrics
        .filter(({ values }) => !Number.isNaN(values[at]))
        .map(({ name, values }) => h("span", {}, nameOf(name), ` ${significant(values[at])}`)),
    );
    const trouble = playback.trouble.value;
    const loading = playback.shown.value !== playback.wanted.value;
    const moved = `${count(born[at])} born, ${count(died[at])} died since step ${count(steps[at - 1] ?? 0)}`;
    const parts = [
      trouble !== "" ? trouble : loading ? "on its way" : at > 0 ? moved : "",
      total > steps.length ? `${count(steps.length)} of ${count(total)} checkpoints computed` : "",
      ...notes,
    ];
    changes.textContent = parts.filter((part) => part !== "").join(" · ");
  });
  return h("div", { class: "svr-words" }, where, numbers, changes);
}

/** Says that the newest checkpoint is followed, or offers to. */
function follow(view: View, playback: Playback): HTMLElement {
  const newest = h("span", { class: "svr-newest", "data-svr": "following" }, "newest");
  const button = h("button", { type: "button", class: "svr-tool svr-newest" }, "go to newest");
  view.watch(() => {
    const none = playback.place.value < 0;
    newest.hidden = none || !playback.following.value;
    button.hidden = none || playback.following.value;
  });
  view.listen(button, "click", () =>
    playback.seek((playback.history.peek()?.steps.length ?? 1) - 1),
  );
  return h("span", { class: "svr-follow" }, newest, button);
}

/** Which column's singular values are drawn: the chosen one, else the selection's, else the first. */
function columnChoice(
  view: View,
  playback: Playback,
  chosen: { value: string | null },
): { element: HTMLElement; value: () => number } {
  const select = h("select", { "aria-label": "singular values of" });
  const value = () => {
    const columns = playback.history.value?.columns ?? [];
    const selected = view.state.selected.value?.at(-1)?.[0];
    const name = chosen.value ?? selected ?? columns[0];
    return Math.max(0, columns.indexOf(name ?? ""));
  };
  let listed = "";
  view.watch(() => {
    const maps = view.state.scene.value?.maps ?? [];
    const called = new Map(maps.map(({ name, label }) => [name, label]));
    const columns = playback.history.value?.columns ?? [];
    const words = columns.map((name) => `\u2068${called.get(name) ?? name}\u2069`);
    if (words.join("\n") !== listed) {
      listed = words.join("\n");
      fill(select, ...words.map((column, at) => h("option", { value: at }, column)));
    }
    select.value = String(value());
  });
  const largest = h("b");
  view.watch(() => {
    const history = playback.history.value;
    const at = playback.place.value;
    const now = history && at >= 0 ? track(history, value(), 0)[at] : Number.NaN;
    largest.textContent = Number.isNaN(now) ? "" : significant(now);
  });
  view.listen(select, "change", () => {
    chosen.value = playback.history.peek()?.columns[Number(select.value)] ?? null;
  });
  return {
    element: h(
      "label",
      { class: "svr-field svr-tracked" },
      "largest singular values of",
      select,
      largest,
    ),
    value,
  };
}
