// What the benchmark of drawing holds beside this project: `npm run bench` bundles it for a page.

import Graph from "graphology";
import Sigma from "sigma";

globalThis.sigmaPeer = { Graph, Sigma };
