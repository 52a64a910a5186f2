// `createSecurePair`, as the documentation of Node 4 has it (row M6): TLS between two streams, without a socket.

import { Duplex } from 'node:stream';
import { EventEmitter } from 'node:events';

import { createSecureContext } from './secure-context.mjs';
import { TLSSocket } from './tls-socket.mjs';

/**
 * Two streams: what the peer's transport brings and gets goes through `encrypted`, the application's side is `cleartext`, which is a `TLSSocket`.
 * Emits `secure` when the handshake is done, and `error`.
 */
export class SecurePair extends EventEmitter {
  constructor(context = createSecureContext(), isServer = false, requestCert = false, rejectUnauthorized = false, options = {}) {
    super();
    const [encrypted, wire] = duplexes();
    this.credentials = context;
    this.encrypted = encrypted;
    this.cleartext = new TLSSocket(wire, {
      ...options, secureContext: context, isServer: Boolean(isServer), requestCert: Boolean(requestCert), rejectUnauthorized: Boolean(rejectUnauthorized),
    });
    Object.defineProperty(encrypted, 'bytesWritten', { get: () => this.cleartext.bytesWritten });
    this.cleartext.on('secure', () => this.emit('secure'));
    this.cleartext.on('error', (error) => {
      // Who listens to neither of the two must not be surprised by an exception.
      if (this.listenerCount('error') > 0) this.emit('error', error);
    });
    this.cleartext.on('close', () => {
      // Its last bytes may wait for whoever reads.
      if (wire.writableEnded && !encrypted.readableEnded) encrypted.once('end', () => encrypted.destroy());
      else encrypted.destroy();
    });
    encrypted.on('close', () => this.destroy());
  }

  destroy() {
    this.cleartext.destroy();
    this.encrypted.destroy();
  }
}

/** Makes a pair (row M6). `rejectUnauthorized` is false unless said otherwise, as documented: look at `authorized`. */
export function createSecurePair(context, isServer, requestCert, rejectUnauthorized, options) {
  return new SecurePair(context ?? undefined, isServer, requestCert, rejectUnauthorized, options);
}

/** Two streams, each of which reads what is written to the other. */
function duplexes() {
  const make = () => {
    let waiting;
    const duplex = new Duplex({
      read() {
        const proceed = waiting;
        waiting = undefined;
        proceed?.();
      },
      write(chunk, _, callback) {
        other.get(duplex).accept(chunk, callback);
      },
      final(callback) {
        other.get(duplex).accept(null, callback);
      },
    });
    duplex.accept = (chunk, callback) => {
      if (duplex.destroyed || duplex.push(chunk) || chunk === null) callback();
      else waiting = callback;
    };
    return duplex;
  };
  const other = new WeakMap();
  const [one, two] = [make(), make()];
  other.set(one, two);
  other.set(two, one);
  return [one, two];
}
