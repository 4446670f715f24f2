// One answer of Python's that follows what is chosen: asked for again when the question changes,
// one at a time, so that quick changes ask only for the last.

import { type ReadonlySignal, signal } from "@preact/signals-core";
import type { Answer, Question, QuestionKind } from "../../wire/requests.js";
import type { View } from "../view.js";

export interface Resource<T> {
  readonly value: ReadonlySignal<T | null>;
  /** Why there is no value, or not yet; empty where there is one. */
  readonly words: ReadonlySignal<string>;
  readonly busy: ReadonlySignal<boolean>;
}

/** `question` reads signals; it gives null while nothing is wanted. */
export function resource<T, K extends QuestionKind>(
  view: View,
  question: () => Question<K> | null,
  read: (answer: Answer<K>) => T,
): Resource<T> {
  const value = signal<T | null>(null);
  const words = signal("");
  const busy = signal(false);
  const kept = new Map<string, T>();
  let wanted = "";
  let asking = false;

  const proceed = (asked: Question<K>) => {
    const key = JSON.stringify(asked);
    const known = kept.get(key);
    if (known !== undefined) {
      value.value = known;
      words.value = "";
      busy.value = false;
      return;
    }
    busy.value = true;
    if (asking) return;
    asking = true;
    const end = (use: () => void) => {
      asking = false;
      if (view.signal.aborted) return;
      use();
      if (key === wanted) busy.value = false;
      else if (wanted !== "") proceed(JSON.parse(wanted));
    };
    const failed = (error: Error) => {
      if (key !== wanted) return;
      value.value = null;
      words.value = error.message;
    };
    view.ask(asked).then(
      (answer) =>
        end(() => {
          try {
            const found = read(answer);
            if (kept.size > 40) kept.clear();
            kept.set(key, found);
            if (key !== wanted) return;
            value.value = found;
            words.value = "";
          } catch (error) {
            failed(error as Error);
          }
        }),
      (error: Error) => end(() => failed(error)),
    );
  };
  let scene = view.state.scene.peek();
  view.watch(() => {
    // While checkpoints change quickly, what was last asked for stays.
    if (view.state.playback?.resting.value === false) {
      busy.value = true;
      return;
    }
    if (view.state.scene.value !== scene) {
      scene = view.state.scene.value;
      kept.clear();
      value.value = null;
    }
    const plain = question();
    // A checkpoint's answer is no other checkpoint's.
    const step = view.state.playback?.shown.value;
    const asked = plain && step !== undefined ? { ...plain, step } : plain;
    wanted = asked ? JSON.stringify(asked) : "";
    if (asked) proceed(asked);
    else value.value = null;
  });
  return { value, words, busy };
}
