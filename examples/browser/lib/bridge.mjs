// The server's half of the bridge: a WebSocket to the page, a TCP connection to the target, and ciphertext in between.
//
// A page can't open TCP connections, so somebody has to do it for it, and that somebody must not become an open proxy into the local
// network: any page of the web can send a WebSocket handshake to 127.0.0.1. So a connection is made only where
//
// * `Host` is our own address, which a page that was rebound by DNS can't have, and `Origin` is the page that we served ourselves;
// * the target is one of those that were allowed when the server was started;
// * there are fewer connections than the limit.
//
// The protocol, in messages of a WebSocket. Binary ones are bytes of the TCP connection. Text ones are JSON:
//
// * `{"connect": {"host": "…", "port": 443}}`, by the page, first and once;
// * `{"connected": {"address": "…", "port": 443, "lookup": 1.2, "dial": 0.3}}`, the answer: times in milliseconds, `lookup` is null
//   where there was nothing to look up;
// * `{"credit": 65536}`, either way: so many bytes more may be sent. Each side begins with `WINDOW`. WebSockets have no back-pressure
//   for the receiver in a browser, so this is what holds the sender when the reader is slow;
// * `{"end": true}`, either way: no more bytes follow in this direction. It is TCP's FIN, apart from the closing of the WebSocket, so
//   that a connection that was cut can be told from one that ended;
// * `{"failed": {"code": "ECONNREFUSED", "message": "…"}}`: the TCP connection is gone, or was never made.

import net from 'node:net';

import { WebSocketServer } from 'ws';

/** How many bytes may be on their way in each direction. The page's half has the same number. */
export const WINDOW = 512 * 1024;

/** The targets that may be connected to, as `host:port`, with IPv6 addresses in brackets. */
export class Targets {
  #allowed = new Set();

  /** Allows one. Throws a `TypeError` where `target` is not `host:port`. */
  allow(target) {
    const { host, port } = parse(target);
    this.#allowed.add(key(host, port));
  }

  /** Whether it is one of them. */
  has(host, port) {
    return this.#allowed.has(key(host, port));
  }
}

/** Bridges WebSockets, which `upgrade` takes over from an HTTP server, to TCP. */
export class Bridge {
  #targets;
  #limit;
  #sockets = new WebSocketServer({ noServer: true, maxPayload: WINDOW, perMessageDeflate: false, clientTracking: true });

  /** `limit` is how many connections there may be at once. */
  constructor(targets, { limit = 16 } = {}) {
    this.#targets = targets;
    this.#limit = limit;
  }

  /** The handler of the event `upgrade`. Whether `Host` and `Origin` are ours was looked at before. */
  upgrade(request, socket, head) {
    if (this.#sockets.clients.size >= this.#limit) {
      refuse(socket, 503, `there are ${this.#limit} connections already`);
      return;
    }
    this.#sockets.handleUpgrade(request, socket, head, (websocket) => new Crossing(websocket, this.#targets));
  }

