// TLS over WHATWG streams, which browsers, Workers, Deno, Bun and Node have alike.

import { bytes } from './bytes.mjs';
import { Connection, describe, pairOptions } from './connection.mjs';
import { failure } from './errors.mjs';

/**
 * TLS over a pair of WHATWG byte streams, `transport.readable` and `transport.writable`, which it locks and closes.
 *
 * `options` are those of `pairOptions`, and
 *
 * * `server`: a `server` of the component, whose `acceptPair` makes the connection; `context` and the other options are not used then;
 * * `onevent(event, connection)`: hears each event of the component, `{tag, val}`. A question is answered, now or later, by
 *   `connection.answer((pair) => pair.answerSni(…))` and its like. What it throws ends the connection.
 *
 * Throws what is wrong with the options. Gives
 *
 * * `readable`: what the peer says. It ends by the peer's `close_notify`; after all that came, it errors where the transport ends without
 *   one. Cancelled, it throws away what still comes;
 * * `writable`: what the peer is to hear, as bytes or text in UTF-8. Closing it sends `close_notify`, and aborting it ends the connection
 *   without. It takes as much as the component and the transport do;
 * * `opened`: a promise of what was agreed on (see `describe`) with `peerCertificates`, when the handshake is done. It rejects with what
 *   went wrong before that;
 * * `closed`: a promise of the end: both sides have ended, or one has and the other was cancelled, and the transport was closed. It
 *   rejects with what ended the connection instead;
 * * `connection`: the `Connection`. Its properties can be asked until `closed`.
 *
 * No promise of these needs to be looked at.
 */
export function secure(guest, context, transport, { server, onevent, ...options } = {}) {
  const reader = readerOf(transport.readable);
  try {
    const writer = transport.writable.getWriter();
    try {
      const pair = server === undefined ? create(guest, context, options) : guest.call(() => server.acceptPair());
      const { connection, readable, writable, opened, closed } = new Streams(guest, pair, reader, writer, onevent);
      return { readable, writable, opened: opened.promise, closed: closed.promise, connection };
    } catch (error) {
      writer.releaseLock();
      throw error;
    }
  } catch (error) {
    reader.releaseLock();
    throw error;
  }
}

function create(guest, context, options) {
  const made = pairOptions(guest, options);
  return guest.call(({ securePair: { SecurePair } }) => SecurePair.create(context, made));
}

/** A reader that fills a large buffer where the stream can do that: workerd reads 4 KiB at once otherwise, at half of the speed. */
function readerOf(readable) {
  try {
    return readable.getReader({ mode: 'byob' });
  } catch {
    return readable.getReader();
  }
}

function isFilling(reader) {
  return typeof ReadableStreamBYOBReader === 'function' && reader instanceof ReadableStreamBYOBReader;
}

/** The streams of one connection. Each side ends by itself: `#overIn` and `#overOut` have `{error}` then. */
class Streams {
  connection;
  readable;
  writable;
  opened = later();
  closed = later();

  #reader;
  #writer;
  #onevent;

  /** Whether the reader fills a buffer that it is given. */
  #fills;

  /** The controllers of the two streams of cleartext. */
  #in;
  #out;

  #overIn;
  #overOut;
  #failed = false;
  #abandoned = false;
  #cancelled = false;
  #finished = false;

  /** Cleartext that nobody has read yet; one piece, or a few where the connection has failed. */
  #queue = [];

  /** Goes on with `pull`, `write` and `close` of the two streams, and with `#bring`. */
  #pulled;
  #writing;
  #closing;
  #wake;

  /** Bytes that were given to the transport and that it has not taken. */
  #waiting = 0;
  #blocked = false;
  #sent = Promise.resolve();

  /** What the transport failed of. */
  #cause;
  /** What a listener threw. */
  #thrown;
  #brought = Promise.resolve();
  #timer;

