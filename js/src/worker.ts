// What runs in the workers: the lead, whom the page starts, and the helpers that the lead starts.

import { createHelper, createLead, type HelperOrder, type Order } from "./crew.js";

/** More would hold more copies of the edges than they save time. */
const MOST_PAINTERS = 4;
const HELPER = "svr helper";

const scope = self as unknown as {
  readonly name: string;
  readonly location: { readonly href: string };
  postMessage(message: unknown, transfer?: Transferable[]): void;
  onmessage: ((event: MessageEvent) => void) | null;
};

/** Starts a helper a core; none where workers may not start workers. */
function startHelpers(): Worker[] {
  const wanted = Math.min(MOST_PAINTERS, navigator.hardwareConcurrency) - 1;
  try {
    return Array.from({ length: wanted }, () => new Worker(scope.location.href, { name: HELPER }));
  } catch {
    return [];
  }
}

const post = (message: unknown, transfer: Transferable[]) => scope.postMessage(message, transfer);
if (scope.name === HELPER) {
  const order = createHelper(post);
  scope.onmessage = ({ data }: MessageEvent<HelperOrder>) => order(data);
} else {
  const helpers = startHelpers();
  const lead = createLead(
    post,
    helpers.map((helper) => (order, transfer) => helper.postMessage(order, transfer)),
  );
  helpers.forEach((helper, place) => {
    let runs = false;
    helper.onmessage = ({ data }) => {
      runs = true;
      lead.hear(place, data);
    };
    // One that never ran is done without; of one that fails at work the page must hear.
    helper.onerror = (event) => {
      if (!runs) event.preventDefault();
    };
  });
  scope.onmessage = ({ data }: MessageEvent<Order>) => lead.order(data);
}
scope.postMessage({ kind: "ready" });
