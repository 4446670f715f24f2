// The line beneath the picture: the threshold, and what it leaves, counted.

import {
  constructedLinks,
  count,
  expectation,
  LAW_WORDS,
  level as levelText,
  MODE_WORDS,
  parseLevel,
  pValue,
  TIED_MEANING,
} from "../../logic/format.js";
import {
  type Cut,
  exceedsChance,
  foremostLink,
  isLevel,
  rangeInWords,
  significantOn,
} from "../../logic/threshold.js";
import { CONTRACT } from "../../wire/contract.js";
import { columnsOf, leastP } from "../../wire/links/columns.js";
import { endOf } from "../../wire/links/names.js";
import type { Law, Mode, Scene } from "../../wire/scene.js";
import { dropDown, fill, h, nameOf, tailOf } from "../kit/dom.js";
import type { View } from "../view.js";
import { exactCut } from "./exactCut.js";
import { type Networks, survivalCurve } from "./survivalCurve.js";

/** `showLink` brings a link into sight; `networks` are all of a comparison, the view's own first. */
export function footer(
  view: View,
  showLink: (link: number) => void,
  networks?: Networks,
): HTMLElement {
  const { curve, words } = survivalCurve(view, networks);
  const { slider, controls } = threshold(view);
  return h(
    "div",
    { class: "svr-bar svr-footer" },
    h("div", { class: "svr-facing" }, controls, counts(view, showLink), words),
    h("div", { class: "svr-cutting" }, curve, slider),
  );
}

function threshold(view: View): { slider: HTMLElement; controls: HTMLElement } {
  const { state } = view;
  // The curve is the slider; this is what the keyboard and a screen reader have of it.
  const slider = h("input", {
    type: "range",
    class: "svr-slider",
    min: 0,
    step: 1,
    "aria-label": "threshold",
  });
  const field = h("input", {
    type: "text",
    inputmode: "decimal",
    size: 8,
    spellcheck: "false",
    autocomplete: "off",
    "aria-label": "significance level",
  });
  const refused = h("span", { class: "svr-message", role: "alert" });
  const note = h("span", { class: "svr-soft", role: "status", "data-svr": "stand-in" });
  const standIn = exactCut(view);
  const mode = dropDown("mode", Object.entries(MODE_WORDS));
  const law = dropDown("null law", Object.entries(LAW_WORDS));

  view.watch(() => {
    const scene = state.scene.value;
    const cut = state.cut.value;
    for (const control of [slider, field, mode, law]) control.disabled = !scene?.tests;
    field.hidden = !scene;
    if (!scene || !cut) return;
    for (const [select, known] of [
      [mode, scene.modes],
      [law, scene.laws],
    ] as const) {
      for (const option of select.options) option.hidden = !known.includes(option.value as never);
    }
    mode.value = cut.mode;
    law.value = cut.law;
    slider.max = String(scene.stops[cut.law][cut.mode].level.length - 1);
    slider.value = String(Math.round(cut.stop));
    const words = levelText(state.threshold.value);
    slider.setAttribute("aria-valuetext", `${MODE_WORDS[cut.mode]} ${words}`);
    field.value = words;
    field.size = Math.max(5, words.length);
    refused.textContent = "";
  });
  view.watch(() => {
    note.textContent = standIn();
  });

  view.listen(slider, "input", () => {
    const scene = state.scene.value;
    const cut = state.cut.value;
    if (scene && cut) state.setLevel(scene.stops[cut.law][cut.mode].level[Number(slider.value)]);
  });
  const commit = () => {
    const chosen = state.threshold_mode.value;
    const typed = parseLevel(field.value);
    const before = state.threshold.value;
    if (field.value.trim() === levelText(before)) return;
    if (isLevel(chosen, typed)) {
      refused.textContent = "";
      state.setLevel(typed);
      // Nothing changes where the same number was typed in another form.
      field.value = levelText(typed);
      return;
    }
    refused.textContent = `${MODE_WORDS[chosen]} lies ${rangeInWords(chosen)}`;
    field.value = levelText(before);
  };
  view.listen(field, "change", commit);
  view.listen(field, "keydown", (event) => {
    if (event.key === "Escape") field.value = levelText(state.threshold.value);
    if (event.key === "Escape" || event.key === "Enter") field.blur();
  });
  view.listen(mode, "change", () => state.setMode(mode.value as Mode));
  view.listen(law, "change", () => state.setLaw(law.value as Law));

  return {
    slider,
    controls: h(
      "div",
      { class: "svr-threshold" },
      h("span", { "aria-hidden": true }, "threshold"),
      mode,
      field,
      law,
      refused,
      note,
    ),
  };
}