  constructor(guest, pair, reader, writer, onevent) {
    this.#reader = reader;
    this.#fills = isFilling(reader);
    this.#writer = writer;
    this.#onevent = onevent;
    // What fails is heard of by read and write.
    reader.closed.catch(ignore);
    writer.closed.catch(ignore);
    this.connection = new Connection(guest, pair, this.#wire());
    this.readable = new ReadableStream(
      {
        start: (controller) => void (this.#in = controller),
        pull: () => this.#pull(),
        cancel: () => this.#cancel(),
      },
      // The component holds enough: nothing is taken out of it before somebody reads.
      { highWaterMark: 0 },
    );
    this.writable = new WritableStream({
      start: (controller) => {
        this.#out = controller;
        // A write that waits for the peer would hold back `abort`.
        controller.signal?.addEventListener('abort', () => this.#abandon(controller.signal.reason));
      },
      write: (chunk) => this.#write(chunk),
      close: () => this.#close(),
      abort: (reason) => this.#abandon(reason),
    });
    // Not before the caller has the connection.
    queueMicrotask(() => this.#start());
  }

  #start() {
    this.connection.move();
    this.#brought = this.#bring();
    this.#watch();
  }

  #wire() {
    return {
      transmit: (bytes) => this.#transmit(bytes),
      event: (event) => this.#event(event),
      data: (bytes) => this.#data(bytes),
      end: () => {
        this.#wakeUp();
        this.#endIn();
      },
      fail: (error) => this.#fail(error),
      ended: () => void this.#sent.then(() => this.#endOut(), ignore),
    };
  }

  /** Brings what the transport has, as fast as it is taken. */
  async #bring() {
    try {
      for (;;) {
        while (this.connection.full && !this.#finished && !this.#failed) await new Promise((go) => (this.#wake = go));
        const { done, value } = await this.#reader.read(this.#fills ? new Uint8Array(ROOM) : undefined);
        if (done) break;
        // After a failure it is only taken off the wire: see `#finish`.
        if (!this.#failed) this.connection.receive(bytes(value, 'what the transport brings'));
      }
    } catch (cause) {
      this.#cause ??= cause;
    }
    this.connection.receiveEnd();
  }

  #wakeUp() {
    this.#wake?.();
    this.#wake = undefined;
  }

  #transmit(bytes) {
    this.#wakeUp();
    // The transport may take the buffer itself, and then it has no length any more.
    const { length } = bytes;
    this.#waiting += length;
    this.#sent = this.#writer.write(bytes);
    this.#sent.then(
      () => {
        this.#waiting -= length;
        if (!this.#blocked || this.#waiting >= WAITING) return;
        this.#blocked = false;
        this.connection.drained();
      },
      (cause) => {
        this.#cause ??= cause;
        // The peer may have said why, so reading goes on.
        this.#endOut(reset(cause));
      },
    );
    this.#blocked = this.#waiting >= WAITING;
    return !this.#blocked;
  }

  #event(event) {
    this.#wakeUp();
    if (event.tag === 'secure') {
      clearTimeout(this.#timer);
      this.opened.resolve(this.connection.ask((pair) => ({ ...describe(pair), peerCertificates: pair.peerCertificates() })));
    }
    try {
      this.#onevent?.(event, this.connection);
    } catch (thrown) {
      this.#giveUp(thrown);
    }
  }

  /** Ends the connection by what a listener threw: whoever reads or writes gets that. */
  #giveUp(thrown) {
    this.#thrown ??= { error: thrown };
    try {
      this.connection.abort(`${thrown?.message ?? thrown}`);
    } catch (error) {
      this.#fail(error);
    }
  }

  #data(bytes) {
    this.#wakeUp();
    if (this.#cancelled) return true;
    this.#queue.push(bytes);
    this.#deliver();
    return this.#queue.length === 0;
  }

  #pull() {
    return new Promise((resolve) => {
      this.#pulled = resolve;
      this.#deliver();
      if (this.#queue.length === 0 && this.#overIn === undefined) this.connection.read();
    });
  }

  /** Gives a reader what there is: a piece, or when there is none any more the end. */
  #deliver() {
    if (this.#cancelled) return;
    if (this.#pulled !== undefined && this.#queue.length > 0) {
      this.#in.enqueue(this.#queue.shift());
      this.#pulled();
      this.#pulled = undefined;
    }
    if (this.#queue.length > 0 || this.#overIn === undefined || this.#in === undefined) return;
    if (this.#overIn.error === undefined) this.#in.close();
    else this.#in.error(this.#overIn.error);
    this.#in = undefined;
    this.#pulled?.();
  }

  #cancel() {
    this.#cancelled = true;
    this.#queue = [];
    this.connection.read();
    this.#finishIfOver();
  }

  #write(chunk) {
    let data;
    try {
      data = bytes(chunk, 'what is written');
    } catch (error) {
      this.#abandon(error);
      throw error;
    }
    return new Promise((resolve, reject) => {
      this.#writing = { reject };
      this.connection.write(data, resolve);
    });
  }

