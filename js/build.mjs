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

await build({
  ...shared,
  entryPoints: { widget: "src/index.ts", page: "src/page/index.ts" },
  outdir: "../svr_widget/widget/static",
  minify: true,
});
await build({
  ...shared,
  entryPoints: { widget: "src/styles.css" },
  outdir: "../svr_widget/widget/static",
  minify: true,
});
if (development) {
  await build({
    ...shared,
    entryPoints: { dev: "dev/dev.ts", styles: "src/styles.css" },
    outdir: "dev/build",
    sourcemap: "inline",
  });
}
