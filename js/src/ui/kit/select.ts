// Selecting neurons, from wherever they are pointed at.

import { joined } from "../../geometry/selection.js";
import type { Neuron } from "../../wire/scene.js";
import type { View } from "../view.js";

/** Selects neurons; with `add` beside those that are, or off where they already are. */
export function select({ state }: View, neurons: readonly Neuron[], add: boolean): void {
  state.select(joined(state.selectedNeurons.peek(), neurons, add ? "toggle" : "replace"));
}
