// TLS in a worker of its own. Private keys, the parsing of hostile bytes and all encryption are out of the page's thread, which stays free
// to draw while megabytes pass; and only a worker may instantiate a module of this size at once, as jco's JavaScript does.
//
// The page says `{connect: {settings, request}}` or `{stop: true}`; what it is told is in the calls of `say` below. `at` is always in
// milliseconds since the order came.

import { Client } from './client.mjs';
import { Answer, body, head, REQUESTS } from './http.mjs';
import { UNTRUSTED } from './words.mjs';

const started = performance.now();
const client = Client.load();
client.then(() => say({ ready: performance.now() - started }), (error) => say({ broken: plain(error) }));

/** Sessions that can be resumed, by whom they are with. The component takes them only for what they were made for. */
const sessions = new Map();

let stop = () => {};

onmessage = ({ data }) => {
  if (data.stop) stop();
  else run(data.connect.settings, data.connect.request);
};

/** One connection, from the dialling to its end. */
async function run(settings, request) {
  const start = performance.now();
  const at = () => performance.now() - start;
  const abort = new AbortController();
  stop = () => abort.abort(Object.assign(new Error('you stopped the connection'), { code: 'ABORT_ERR' }));
  const meter = new Meter(at);
  try {
    // What is wrong with the request is said before there is a connection.
    const wanted = request.kind === 'handshake' ? null : REQUESTS[request.kind](request);
    const opening = wanted && head(wanted, authority(settings));
    const tls = await dialled(settings, at, abort.signal);
    const { connection } = tls;
    const info = await tls.opened;
    const exporter = connection.ask((pair) => pair.exportKeyingMaterial(32, new TextEncoder().encode(EXPORTER_LABEL), undefined));
    say({ secure: { at: at(), ...agreed(info), exporter: hex(exporter), exporterLabel: EXPORTER_LABEL } });
    say({ chain: chain(connection, info.peerCertificates.length) });
    const answer = wanted && info.alpnProtocol !== 'h2' ? await exchange(tls, wanted, opening, meter, at) : await leave(tls, wanted, at);
    const wire = { received: connection.bytesRead, sent: connection.bytesWritten };
    await tls.closed;
    say({ done: { at: at(), wire, answer } });
  } catch (thrown) {
    // To the component, a connection that the user stops looks like one that was cut.
    const error = abort.signal.aborted ? abort.signal.reason : thrown;
    say({ failed: { at: at(), error: plain(error) } });
    if (UNTRUSTED.has(error.code)) await look(settings, at);
  } finally {
    meter.stop();
    say({ over: true });
  }
}

async function dialled(settings, at, signal) {
  const { host, port, servername, alpn, resume, ca, cert, key, passphrase, minVersion, maxVersion } = settings;
  const peer = `${servername} ${host}:${port}`;
  return (await client).connect({
    host, port, signal,
    context: {
      ca: ca || undefined, cert: cert || undefined, key: key || undefined, passphrase: passphrase || undefined, minVersion, maxVersion,
    },
    options: {
      servername, ALPNProtocols: alpn.length > 0 ? alpn : undefined, trace: true, sessionEvent: true,
      session: resume ? sessions.get(peer) : undefined,
    },
    onstep(name, reached) {
      const now = at();
      const times = reached && { ...reached.times, opened: now - (performance.now() - reached.times.opened) };
      say({ step: { name, at: now, times, address: reached?.address } });
    },
    onevent({ tag, val }) {
      if (tag === 'trace') say({ message: { at: at(), line: val } });
      else if (tag === 'session') sessions.set(peer, val);
    },
  });
}

