// Runs a wasip2 command that jco has transpiled, in Node as in Bun: `node run.mjs MODULE.js ARGUMENT…`.

import { pathToFileURL } from "node:url";

const [path] = process.argv.splice(2, 1);
const { run } = await import(pathToFileURL(path).href);
let failed = false;
try {
  run.run();
} catch (error) {
  // `run` gives an empty error where the command ended with another code than 0; a trap has a message.
  failed = true;
  if (error instanceof Error && !("payload" in error)) console.error(error);
}
// Workers of WASI's shim would keep the process.
process.exit(failed ? 1 : 0);
