// Node's http2 works on native handles. A stream that has none, such as ours, it wraps in a socket of its own (`JSStreamSocket`), which does not
// know that there is TLS below: http2 would not wait for the handshake, and `session.alpnProtocol`, `session.encrypted` and all that programs
// ask of `session.socket` would be wrong.

import { Duplex } from 'node:stream';

/** Lets Node's wrapper show what the `TLSSocket` in it says. `Native` is Node's own `TLSSocket`; where it has no such wrapper, nothing is done. */
export function showThrough(Native, TLSSocket) {
  const prototype = wrapperOf(Native);
  if (prototype === undefined) return;
  const isInstance = Function.prototype[Symbol.hasInstance];
  // By this, http2 chooses the event that it waits for, and programs see that `session.socket` speaks TLS.
  Object.defineProperty(TLSSocket, Symbol.hasInstance, {
    configurable: true,
    value(value) {
      if (isInstance.call(this, value)) return true;
      return this === TLSSocket && typeof value === 'object' && Object.prototype.isPrototypeOf.call(prototype, value)
        && isInstance.call(this, value.stream);
    },
  });
  // The wrapper's constructor assigns its stream: the one moment at which there are both.
  Object.defineProperty(prototype, 'stream', {
    configurable: true,
    get: () => undefined,
    set(stream) {
      Object.defineProperty(this, 'stream', { configurable: true, enumerable: true, writable: true, value: stream });
      if (!(stream instanceof TLSSocket)) return;
      for (const event of PASSED_ON) stream.on(event, (...args) => this.emit(event, ...args));
    },
  });
  for (const name of SHOWN) {
    const own = find(prototype, name);
    Object.defineProperty(prototype, name, {
      configurable: true,
      get() {
        if (this.stream instanceof TLSSocket) {
          const shown = this.stream[name];
          return typeof shown === 'function' ? shown.bind(this.stream) : shown;
        }
        return own?.get ? own.get.call(this) : own?.value;
      },
      set(value) {
        Object.defineProperty(this, name, { configurable: true, enumerable: true, writable: true, value });
      },
    });
  }
}

function wrapperOf(Native) {
  const nothing = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
  const socket = new Native(nothing);
  socket.on('error', () => {});
  const wrapper = socket._handle?._parentWrap;
  const prototype = wrapper?.stream === nothing ? Object.getPrototypeOf(wrapper) : undefined;
  socket.destroy();
  nothing.destroy();
  return prototype;
}

function find(object, name) {
  for (let at = object; at !== null; at = Object.getPrototypeOf(at)) {
    const property = Object.getOwnPropertyDescriptor(at, name);
    if (property !== undefined) return property;
  }
  return undefined;
}

const PASSED_ON = ['secureConnect', 'session', 'OCSPResponse'];

const SHOWN = [
  'encrypted', 'secureConnecting', 'alpnProtocol', 'servername', 'authorized', 'authorizationError', 'getCipher', 'getProtocol', 'getPeerCertificate', 'getCertificate',
  'getPeerX509Certificate', 'getX509Certificate', 'getSession', 'isSessionReused', 'exportKeyingMaterial', 'getEphemeralKeyInfo',
  'setNoDelay', 'setKeepAlive', 'ref', 'unref', 'localAddress', 'localPort', 'localFamily', 'remoteAddress', 'remotePort', 'remoteFamily',
];