  #close() {
    return new Promise((resolve, reject) => {
      this.#closing = { resolve, reject };
      this.connection.end();
    });
  }

  /** Gives the connection up: the peer is not told that this was all. */
  #abandon(reason) {
    if (this.#failed || this.#finished) return;
    this.#abandoned = true;
    this.#cause = reason;
    try {
      this.connection.abort(`${reason?.message ?? reason}`);
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error) {
    if (this.#failed) return;
    this.#failed = true;
    if (this.#thrown !== undefined) error = this.#thrown.error;
    if (this.#cause !== undefined && error instanceof Error) {
      if (error.code === 'ERR_SSL_UNEXPECTED_EOF_WHILE_READING') error = reset(this.#cause);
      else error.cause ??= this.#cause;
    }
    this.#wakeUp();
    this.opened.reject(error);
    this.#endOut(error);
    this.#endIn(error);
  }

  #endIn(error) {
    if (this.#overIn !== undefined) return;
    this.#overIn = { error };
    this.#deliver();
    this.#finishIfOver();
  }

  #endOut(error) {
    if (this.#overOut !== undefined) return;
    this.#overOut = { error };
    if (error === undefined) {
      this.#closing?.resolve();
    } else {
      // `abort` errors the stream itself, by the caller's own reason.
      if (!this.#abandoned) this.#out.error(error);
      this.#writing?.reject(error);
      this.#closing?.reject(error);
    }
    this.#finishIfOver();
  }

  #finishIfOver() {
    const over = this.#overOut !== undefined && (this.#overIn !== undefined || this.#cancelled);
    if (!over || this.#finished) return;
    this.#finished = true;
    this.#finish().catch(ignore);
  }

  async #finish() {
    clearTimeout(this.#timer);
    const error = this.#overIn?.error ?? this.#overOut.error;
    this.opened.reject(error ?? failure('ECONNRESET', 'the connection was closed before the handshake was done'));
    this.#wakeUp();
    const closing = this.#abandoned ? this.#writer.abort(error) : this.#writer.close();
    closing.catch(ignore);
    if (this.#failed && !this.#abandoned) {
      // A transport that is closed while it still has something for us may throw away the alert that is on its way to the peer.
      await atMost(LINGER, Promise.all([closing.catch(ignore), this.#brought]));
      this.#writer.abort(error).catch(ignore);
    } else {
      await atMost(LINGER, closing.catch(ignore));
    }
    this.#reader.cancel(error).catch(ignore);
    this.connection.drop();
    if (error === undefined) this.closed.resolve();
    else this.closed.reject(error);
  }

  /** Ends a handshake that takes too long: the component has a clock, and nobody to wake it. */
  #watch() {
    if (this.#finished || this.#failed) return;
    let deadline;
    try {
      deadline = this.connection.ask((pair) => pair.handshakeDeadline());
    } catch {
      // The next move says so too.
    }
    if (deadline === undefined) return;
    const milliseconds = Math.ceil(Number(deadline) / 1e6 - performance.now());
    this.#timer = setTimeout(() => {
      this.connection.move();
      this.#watch();
    }, Math.min(Math.max(milliseconds, 1), MOST_MILLISECONDS));
  }
}

function reset(cause) {
  return failure('ECONNRESET', `the transport failed: ${cause?.message ?? cause}`, { cause });
}

/** A promise to be settled, whose rejection may be left alone. */
function later() {
  let settle;
  const promise = new Promise((resolve, reject) => (settle = { resolve, reject }));
  promise.catch(ignore);
  return { promise, ...settle };
}

async function atMost(milliseconds, promise) {
  let timer;
  await Promise.race([promise, new Promise((resolve) => (timer = setTimeout(resolve, milliseconds)))]);
  clearTimeout(timer);
}

function ignore() {}

/** How many bytes are brought at once. */
const ROOM = 65536;

/** How many bytes may wait in front of the transport. */
const WAITING = 131072;

/** How long a connection that failed waits for the peer to take the alert, in milliseconds. */
const LINGER = 1000;

/** The most that `setTimeout` takes. */
const MOST_MILLISECONDS = 2 ** 31 - 1;
