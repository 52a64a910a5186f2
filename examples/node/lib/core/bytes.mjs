// Bytes and text.

import { failure } from './errors.mjs';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Text in UTF-8, a buffer or a view of one, as bytes; views are not copied. */
export function bytes(value, name) {
  if (typeof value === 'string') return encoder.encode(value);
  if (value instanceof Uint8Array) return value;
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  throw failure('ERR_INVALID_ARG_TYPE', `${name} has to be a string, a buffer or a view of one, not ${value === null ? 'null' : typeof value}`);
}

/** Bytes as text in UTF-8. */
export function text(bytes) {
  return decoder.decode(bytes);
}

/** A value as a list: nothing is an empty one, and one is a list of one. */
export function list(value) {
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? value : [value];
}
