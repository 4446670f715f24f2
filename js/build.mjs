// Bundles the front end, for notebooks and for exported pages, into the Python package; with --dev, the page of dev/ as well, served or not.
import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { build } from "esbuild";

const OUT = "../svr_widget/widget/static";
const development = process.argv.includes("--dev");
const shared = {
  bundle: true,
  format: "esm",
  target: ["es2022"],
  charset: "utf8",
  legalComments: "none",
  logLevel: "warning",
};

const worker = await build({
  ...shared,
  format: "iife",
  entryPoints: ["src/paint/worker.ts"],
  minify: true,
  write: false,
});
// A worker is started from text: a module in a notebook has no address that it could be loaded from.
shared.define = { SVR_WORKER: JSON.stringify(worker.outputFiles[0].text) };

const widget = await build({
  ...shared,
  format: "iife",
  globalName: "widget",
  entryPoints: ["src/index.ts"],
  minify: true,
  write: false,
});
// A page never forgets a module, and every model brings its own, compiled anew. So only the first of
// this build is evaluated, and the others give what it made.
// With a character beyond Latin-1 in it, a page would hold two bytes for each.
const code = widget.outputFiles[0].text.replace(
  /[\u0080-\uffff]/g,
  (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
);
const hash = createHash("sha256").update(code).digest("hex").slice(0, 16);
await writeFile(
  `${OUT}/widget.js`,
  `function make(){${code}return widget.default}
export default globalThis[Symbol.for("svr_widget ${hash}")]??=make();
`,
);

await build({
  ...shared,
  entryPoints: { page: "src/page/page.ts" },
  outdir: OUT,
  minify: true,
});
await build({
  ...shared,
  entryPoints: { widget: "src/styles/index.css" },
  outdir: OUT,
  minify: true,
});
if (development) {
  await build({
    ...shared,
    entryPoints: { dev: "dev/dev.ts", styles: "src/styles/index.css" },
    outdir: "dev/build",
    sourcemap: "inline",
  });
}
