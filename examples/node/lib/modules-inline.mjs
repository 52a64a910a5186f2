// The component's WebAssembly from within JavaScript, for bundles: there are no files beside them.

import { brotliDecompressSync } from 'node:zlib';

import { FILES } from './component/inline.mjs';

/** The bytes of the file of this name. */
export function wasm(name) {
  return brotliDecompressSync(Buffer.from(FILES[name], 'base64'));
}
