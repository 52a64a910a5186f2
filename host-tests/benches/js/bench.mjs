// The bench's form for JavaScript engines: `node bench.mjs OUT.json quick|full FILTER… -- NAME=MODULE.js…`, in Node as in Bun.
//
// Each module is a component of the world guest-tls:bench/figures, transpiled by jco. Writes one JSON object a line, as the harness
// for wasmtime does.

import { appendFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [out, form, ...rest] = process.argv.slice(2);
const filters = rest.slice(0, rest.indexOf("--"));
const modules = rest.slice(rest.indexOf("--") + 1).map((argument) => argument.split("="));

const { samples, milliseconds, warmUp } =
  form === "quick" ? { samples: 7, milliseconds: 25, warmUp: 100 } : { samples: 31, milliseconds: 60, warmUp: 500 };

const implementations = [];
for (const [name, path] of modules) {
  const component = await import(pathToFileURL(path).href);
  implementations.push({ name, component, figures: component.all() });
}

// Each figure is written when it is measured, so that an interrupted run keeps what it has.
writeFileSync(out, "");
for (const { name } of implementations[0].figures) {
  if (filters.length > 0 && !filters.some((filter) => name.includes(filter))) continue;
  for (const implementation of implementations) {
    const index = implementation.figures.findIndex((figure) => figure.name === name);
    if (index < 0) continue;
    const { unit, amount } = implementation.figures[index];
    const seconds = measure((iterations) => implementation.component.run(index, BigInt(iterations)));
    const value = amount / seconds;
    console.log(`${name}: ${implementation.name}: ${value.toPrecision(4)} ${unit}`);
    appendFileSync(out, `${JSON.stringify({ figure: name, impl: implementation.name, unit, value })}\n`);
  }
}
// Workers of WASI's shim would keep the process.
process.exit(0);

/** Seconds of one iteration: the median of some samples, each of which is long enough for the clock. */
function measure(run) {
  const time = (iterations) => {
    const started = performance.now();
    run(iterations);
    return performance.now() - started;
  };
  let iterations = 1;
  // The engine compiles anew what it sees to be hot.
  for (const end = performance.now() + warmUp; performance.now() < end; ) {
    const took = time(iterations);
    iterations = Math.max(1, Math.ceil((iterations * milliseconds) / Math.max(took, milliseconds / 16)));
  }
  const took = Array.from({ length: samples }, () => time(iterations) / iterations).sort((a, b) => a - b);
  return took[samples >> 1] / 1000;
}
