// The component in a Worker: one instance in each isolate.

import core from 'guest-tls/component/guest-tls.core.wasm';
import core2 from 'guest-tls/component/guest-tls.core2.wasm';
import core3 from 'guest-tls/component/guest-tls.core3.wasm';
import { createContext } from 'guest-tls/core/context.mjs';
import { Guest } from 'guest-tls/core/guest.mjs';

/**
 * Something that lives with the isolate's instance, such as a context. `make(guest)` is called when it is asked for the first time, and
 * again where the instance had trapped and there is a new one. Not at global scope: a Worker has neither clock nor randomness there.
 */
export function once(make) {
  let of;
  let made;
  return (...inputs) => {
    const guest = instance();
    if (of !== guest) [made, of] = [make(guest, ...inputs), guest];
    return made;
  };
}

/** The context that the bindings `TLS_CA`, `TLS_CERT` and `TLS_KEY` (all PEM) describe. Throws what is wrong with them. */
export function contextOf(guest, env) {
  return createContext(guest, { ca: env.TLS_CA, cert: env.TLS_CERT, key: env.TLS_KEY });
}

/** The isolate's instance. */
export function instance() {
  if (guest === undefined || guest.fault !== undefined) guest = new Guest((name) => MODULES[name]);
  return guest;
}

let guest;

const MODULES = { 'guest-tls.core.wasm': core, 'guest-tls.core2.wasm': core2, 'guest-tls.core3.wasm': core3 };
