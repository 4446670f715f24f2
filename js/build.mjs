// Bundles the front end, for notebooks and for exported pages, into the Python package; with --dev, the page of dev/ as well, served or not.
import { build } from "esbuild";

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

await build({
  ...shared,
  entryPoints: { widget: "src/index.ts", page: "src/page/page.ts" },
  outdir: "../svr_widget/widget/static",
  minify: true,
});
await build({
  ...shared,
  entryPoints: { widget: "src/styles/index.css" },
  outdir: "../svr_widget/widget/static",
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
