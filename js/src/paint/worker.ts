// What runs in the workers that the page starts: in one the lead, in the others its helpers. The
// page connects them, because in a page opened from disk a worker may not start another one.

import { createHelper, createLead, type HelperReport, type Post } from "./workerPool.js";

/** The first message to a worker says what it is. */
export type Role =
  | { readonly role: "lead"; readonly helpers: readonly MessagePort[] }
  | { readonly role: "helper"; readonly lead: MessagePort };

const scope = self as unknown as {
  postMessage(message: unknown, transfer?: Transferable[]): void;
  onmessage: ((event: MessageEvent) => void) | null;
};
const to =
  <T>(target: Pick<MessagePort, "postMessage">): Post<T> =>
  (message, transfer) =>
    target.postMessage(message, transfer);

scope.onmessage = ({ data }: MessageEvent<Role>) => {
  if (data.role === "helper") {
    const order = createHelper(to(data.lead));
    data.lead.onmessage = (event) => order(event.data);
    data.lead.postMessage({ kind: "ready" } satisfies HelperReport);
  } else {
    const { helpers } = data;
    const lead = createLead(
      (report, transfer) => scope.postMessage(report, transfer),
      helpers.map((port) => to(port)),
    );
    helpers.forEach((port, place) => {
      port.onmessage = (event) => lead.hear(place, event.data);
    });
    scope.onmessage = (event) => lead.order(event.data);
  }
  scope.postMessage({ kind: "ready" });
};
