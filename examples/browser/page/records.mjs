// TLS records (RFC 8446 section 5.1): where one ends and the next begins.

/**
 * Cuts a stream of bytes where records end, whatever pieces it comes in. The component does all that it can with what it is given, and then
 * tells what it did; given one record at a time, it tells after each, so that there is a time for each message of the handshake.
 */
export class Records {
  /** Of the header of the record that is arriving, and how much of its content is still to come. */
  #header = [];
  #left = 0;

  /** The pieces of `bytes`, none of which goes beyond the end of a record. */
  *cut(bytes) {
    let from = 0;
    for (let at = 0; at < bytes.length;) {
      if (this.#left > 0) {
        const taken = Math.min(this.#left, bytes.length - at);
        this.#left -= taken;
        at += taken;
        if (this.#left > 0) continue;
      } else {
        this.#header.push(bytes[at]);
        at += 1;
        if (this.#header.length < HEADER) continue;
        this.#left = this.#header[3] << 8 | this.#header[4];
        this.#header = [];
        if (this.#left > 0) continue;
      }
      yield bytes.subarray(from, at);
      from = at;
    }
    if (from < bytes.length) yield bytes.subarray(from);
  }
}

/** A record's header: type, version, length. */
const HEADER = 5;
