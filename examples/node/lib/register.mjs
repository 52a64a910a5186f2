// `node --import guest-tls/register app.js`: whoever asks for `tls` gets the component's, and so do https, http2 and fetch, which ask for it too.

import { constants } from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import builtin from 'node:tls';

import { setModule } from './secure-context.mjs';
import { showThrough } from './stream-socket.mjs';
import tls from './tls.mjs';

// What `node --tls-max-v1.2`, `--tls-cipher-list` and their like have asked for.
for (const name of ['DEFAULT_MIN_VERSION', 'DEFAULT_MAX_VERSION']) if (builtin[name]) tls[name] = builtin[name];
if (builtin.DEFAULT_CIPHERS !== constants.defaultCoreCipherList) tls.DEFAULT_CIPHERS = builtin.DEFAULT_CIPHERS;

showThrough(builtin.TLSSocket, tls.TLSSocket);

for (const [name, property] of Object.entries(Object.getOwnPropertyDescriptors(tls))) {
  const theirs = Object.getOwnPropertyDescriptor(builtin, name);
  // Node has one that can't be replaced, `rootCertificates`: both are Mozilla's.
  if (theirs === undefined || theirs.configurable) Object.defineProperty(builtin, name, { ...property, configurable: true });
  else if (theirs.writable) builtin[name] = tls[name];
}
setModule(builtin);

// As far as the engine knows, everybody has imported the module by now.
syncBuiltinESMExports?.();