function counts(view: View, showLink: (link: number) => void): HTMLElement {
  const { state } = view;
  const numbers = {
    shown: h("b", { "data-svr": "shown" }),
    significant: h("b", { "data-svr": "significant" }),
    expected: h("b", { "data-svr": "expected" }),
  };
  const strongest = h("span", { class: "svr-strongest" });
  const most = h("button", { type: "button", class: "svr-go", "data-svr": "most" });
  let link: number | null = null;
  view.listen(most, "click", () => {
    if (link !== null) showLink(link);
  });
  const adjective = h("span", {});
  const byChance = h("span", {});
  const stricter = h("button", { type: "button", class: "svr-go" });
  view.listen(stricter, "click", () => {
    state.apply({ threshold_mode: "fdr", threshold: CONTRACT.levels.fdr.default });
  });
  const numbersInWords = h(
    "span",
    { "data-svr": "counts" },
    h("span", {}, numbers.shown, " shown of ", numbers.significant, adjective),
    byChance,
  );
  const apart = h("span", { title: TIED_MEANING, "data-svr": "by-construction" });
  const line = h("div", { class: "svr-counts" }, numbersInWords, most, stricter, strongest, apart);
  const write = (element: HTMLElement, text: string, value: number) => {
    element.textContent = text;
    element.dataset.value = String(value);
  };
  view.watch(() => {
    const scene = state.scene.value;
    const cut = state.cut.value;
    line.hidden = !scene || !cut;
    numbersInWords.hidden = scene?.tests === 0;
    if (!scene || !cut) return;
    apart.textContent = constructedLinks(scene);
    apart.hidden = apart.textContent === "";
    // That nothing is significant is said in words.
    if (cut.significant === 0 && cut.expected === 0) numbersInWords.hidden = true;
    write(numbers.shown, count(cut.drawn), cut.drawn);
    write(numbers.significant, count(cut.significant), cut.significant);
    write(numbers.expected, expectation(cut.expected), cut.expected);
    const more = exceedsChance(cut.mode, cut.significant, cut.expected) || cut.significant === 0;
    adjective.textContent = more ? " significant" : " found";
    if (more) fill(byChance, numbers.expected, " expected by chance");
    else fill(byChance, h("b", {}, "no more than chance"), ", which gives ", numbers.expected);
    const beyond = state.opening.value?.significant ?? 0;
    stricter.hidden = more || beyond === 0;
    stricter.textContent = `${count(beyond)} of them significant at FDR 5 %`;
    link = cut.significant > 0 ? foremostLink(scene, cut) : null;
    most.hidden = link === null || scene.links.length < 2;
    fill(most, ...(link === null ? [] : whereMost(scene, cut, link)));
    fill(strongest, ...(cut.significant === 0 ? nothingSignificant(scene, cut) : []));
  });
  return line;
}

/** Where most of what was found is: of few edges all of it, of one the edge itself. */
function whereMost(scene: Scene, cut: Cut, link: number): (Node | string)[] {
  const { producer, start } = scene.links[link];
  const many = significantOn(scene, cut, [link]).edges;
  const [from, to] = [tailOf(scene.maps[producer].label), tailOf(endOf(scene, link))];
  if (cut.drawn === 1 && cut.significant === 1) {
    return [from, ` · ${scene.edgeM[start]} → `, to, ` · ${scene.edgeN[start]}`];
  }
  const share = many === cut.significant ? "all" : `${count(many)}`;
  return [`${share} in `, from, " → ", to];
}

/** Says that there is nothing to see, and how far the strongest edge is from it. */
function nothingSignificant(scene: Scene, cut: Cut): (Node | string)[] {
  let best: { readonly link: number; readonly log10p: number } | null = null;
  const p = leastP(scene.links, cut.law);
  for (let link = 0; link < p.length; link++) {
    if (Number.isFinite(p[link]) && (!best || p[link] < best.log10p))
      best = { link, log10p: p[link] };
  }
  if (!best) return [`There is nothing to test: ${untested(scene)}.`];
  const { link, log10p } = best;
  const { producer, consumer, strongest } = scene.links[link];
  const end = (map: number, k: number) => [nameOf(scene.maps[map].label), `\u00a0·\u00a0${k}`];
  return [
    "Nothing is significant; the strongest edge, ",
    ...end(producer, strongest?.m ?? 0),
    " → ",
    ...end(consumer, strongest?.n ?? 0),
    `, has p\u00a0=\u00a0${pValue(log10p)}`,
  ];
}

/** Why a network has no edge that could be significant. */
function untested({ maps, links, unlinked }: Scene): string {
  if (unlinked) return "it is not known which map feeds which";
  if (columnsOf(links).tested.length > 0) return "every link ends in a map of zeros";
  if (links.length > 0) return "every link is by construction, one tensor at both ends";
  return maps.length === 1 ? "one map has no links" : "no map feeds another";
}
