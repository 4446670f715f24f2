import { describe, expect, it } from "vitest";
import { resnet } from "../../dev/architectures.js";
import { layOut } from "../../src/geometry/layout.js";
import { createPainting, type Job } from "../../src/paint/paintJob.js";
import {
  createHelper,
  createLead,
  type HelperReport,
  newsOf,
  type Report,
} from "../../src/paint/workerPool.js";
import { readScene, type Scene } from "../../src/wire/scene.js";

const MARGINS = { top: 16, right: 20, bottom: 40, left: 40 };
const SIZE = { width: 320, height: 200 };
const scene = readScene(resnet()) as Scene;
const drawn = (share: number) => scene.links.map(({ sent }) => Math.round(sent * share));
const job: Job = {
  scene,
  layout: layOut(scene, "linear", SIZE, MARGINS),
  ratio: 1,
  drawn: drawn(0.8),
  only: null,
  faintest: 0.12,
  ink: [10, 20, 30],
};

function alone(wanted: Job): Uint32Array {
  const painting = createPainting();
  painting.begin(wanted);
  while (!painting.work(1000));
  return painting.picture();
}

/** A lead with so many helpers; what its page hears, and what each helper says. */
function poolOf(helpers: number) {
  const heard: Report[] = [];
  const said: HelperReport[][] = [];
  let wanted: { id: number; found: (report: Report) => void } | null = null;
  const posts = Array.from({ length: helpers }, (_, place) => {
    said.push([]);
    const order = createHelper((report) => {
      said[place].push(report);
      lead.hear(place, report);
    });
    return (message: Parameters<typeof order>[0]) => order(structuredClone(message));
  });
  const lead = createLead((report) => {
    heard.push(report);
    if (report.kind === "picture" && report.done && report.id === wanted?.id) wanted.found(report);
  }, posts);
  let sent: Job | null = null;
  let id = 0;
  return {
    lead,
    heard,
    said,
    ask(next: Job): Promise<Uint32Array> {
      const news = newsOf(next, sent);
      sent = next;
      return new Promise((found) => {
        wanted = {
          id: ++id,
          found: (report) => found((report as Extract<Report, { kind: "picture" }>).pixels),
        };
        lead.order({ id, job: news });
      });
    },
  };
}

describe("a pool of workers", () => {
  it.each([0, 1, 3])("with %d helpers paints what one painter paints, to the bit", async (many) => {
    const pool = poolOf(many);
    for (let place = 0; place < many; place++) pool.lead.hear(place, { kind: "ready" });
    const elsewhere = layOut(scene, "rank", { width: 250, height: 180 }, MARGINS);
    for (const next of [
      job,
      { ...job, drawn: drawn(0.1) },
      { ...job, drawn: drawn(0.5), layout: elsewhere },
      { ...job, layout: elsewhere, ink: [200, 0, 0] as const },
    ]) {
      expect(await pool.ask(next)).toEqual(alone(next));
    }
    expect(alone(job).some((pixel) => pixel >>> 24 > 100)).toBe(true);
    expect(pool.said.every((reports) => reports.length > 0)).toBe(true);
  });

  it("does without helpers until they run, and takes them with the next painting", async () => {
    const pool = poolOf(2);
    expect(await pool.ask(job)).toEqual(alone(job));
    pool.lead.hear(1, { kind: "ready" });
    const fewer = { ...job, drawn: drawn(0.3) };
    expect(await pool.ask(fewer)).toEqual(alone(fewer));
    expect(pool.said.map((reports) => reports.length)).toEqual([0, 0]);
    const larger = { ...job, ratio: 2 };
    expect(await pool.ask(larger)).toEqual(alone(larger));
    expect(pool.said[0]).toEqual([]);
    expect(pool.said[1].length).toBeGreaterThan(0);
  });

  it("leaves out what helpers painted for an earlier layout", async () => {
    const pool = poolOf(1);
    pool.lead.hear(0, { kind: "ready" });
    await pool.ask(job);
    const late = pool.said[0].at(-1) as HelperReport;
    const next = { ...job, layout: layOut(scene, "rank", SIZE, MARGINS) };
    expect(await pool.ask(next)).toEqual(alone(next));
    const pictures = pool.heard.length;
    pool.lead.hear(0, late);
    expect(pool.heard.length).toBe(pictures);
  });
});
