// What the component imports: clocks and randomness. Its interfaces `socket` and `server.accept` would want streams of the host as well;
// JavaScript has its own, so it uses `secure-pair`, which has no input and output at all.

/** The imports of the component, by the names that jco gives them. */
export const imports = {
  'wasi:clocks/monotonic-clock': {
    now: () => BigInt(Math.round(performance.now() * 1e6)),
    subscribeDuration: noStreams,
    subscribeInstant: noStreams,
  },
  'wasi:clocks/wall-clock': {
    now() {
      const milliseconds = Date.now();
      return { seconds: BigInt(Math.floor(milliseconds / 1000)), nanoseconds: (milliseconds % 1000) * 1e6 };
    },
  },
  'wasi:random/random': { getRandomBytes: (length) => randomBytes(Number(length)), getRandomU64: randomU64 },
  'wasi:random/insecure-seed': { insecureSeed: () => [randomU64(), randomU64()] },
  'wasi:io/error': { Error: class {} },
  'wasi:io/poll': { Pollable: class {}, poll: noStreams },
  'wasi:io/streams': { InputStream: class {}, OutputStream: class {} },
};

function noStreams() {
  throw new Error('a JavaScript host has no WASI streams: use secure-pair');
}

/** Random bytes, drawn many at a time since each call of the engine's is dear. What was given away does not stay behind. */
function randomBytes(length) {
  const bytes = new Uint8Array(length);
  if (length > POOL) {
    for (let at = 0; at < length; at += MOST) crypto.getRandomValues(bytes.subarray(at, at + MOST));
    return bytes;
  }
  if (pool === undefined || left < length) {
    pool ??= new Uint8Array(POOL);
    crypto.getRandomValues(pool);
    left = POOL;
  }
  const drawn = pool.subarray(left - length, left);
  bytes.set(drawn);
  drawn.fill(0);
  left -= length;
  return bytes;
}

function randomU64() {
  return new DataView(randomBytes(8).buffer).getBigUint64(0);
}

/** Not filled before it is needed: workerd has no randomness while it loads a script. */
let pool;
let left = 0;

const POOL = 1024;

/** The most that `getRandomValues` gives at once. */
const MOST = 65536;
