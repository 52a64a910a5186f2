// One connection: a `secure-pair`, and the moving of bytes between its two sides.

import { bytes, text } from './bytes.mjs';
import { failure, fromGuest } from './errors.mjs';
import { drop } from './guest.mjs';

/**
 * What a connection is made of, as `secure-pair-options` of the component: Node's options of `connect` and `TLSSocket`, and one for each
 * event that the component has (`sniEvent`, `alpnEvent`, `sessionEvents`, `ocspEvent`, `sessionEvent`, `keylog`, `trace`).
 *
 * A client needs a `servername`, which is a DNS name or an IP address.
 */
export function pairOptions(guest, options) {
  return guest.call(({ securePair: { SecurePairOptions } }) => {
    const made = new SecurePairOptions();
    for (const [name, set] of Object.entries(SETTERS)) {
      if (options[name] !== undefined && options[name] !== null) set(made, options[name]);
    }
    return made;
  });
}

/** The protocols of ALPN as a list of bytes: from names, buffers, or all of them in one buffer with a byte of length before each. */
export function alpnList(protocols) {
  if (Array.isArray(protocols)) return protocols.map((protocol) => short(bytes(protocol, 'ALPNProtocols')));
  const packed = bytes(protocols, 'ALPNProtocols');
  const names = [];
  for (let at = 0; at < packed.length; at += 1 + packed[at]) {
    // RFC 7301 section 3.1.
    if (packed[at] === 0) throw failure('ERR_INVALID_ARG_VALUE', `ALPNProtocols has a protocol of no bytes, at byte ${at}`);
    if (at + 1 + packed[at] > packed.length) {
      throw failure('ERR_INVALID_ARG_VALUE', `ALPNProtocols is cut short: byte ${at} announces ${packed[at]} bytes, and ${packed.length - at - 1} follow`);
    }
    names.push(packed.slice(at + 1, at + 1 + packed[at]));
  }
  return names;
}

function short(name) {
  if (name.length === 0) throw failure('ERR_INVALID_ARG_VALUE', 'an application protocol has one byte at least (RFC 7301 section 3.1)');
  if (name.length > 255) throw failure('ERR_OUT_OF_RANGE', `an application protocol has 255 bytes at most, and this one has ${name.length} (RFC 7301)`);
  return name;
}

/**
 * Moves the bytes of a connection. `wire` is told what there is to do:
 *
 * * `transmit(bytes)`: bytes for the transport; what it returns says whether it takes more now. If not, call `drained` later.
 * * `event(event)`: an event of the component's, `{tag, val}`.
 * * `data(bytes)`: cleartext; what it returns says whether it takes more now. If not, call `read` later.
 * * `taken()` (optional): all that came from the transport was taken, so `full` is false again.
 * * `end()`: the peer has closed its side by `close_notify`.
 * * `cut()` (optional): the transport has ended without `close_notify` after the handshake, and all that came was given to `data`. Our side
 *   goes on. Where this is left out, a cut is an error and goes to `fail` (row K19).
 * * `fail(error)`: what ended the connection, after the last bytes, an alert among them, were given to `transmit`.
 * * `ended()`: our end, and all that was written before it, were given to `transmit`.
 *
 * No method throws: what goes wrong with the connection goes to `fail`, once. What the functions of `wire` throw is the application's own
 * error: the connection goes on, and the error goes where the runtime brings those that nobody catches.
 */
export class Connection {
  #guest;
  #pair;
  #wire;
  #received = [];
  #receivedEnd = false;
  #toldEnd = false;
  /** Whether the transport has ended and the component was not told. */
  #isCut = false;
  #transportTakes = true;
  #reads = true;
  #ended = false;
  #toldOurEnd = false;
  #sentOurEnd = false;
  #peerEnded = false;
  #failed = false;
  #aborted;
  #moving = false;
  #again = false;
  #asked = false;
  /** Nothing is sent while there are any: see `hold`. */
  #holds = new Set();
  /** The event `secure`, while it waits for their end. */
  #late;
  #writing;
  /** Called when what was written last is given to the transport. */
  #written;
  #secure = false;
  #total = { read: 0, written: 0 };

