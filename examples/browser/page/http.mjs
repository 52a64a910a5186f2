// As much of HTTP as the page needs to have something to say.
//
// It is HTTP/1.0 (RFC 1945): one request, one answer, and the answer ends where the connection does. So there are no chunks to take apart,
// and it is TLS's `close_notify` that tells a whole answer from one that was cut.

/** What can be asked for, by its name in the page's form: `{path, mebibytes}` → method, path and how many bytes are sent with it. */
export const REQUESTS = {
  get: ({ path }) => ({ method: 'GET', path, bytes: 0 }),
  download: ({ mebibytes }) => ({ method: 'GET', path: `/download/${mebibytes}`, bytes: 0 }),
  upload: ({ mebibytes }) => ({ method: 'POST', path: '/upload', bytes: mebibytes * MIB }),
  echo: ({ mebibytes }) => ({ method: 'POST', path: '/echo', bytes: mebibytes * MIB }),
};

/** The head of a request, as bytes. Throws a `TypeError` where the path or the host would say more than they should. */
export function head({ method, path, bytes }, host) {
  if (!/^\/[!-~]*$/.test(path)) {
    throw new TypeError(`the path ${JSON.stringify(path)} has to begin with / and have neither spaces nor letters beyond ASCII`);
  }
  if (!/^[!-~]+$/.test(host)) throw new TypeError(`the host ${JSON.stringify(host)} has to be a name in ASCII`);
  const lines = [`${method} ${path} HTTP/1.0`, `Host: ${host}`, 'User-Agent: guest-tls', 'Accept: */*'];
  if (method === 'POST') lines.push('Content-Type: application/octet-stream', `Content-Length: ${bytes}`);
  return new TextEncoder().encode(`${lines.join('\r\n')}\r\n\r\n`);
}

/** So many bytes in pieces. They are random, once: nothing on the way should be able to make them smaller. */
export function* body(bytes) {
  const piece = crypto.getRandomValues(new Uint8Array(65536));
  for (let left = bytes; left > 0; left -= piece.length) yield piece.subarray(0, Math.min(left, piece.length));
}

/** Keeps the head of an answer and the beginning of its body, and counts the rest. */
export class Answer {
  #head = new Uint8Array();
  #isHead = true;
  #preview = new Uint8Array();

  /** How many bytes of body came. */
  bytes = 0;

  /** Takes what came. */
  take(bytes) {
    if (this.#isHead) {
      this.#head = joined(this.#head, bytes);
      const end = endOfHead(this.#head);
      if (end < 0 && this.#head.length <= HEAD_MOST) return;
      bytes = end < 0 ? this.#head : this.#head.subarray(end);
      this.#head = end < 0 ? new Uint8Array() : this.#head.subarray(0, end);
      this.#isHead = false;
    }
    this.bytes += bytes.length;
    if (this.#preview.length < PREVIEW) this.#preview = joined(this.#preview, bytes.subarray(0, PREVIEW - this.#preview.length));
  }

  /** The head as text, and the beginning of the body where it is text. */
  shown() {
    const head = new TextDecoder().decode(this.#head).trimEnd();
    const isText = /^content-type:\s*(?:text\/|application\/json)/im.test(head);
    return { head, preview: isText ? new TextDecoder().decode(this.#preview) : null, bytes: this.bytes };
  }
}

function endOfHead(bytes) {
  for (let at = 3; at < bytes.length; at += 1) {
    if (bytes[at] === LF && bytes[at - 1] === CR && bytes[at - 2] === LF && bytes[at - 3] === CR) return at + 1;
  }
  return -1;
}

function joined(first, second) {
  const all = new Uint8Array(first.length + second.length);
  all.set(first);
  all.set(second, first.length);
  return all;
}

const MIB = 1024 * 1024;

const CR = 13;
const LF = 10;

/** A head that is longer is none. */
const HEAD_MOST = 65536;

/** How much of a body is shown. */
const PREVIEW = 4096;
