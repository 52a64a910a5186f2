// The component's WebAssembly from the files beside its JavaScript. Bundlers get `modules-inline.mjs` in place of this: see `imports` in
// package.json.

import { readFileSync } from 'node:fs';

/** The bytes of the file of this name. Throws what to do where the package was taken apart. */
export function wasm(name) {
  try {
    return readFileSync(new URL(`./component/${name}`, import.meta.url));
  } catch (cause) {
    const what = `guest-tls does not find ${name}, which belongs beside its JavaScript: it seems that a bundler took the one and left the other.`;
    const how = 'Let the bundler resolve the condition "module" (esbuild: --conditions=module), by which the file is inlined, or keep guest-tls external.';
    throw Object.assign(new Error(`${what} ${how}`, { cause }), { code: 'ERR_MODULE_NOT_FOUND' });
  }
}
