// `node --import guest-tls/register app.js`: whoever asks for `tls` gets the component's, and so do https, http2 and fetch, which ask for it too.

import { createRequire, syncBuiltinESMExports } from 'node:module';

import tls from './index.mjs';
import { showThrough } from './stream-socket.mjs';

const builtin = createRequire(import.meta.url)('node:tls');

// What `node --tls-max-v1.2` and its like have asked for.
for (const name of ['DEFAULT_MIN_VERSION', 'DEFAULT_MAX_VERSION']) if (builtin[name]) tls[name] = builtin[name];

showThrough(builtin.TLSSocket, tls.TLSSocket);

for (const [name, property] of Object.entries(Object.getOwnPropertyDescriptors(tls))) {
  const theirs = Object.getOwnPropertyDescriptor(builtin, name);
  // Node has one that can't be replaced, `rootCertificates`: both are Mozilla's.
  if (theirs === undefined || theirs.configurable) Object.defineProperty(builtin, name, { ...property, configurable: true });
  else if (theirs.writable) builtin[name] = tls[name];
}
// As far as the engine knows, everybody has imported the module by now.
syncBuiltinESMExports?.();