  /** `pair` is a `secure-pair`, which this owns from now on. */
  constructor(guest, pair, wire) {
    this.#guest = guest;
    this.#pair = pair;
    this.#wire = wire;
  }

  /** The result of `ask(pair)`, or undefined where the connection is gone. Throws the component's error. */
  ask(ask) {
    return this.#pair === undefined ? undefined : this.#guest.call(() => ask(this.#pair));
  }

  /** Whether nothing can be asked any more. */
  get dropped() {
    return this.#pair === undefined;
  }

  /** Whether what came from the transport waits to be taken: it should bring no more before `wire.taken` was called. */
  get full() {
    return this.#received.length > 0;
  }

  /** Bytes of the transport (row K17). */
  get bytesRead() {
    return this.#count((pair) => pair.bytesRead(), 'read');
  }

  /** Likewise, those that were given to it. */
  get bytesWritten() {
    return this.#count((pair) => pair.bytesWritten(), 'written');
  }

  /** Takes bytes from the transport. */
  receive(bytes) {
    if (bytes.length > 0) this.#received.push(bytes);
    this.move();
  }

  /** The transport has ended. */
  receiveEnd() {
    this.#receivedEnd = true;
    this.move();
  }

  /** The transport takes more. */
  drained() {
    this.#transportTakes = true;
    this.move();
  }

  /** The application takes more. */
  read() {
    this.#reads = true;
    this.move();
  }

  /**
   * Writes bytes of the application, and calls `done` when all of them were given to `transmit`, so not before the handshake is done; not before
   * that may more be written.
   */
  write(bytes, done) {
    this.#writing = { bytes, done };
    this.move();
  }

  /** Ends our side, after what is being written. */
  end() {
    this.#ended = true;
    this.move();
  }

  /** Answers a question, by a method of the pair's. Throws the component's error. */
  answer(answer) {
    const answered = this.ask(answer);
    this.#asked = false;
    this.move();
    return answered;
  }

