// The page's half of the bridge: a TCP connection as a pair of WHATWG byte streams. The protocol stands in the server's half,
// `lib/bridge.mjs`.

/**
 * Connects to `host` and `port` by the bridge at the WebSocket URL `bridge`. Gives
 *
 * * `readable`, `writable`: the bytes of the TCP connection. `readable` ends by the target's FIN, and errors where the connection was cut;
 *   closing `writable` sends ours;
 * * `times`: when the WebSocket was open, by the clock of `performance.now()`, and how long the bridge looked the name up (null where there
 *   was nothing to look up) and dialled, all in milliseconds;
 * * `address`: where it is connected to.
 *
 * Rejects with an error that has a `code`, which is Node's where the bridge has one. `signal` cuts the connection. `cut(bytes)` may take
 * what arrives apart; it gives an iterable of pieces.
 */
export async function dial(bridge, { host, port, signal, cut = (bytes) => [bytes] }) {
  signal?.throwIfAborted();
  const websocket = new WebSocket(bridge);
  websocket.binaryType = 'arraybuffer';
  const crossing = new Crossing(websocket, cut);
  signal?.addEventListener('abort', () => crossing.fail(signal.reason));
  const opened = await crossing.opened;
  websocket.send(JSON.stringify({ connect: { host, port } }));
  const { address, lookup, dial } = await crossing.connected;
  return { readable: crossing.readable, writable: crossing.writable, times: { opened, lookup, dial }, address };
}

/** One connection. */
class Crossing {
  readable;
  writable;
  opened;
  connected;

  #websocket;
  #cut;
  #settle = {};
  #in;
  #out;
  #readEnded = false;
  #writeEnded = false;
  #error;

  /** What the bridge may still send, and what it will take of us. */
  #granted = WINDOW;
  #allowance = WINDOW;
  #allowed;

  constructor(websocket, cut) {
    this.#websocket = websocket;
    this.#cut = cut;
    this.opened = this.#promise('opened');
    this.connected = this.#promise('connected');
    this.readable = new ReadableStream({
      start: (controller) => void (this.#in = controller),
      pull: () => this.#grant(),
      cancel: (reason) => this.fail(reason),
    }, new ByteLengthQueuingStrategy({ highWaterMark: WINDOW }));
    this.writable = new WritableStream({
      start: (controller) => void (this.#out = controller),
      write: (bytes) => this.#write(bytes),
      close: () => this.#end(),
      abort: (reason) => this.fail(reason),
    });
    websocket.onopen = () => this.#settle.opened.resolve(performance.now());
    websocket.onmessage = ({ data }) => (typeof data === 'string' ? this.#said(JSON.parse(data)) : this.#bytes(new Uint8Array(data)));
    websocket.onclose = ({ code, reason }) => this.#closed(code, reason);
  }

  /** Cuts the connection: everything that waits for it ends with `error`. */
  fail(error) {
    if (this.#error !== undefined) return;
    this.#error = error ?? new DOMException('the connection was given up', 'AbortError');
    for (const { reject } of Object.values(this.#settle)) reject(this.#error);
    if (!this.#readEnded) this.#in.error(this.#error);
    if (!this.#writeEnded) this.#out.error(this.#error);
    this.#allowed?.();
    this.#websocket.close();
  }

  #said({ connected, credit, end, failed }) {
    if (connected) {
      this.#settle.connected.resolve(connected);
    } else if (credit) {
      this.#allowance += credit;
      this.#allowed?.();
    } else if (end) {
      this.#readEnded = true;
      this.#in.close();
    } else if (failed) {
      this.fail(problem(failed.code, failed.message));
    }
  }

  #bytes(bytes) {
    if (this.#error !== undefined) return;
    this.#granted -= bytes.length;
    for (const piece of this.#cut(bytes)) this.#in.enqueue(piece);
  }

  /** Lets the bridge send as much as was read, not in driblets. */
  #grant() {
    const credit = this.#in.desiredSize - this.#granted;
    if (credit < WINDOW / 4 || this.#websocket.readyState !== WebSocket.OPEN || this.#readEnded) return;
    this.#granted += credit;
    this.#websocket.send(JSON.stringify({ credit }));
  }

  async #write(bytes) {
    for (let at = 0; at < bytes.length;) {
      while (this.#allowance === 0 && this.#error === undefined) await new Promise((go) => (this.#allowed = go));
      if (this.#error !== undefined) throw this.#error;
      const piece = bytes.subarray(at, at + Math.min(this.#allowance, PIECE));
      this.#allowance -= piece.length;
      this.#websocket.send(piece);
      at += piece.length;
    }
  }

  #end() {
    this.#writeEnded = true;
    // The bridge closes the WebSocket when TCP is over. Were it we, what the target has not taken yet would be lost.
    if (this.#websocket.readyState === WebSocket.OPEN) this.#websocket.send('{"end":true}');
  }

  #closed(code, reason) {
    if (this.#readEnded && this.#writeEnded) return;
    if (reason) this.fail(problem('EPROTO', `the bridge closed the connection: ${reason}`));
    else if (code === 1006) this.fail(problem('ECONNRESET', 'the bridge is gone, or refuses this page: is its server running?'));
    else this.fail(problem('ECONNRESET', 'the connection was cut'));
  }

  #promise(name) {
    const promise = new Promise((resolve, reject) => (this.#settle[name] = { resolve, reject }));
    // Whoever waits for the one hears of the other's failure, too.
    promise.catch(() => {});
    return promise;
  }
}

function problem(code, message) {
  return Object.assign(new Error(message), { code });
}

/** How many bytes may be on their way in each direction: the bridge has the same number. */
const WINDOW = 512 * 1024;

/** The most in one message. */
const PIECE = 64 * 1024;
