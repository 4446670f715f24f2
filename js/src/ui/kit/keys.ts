// Keys and what they do: an action is listed once, for the key that runs it and for the help.

import type { View } from "../view.js";

export interface Action {
  /** As `keyOf` names them. */
  readonly keys: readonly string[];
  /** As people read them. */
  readonly shown: string;
  readonly words: string;
  run(event: KeyboardEvent): void;
}

/** "a", "Mod+a" (Ctrl or Cmd), "Alt+ArrowLeft", "Shift+Enter". */
export function keyOf(event: KeyboardEvent): string {
  const { key } = event;
  const mod = event.ctrlKey || event.metaKey ? "Mod+" : "";
  const alt = event.altKey ? "Alt+" : "";
  // Shift is part of a sign that is typed, but not of a key with a name.
  const shift = event.shiftKey && key.length > 1 ? "Shift+" : "";
  return `${mod}${alt}${shift}${key}`;
}

/** Runs the actions for the keys that reach an element. */
export function followKeys(view: View, element: HTMLElement, actions: readonly Action[]): void {
  const byKey = new Map(actions.flatMap((action) => action.keys.map((key) => [key, action])));
  view.listen(element, "keydown", (event) => {
    const action = byKey.get(keyOf(event));
    // A key that was used further in, or one that belongs to a text, does nothing else.
    if (!action || event.defaultPrevented || isElsewhere(event)) return;
    event.preventDefault();
    action.run(event);
  });
}

/** Whether a key belongs to a text, a list of choices or a dialog. */
function isElsewhere({ target }: Event): boolean {
  return (
    target instanceof HTMLTextAreaElement ||
    target instanceof HTMLSelectElement ||
    (target instanceof HTMLInputElement && target.type !== "range") ||
    (target instanceof Element && target.closest("dialog") !== null)
  );
}