/** Sends the request and reads the answer, both at once. */
async function exchange({ readable, writable }, wanted, opening, meter, at) {
  const answer = new Answer();
  const sending = (async () => {
    const writer = writable.getWriter();
    await writer.write(opening);
    say({ step: { name: 'asked', at: at() } });
    for (const piece of body(wanted.bytes)) {
      await writer.write(piece);
      meter.add('sent', piece.length);
    }
    // Our end is sent after the peer's: a server may take `close_notify` for a client that has gone, and then not answer.
    return writer;
  })();
  // The reading has the better error.
  sending.catch(() => {});
  const reader = readable.getReader();
  for (let first = true; ; first = false) {
    const { done, value } = await reader.read();
    if (done) break;
    if (first) say({ step: { name: 'first', at: at() } });
    meter.add('received', value.length);
    answer.take(value);
  }
  say({ step: { name: 'last', at: at() } });
  await (await sending).close();
  meter.stop();
  return answer.shown();
}

/** Ends a connection on which there is nothing to say. */
async function leave({ readable, writable }, wanted, at) {
  if (wanted) say({ note: { at: at(), text: 'The server chose HTTP/2, and this page speaks HTTP/1 only: no request is sent.' } });
  // Tickets come after the handshake, so wait a moment before leaving.
  await new Promise((resolve) => setTimeout(resolve, TICKETS_MS));
  await Promise.all([writable.close(), readable.cancel()]);
  return null;
}

/**
 * Fetches the certificates of a server that was not trusted, in order to show them. The connection that failed is over; this one shows no
 * certificate of ours, says nothing, and ends.
 */
async function look(settings, at) {
  try {
    const { host, port, servername, alpn, ca, minVersion, maxVersion } = settings;
    const tls = await (await client).connect({
      host, port, signal: AbortSignal.timeout(LOOK_MS), context: { ca: ca || undefined, minVersion, maxVersion },
      options: { servername, ALPNProtocols: alpn.length > 0 ? alpn : undefined, rejectUnauthorized: false },
    });
    const info = await tls.opened;
    const error = info.authorizationError && plain(info.authorizationError);
    say({ chain: { ...chain(tls.connection, info.peerCertificates.length), error } });
    await Promise.all([tls.writable.close(), tls.readable.cancel()]);
    const text = 'A second connection, without a certificate of yours and without a request, fetched the chain to show it.';
    say({ note: { at: at(), text } });
  } catch (error) {
    say({ note: { at: at(), text: `A second connection, to fetch the chain, failed: ${error.message}` } });
  }
}

/** The certificates up to the trust anchor, or as far as the chain goes, and how many of them the server sent. */
function chain(connection, sent) {
  return { certificates: connection.ask((pair) => pair.peerCertificateChain()), sent };
}

function agreed({ protocol, cipher, group, alpnProtocol, servername, isSessionReused }) {
  return { protocol, cipher, group, alpnProtocol, servername, isSessionReused };
}

/** An error as data: what `postMessage` makes of one has lost its code. */
function plain({ code, message, reason, alert }) {
  return { code: code ?? 'ERR_UNKNOWN', message, reason, alert };
}

function authority({ servername, port }) {
  const name = servername.includes(':') ? `[${servername}]` : servername;
  return port === 443 ? name : `${name}:${port}`;
}

function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Counts bytes by time, and tells the page several times a second. */
class Meter {
  #at;
  #slots = new Map();
  #timer;

  constructor(at) {
    this.#at = at;
    this.#timer = setInterval(() => this.#tell(), TELL_MS);
  }

  add(direction, bytes) {
    const slot = Math.floor(this.#at() / SLOT_MS);
    const counts = this.#slots.get(slot) ?? { sent: 0, received: 0 };
    counts[direction] += bytes;
    this.#slots.set(slot, counts);
  }

  stop() {
    clearInterval(this.#timer);
    this.#tell();
  }

  #tell() {
    if (this.#slots.size === 0) return;
    say({ traffic: Array.from(this.#slots, ([slot, counts]) => ({ at: slot * SLOT_MS, ...counts })) });
    this.#slots.clear();
  }
}

function say(message) {
  postMessage(message);
}

const EXPORTER_LABEL = 'EXPORTER-guest-tls-page';

/** How finely bytes are counted, and how often the page is told, in milliseconds. */
const SLOT_MS = 5;
const TELL_MS = 100;

/** How long a connection without a request waits for tickets. */
const TICKETS_MS = 200;

/** How long the second connection may take. */
const LOOK_MS = 10000;