  /**
   * Answers `new-session` at once, and sends nothing until the function is called that this gives. The component takes nothing before its
   * answer, so neither data nor the end of the transport would be seen until then. In TLS 1.2 the server's Finished waits with the rest
   * (RFC 5246 section 7.3), and `secure` with it. When the peer has ended the transport, nothing waits any more. Throws the component's
   * error.
   */
  hold() {
    this.ask((pair) => pair.answerNewSession());
    this.#asked = false;
    const hold = {};
    this.#holds.add(hold);
    return () => {
      if (this.#holds.delete(hold)) this.move();
    };
  }

  /** Ends the connection by `ABORT_ERR`, of which `wire.fail` hears in any case. Throws the component's error. */
  abort(why) {
    this.ask((pair) => pair.abort(why));
    this.#aborted ??= failure('ABORT_ERR', `The connection was given up: ${why}`);
    this.move();
  }

  /** Sends `close_notify` (RFC 8446 section 6.1) where nothing else waits to be sent and the transport takes it at once. */
  close() {
    const waits = this.#writing !== undefined || this.#written !== undefined || this.#asked || this.#holds.size > 0 || !this.#transportTakes;
    if (this.#pair === undefined || this.#failed || this.#aborted || !this.#secure || this.#toldOurEnd || waits) return;
    this.#toldOurEnd = true;
    try {
      this.ask((pair) => pair.end());
      for (let bytes; (bytes = this.ask((pair) => pair.readEncrypted(BigInt(CHUNK))))?.length > 0;) this.#wire.transmit(bytes);
    } catch {
      // The connection is over in any case.
    }
  }

  /** Gives the connection up. Nothing is sent; what can still be asked of it is what it had counted. */
  drop() {
    if (this.#pair === undefined) return;
    this.#total = { read: this.bytesRead, written: this.bytesWritten };
    if (this.#guest.fault === undefined) drop(this.#pair);
    this.#pair = undefined;
    this.#received = [];
    this.#writing = undefined;
    this.#written = undefined;
  }

  /** Moves what can be moved, until nothing moves any more. */
  move() {
    // A callback may call again: whoever is at work already does that too.
    this.#again = true;
    if (this.#moving) return;
    this.#moving = true;
    while (this.#again && this.#pair !== undefined && !this.#failed) {
      this.#again = false;
      try {
        this.#step();
      } catch (error) {
        this.#fail(error);
      }
    }
    this.#moving = false;
  }

  #step() {
    this.#take();
    this.#events();
    this.#write();
    this.#read();
    this.#transmit();
    // The component says so to whoever reads or writes, and at the moment there may be nobody.
    if (this.#aborted !== undefined) throw this.#aborted;
  }

  #take() {
    while (this.#received.length > 0) {
      const [first] = this.#received;
      const taken = Number(this.ask((pair) => pair.writeEncrypted(first.subarray(0, CHUNK))));
      if (taken === 0) return;
      this.#again = true;
      if (taken < first.length) this.#received[0] = first.subarray(taken);
      else this.#received.shift();
      if (this.#received.length === 0) this.#tell(() => this.#wire.taken?.());
    }
    if (!this.#receivedEnd || this.#toldEnd) return;
    // What came last may have been the end of the handshake.
    this.#events();
    if (this.#pair === undefined) return;
    this.#toldEnd = true;
    this.#again = true;
    if (this.#late !== undefined) throw failure(CUT, 'The transport ended before the end of the handshake was sent');
    this.#holds.clear();
    if (this.#secure && this.#wire.cut !== undefined) this.#isCut = true;
    else this.ask((pair) => pair.endEncrypted());
  }

  #events() {
    for (;;) {
      const event = this.#late !== undefined && this.#holds.size === 0 ? this.#late : this.ask((pair) => pair.nextEvent());
      if (event === undefined) return;
      this.#again = true;
      if (QUESTIONS.has(event.tag)) this.#asked = true;
      if (event.tag === 'secure') {
        const waits = this.#holds.size > 0 && this.ask((pair) => pair.protocol()) === 'tls12';
        this.#late = waits ? event : undefined;
        if (waits) continue;
        this.#secure = true;
      }
      this.#tell(() => this.#wire.event(event));
    }
  }

  #write() {
    while (this.#writing !== undefined) {
      const { bytes, done } = this.#writing;
      const taken = bytes.length === 0 ? 0 : Number(this.ask((pair) => pair.writeCleartext(bytes.subarray(0, CHUNK))));
      if (taken < bytes.length) {
        if (taken === 0) return;
        this.#again = true;
        this.#writing = { bytes: bytes.subarray(taken), done };
      } else {
        this.#again = true;
        this.#writing = undefined;
        this.#written = done;
      }
    }
    if (this.#ended && !this.#toldOurEnd) {
      this.#toldOurEnd = true;
      this.#again = true;
      this.ask((pair) => pair.end());
    }
  }

  #read() {
    while (this.#reads && !this.#peerEnded && this.#late === undefined) {
      const read = this.ask((pair) => pair.readCleartext(BigInt(CHUNK)));
      if (read?.tag === 'pending' && this.#isCut) {
        this.#peerEnded = true;
        this.#again = true;
        this.#tell(() => this.#wire.cut());
        return;
      }
      if (read === undefined || read.tag === 'pending') return;
      this.#again = true;
      if (read.tag === 'end') {
        this.#peerEnded = true;
        this.#tell(() => this.#wire.end());
        return;
      }
      this.#reads = this.#tell(() => this.#wire.data(read.val)) !== false;
    }
  }

  #transmit() {
    while (this.#transportTakes && this.#holds.size === 0) {
      const bytes = this.ask((pair) => pair.readEncrypted(BigInt(CHUNK)));
      if (bytes === undefined) return;
      if (bytes.length === 0) {
        // Before the handshake is done, or a question is answered, what is written waits in the component, and so does the end.
        if (!this.#secure || this.#asked) return;
        const written = this.#written;
        if (written !== undefined) {
          this.#written = undefined;
          this.#again = true;
          this.#tell(written);
        }
        if (this.#toldOurEnd && !this.#sentOurEnd) {
          this.#sentOurEnd = true;
          this.#tell(() => this.#wire.ended());
        }
        return;
      }
      this.#again = true;
      this.#transportTakes = this.#tell(() => this.#wire.transmit(bytes)) !== false;
    }
  }

  /** After an error there may still be cleartext that came before it, events, and an alert for the peer. */
  #fail(error) {
    this.#failed = true;
    if (this.#guest.fault === undefined && this.#pair !== undefined) {
      try {
        this.#events();
        while (this.#late === undefined) {
          const read = this.ask((pair) => pair.readCleartext(BigInt(CHUNK)));
          if (read?.tag !== 'data') break;
          this.#tell(() => this.#wire.data(read.val));
        }
      } catch {
        // The same error again: all that there was has been read.
      }
      try {
        // An alert comes after what is held, so it is held with it.
        const held = this.#holds.size > 0;
        for (let bytes; !held && (bytes = this.ask((pair) => pair.readEncrypted(BigInt(CHUNK))))?.length > 0;) this.#tell(() => this.#wire.transmit(bytes));
        // An alert is traced when it goes to the transport.
        this.#events();
      } catch {
        // A trap, which ends the instance: it has nothing more to send, and the connection ends by what came first.
      }
    }
    try {
      this.#wire.fail(error);
    } catch (thrown) {
      queueMicrotask(() => { throw thrown; });
    }
  }

  /** Calls the application, whose exceptions must neither stop the pump nor be taken for the connection's. */
  #tell(call) {
    try {
      return call();
    } catch (error) {
      if (error === this.#guest.fault) throw error;
      queueMicrotask(() => { throw error; });
      return undefined;
    }
  }

  #count(ask, kind) {
    if (this.#pair === undefined || this.#guest.fault !== undefined) return this.#total[kind];
    return Number(this.ask(ask));
  }
}

/** What was agreed on, when the handshake is done, in Node's words (rows K2 to K8, K10). */
export function describe(pair) {
  const cipher = pair.cipher();
  const group = pair.ephemeralKeyInfo();
  const alpn = pair.alpnProtocol();
  const error = pair.authorizationError();
  return {
    protocol: VERSIONS[pair.protocol()],
    cipher: cipher && { name: cipher.name, standardName: cipher.standardName, version: VERSIONS[cipher.version] },
    group: group && { type: group.kind, name: group.name, size: group.size },
    servername: pair.servername(),
    alpnProtocol: alpn && text(alpn),
    authorized: pair.authorized(),
    authorizationError: error && fromGuest(error),
    isSessionReused: pair.isSessionReused(),
  };
}

/** Node's spelling of a version. */
export const VERSIONS = { tls12: 'TLSv1.2', tls13: 'TLSv1.3' };

const flag = (name) => (made, value) => made[name](Boolean(value));

const SETTERS = {
  isServer: flag('setIsServer'),
  servername(made, name) {
    if (typeof name !== 'string') throw failure('ERR_INVALID_ARG_TYPE', `servername has to be a string, not ${typeof name}`);
    made.setServername(name);
  },
  ALPNProtocols: (made, protocols) => made.setAlpnProtocols(alpnList(protocols)),
  requestCert: flag('setRequestCert'),
  rejectUnauthorized: flag('setRejectUnauthorized'),
  skipServerIdentity: flag('setDangerSkipServerIdentity'),
  session: (made, session) => made.setSession(bytes(session, 'session')),
  sessionEvent: flag('setSessionEvent'),
  requestOCSP: flag('setRequestOcsp'),
  sniEvent: flag('setSniEvent'),
  alpnEvent: flag('setAlpnEvent'),
  sessionEvents: flag('setSessionEvents'),
  ocspEvent: flag('setOcspEvent'),
  tickets: flag('setTickets'),
  keylog: flag('setKeylog'),
  trace: flag('setTrace'),
  handshakeTimeout: (made, milliseconds) => made.setHandshakeTimeout(milliseconds),
  bufferLimit: (made, limit) => made.setBufferLimit(limit),
};

/** The events that wait for an answer. */
const QUESTIONS = new Set(['sni', 'alpn', 'resume-session', 'new-session', 'ocsp-request']);

/** The code of the error of a transport that ends without `close_notify` (row K19). */
export const CUT = 'ERR_SSL_UNEXPECTED_EOF_WHILE_READING';

/** The most that is moved at once: all that a call is given is copied, whether it is taken or not. */
const CHUNK = 65536;
