// TLS in the browser: the component, over TCP by the bridge. It knows nothing of the page.

import { createContext } from '/guest-tls/core/context.mjs';
import { Guest, MODULES } from '/guest-tls/core/guest.mjs';
import { secure } from '/guest-tls/core/web.mjs';

import { Records } from './records.mjs';
import { dial } from './tcp.mjs';

/** A TLS client. All connections live in one instance of the component, and so do their sessions. */
export class Client {
  #modules;
  #guest;

  /** Fetches and compiles the component. */
  static async load() {
    const compiled = await Promise.all(MODULES.map((name) => WebAssembly.compileStreaming(fetch(`/guest-tls/component/${name}`))));
    return new Client(new Map(MODULES.map((name, at) => [name, compiled[at]])));
  }

  constructor(modules) {
    this.#modules = modules;
  }

  /**
   * Connects to `host` and `port`. `context` has Node's options of `createSecureContext`; `options` those of `pairOptions` in the core,
   * `servername` among them. `onstep(name)` hears when the `context` was made and when the bridge has `reached` the target, with what
   * `dial` gave; `onevent(event)` hears the component's events; `signal` cuts the connection.
   *
   * Gives what `secure` of the core gives. Rejects, before anything is sent, with what is wrong with the options, or with why the target
   * can't be reached.
   */
  async connect({ host, port, context, options, onstep, onevent, signal }) {
    const guest = this.#instance();
    const made = createContext(guest, context);
    onstep?.('context');
    const records = new Records();
    let shaking = true;
    const transport = await dial(bridge(), { host, port, signal, cut: (bytes) => (shaking ? records.cut(bytes) : [bytes]) });
    onstep?.('reached', transport);
    try {
      return secure(guest, made, transport, {
        ...options,
        onevent(event) {
          if (event.tag === 'secure') shaking = false;
          onevent?.(event);
        },
      });
    } catch (error) {
      // Nobody else has the transport: left alone, it would stay open.
      transport.writable.abort(error).catch(() => {});
      throw error;
    }
  }

  /** The instance, or a new one where a trap has ended it. */
  #instance() {
    if (this.#guest === undefined || this.#guest.fault !== undefined) this.#guest = new Guest((name) => this.#modules.get(name));
    return this.#guest;
  }
}

function bridge() {
  return new URL('/bridge', location.href.replace(/^http/, 'ws')).href;
}
