// Writes lib/component/inline.mjs: the component's WebAssembly as text, for bundlers, which take along JavaScript alone. `cargo xtask npm`
// runs this after jco.

import { readFileSync, writeFileSync } from 'node:fs';
import { brotliCompressSync, constants } from 'node:zlib';

import { MODULES } from './lib/core/guest.mjs';

const folder = new URL('lib/component/', import.meta.url);
const lines = MODULES.map((name) => {
  const bytes = readFileSync(new URL(name, folder));
  const params = { [constants.BROTLI_PARAM_QUALITY]: 9, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length };
  return `  '${name}': '${brotliCompressSync(bytes, { params }).toString('base64')}',\n`;
});
writeFileSync(new URL('inline.mjs', folder), `// Made by inline.mjs: each file in Brotli (RFC 7932), in base64.\nexport const FILES = {\n${lines.join('')}};\n`);