  /** Ends all connections. */
  close() {
    for (const client of this.#sockets.clients) client.terminate();
    this.#sockets.close();
  }
}

/** Ends an upgrade with an HTTP status and a sentence. */
export function refuse(socket, status, why) {
  const words = { 403: 'Forbidden', 404: 'Not Found', 503: 'Service Unavailable' };
  const body = `${why}\n`;
  socket.end(`HTTP/1.1 ${status} ${words[status]}\r\nConnection: close\r\nContent-Type: text/plain\r\n`
    + `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
}

/** One connection. */
class Crossing {
  #websocket;
  #targets;
  #tcp;
  /** What the page may still send. */
  #credit = WINDOW;
  /** What we may still send to the page. */
  #allowance = WINDOW;
  #ended = false;
  #patience;

  constructor(websocket, targets) {
    this.#websocket = websocket;
    this.#targets = targets;
    this.#patience = setTimeout(() => this.#violation('no order to connect came'), ORDER_MS);
    websocket.on('message', (data, isBinary) => this.#message(data, isBinary));
    // The event `close` follows, and says all there is to say.
    websocket.on('error', () => {});
    websocket.on('close', () => this.#gone());
  }

  #message(data, isBinary) {
    // What was on its way when we closed.
    if (this.#websocket.readyState !== this.#websocket.OPEN) return;
    if (isBinary) {
      this.#bytes(data);
      return;
    }
    let order;
    try {
      order = JSON.parse(data.toString());
    } catch {
      order = null;
    }
    if (order?.connect && this.#tcp === undefined) this.#connect(order.connect);
    else if (order?.end === true && this.#tcp !== undefined && !this.#ended) this.#end();
    else if (Number.isSafeInteger(order?.credit) && order.credit > 0 && this.#allowance + order.credit <= WINDOW) this.#grant(order.credit);
    else this.#violation('a message of the page is none of the protocol');
  }

  #connect({ host, port }) {
    clearTimeout(this.#patience);
    if (typeof host !== 'string' || !Number.isInteger(port)) {
      this.#violation('connect takes a host and a port');
      return;
    }
    if (!this.#targets.has(host, port)) {
      this.#fail({
        code: 'EACCES',
        message: `the bridge may not connect to ${key(host, port)}: start it with --allow ${key(host, port)}`,
      });
      return;
    }
    const started = performance.now();
    let found;
    const tcp = net.connect({ host, port, allowHalfOpen: true, noDelay: true });
    this.#tcp = tcp;
    tcp.setTimeout(DIAL_MS, () => {
      const late = new Error(`${key(host, port)} did not answer in ${DIAL_MS / 1000} s`);
      tcp.destroy(Object.assign(late, { code: 'ETIMEDOUT' }));
    });
    // It comes for addresses, too, which nobody has to look up.
    if (!net.isIP(host)) tcp.on('lookup', () => { found ??= performance.now(); });
    tcp.on('connect', () => {
      tcp.setTimeout(0);
      const lookup = found === undefined ? null : found - started;
      const dial = performance.now() - (found ?? started);
      this.#say({ connected: { address: tcp.remoteAddress, port: tcp.remotePort, lookup, dial } });
    });
    tcp.on('data', (bytes) => {
      this.#allowance -= bytes.length;
      this.#websocket.send(bytes);
      if (this.#allowance < READ_MOST) tcp.pause();
    });
    tcp.on('end', () => this.#say({ end: true }));
    tcp.on('error', (error) => this.#fail({ code: error.code ?? 'EIO', message: error.message }));
    // Both directions have ended.
    tcp.on('close', (failed) => { if (!failed) this.#websocket.close(1000); });
  }

  #bytes(bytes) {
    this.#credit -= bytes.length;
    // No credit holds messages of 0 bytes, so they could pile up.
    if (this.#tcp === undefined || this.#ended || this.#credit < 0 || bytes.length === 0) {
      this.#violation('bytes came that were not allowed');
      return;
    }
    this.#tcp.write(bytes, (error) => {
      if (error) return;
      this.#credit += bytes.length;
      this.#say({ credit: bytes.length });
    });
  }

  #end() {
    this.#ended = true;
    this.#tcp.end();
  }

  #grant(credit) {
    this.#allowance += credit;
    if (this.#allowance >= READ_MOST) this.#tcp?.resume();
  }

  #say(message) {
    if (this.#websocket.readyState === this.#websocket.OPEN) this.#websocket.send(JSON.stringify(message));
  }

  #fail(failed) {
    this.#say({ failed });
    this.#websocket.close(1000);
  }

  #violation(why) {
    this.#websocket.close(1008, why);
    this.#gone();
  }

  #gone() {
    clearTimeout(this.#patience);
    // A reset, unless all was said: the target shall not take what was cut for an end.
    if (this.#tcp !== undefined && !this.#tcp.destroyed) this.#tcp.resetAndDestroy();
  }
}

function parse(target) {
  const found = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(target);
  const port = Number(found?.[3]);
  if (!found || port < 1 || port > 65535) {
    throw new TypeError(`${JSON.stringify(target)} is no target: it has to be host:port, such as example.com:443 or [::1]:443`);
  }
  return { host: found[1] ?? found[2], port };
}

function key(host, port) {
  const name = host.toLowerCase();
  return name.includes(':') ? `[${name}]:${port}` : `${name}:${port}`;
}

/** How long a page may take to say where it wants to go. */
const ORDER_MS = 5000;

/** How long a target may take to answer. */
const DIAL_MS = 10000;

/** The most that comes from a socket of Node's at once. */
const READ_MOST = 65536;
