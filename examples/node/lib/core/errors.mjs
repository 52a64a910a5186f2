// The component's errors as JavaScript's, with the properties that Node's have.

/**
 * What a call of the component threw, as an `Error` with `code` (Node's name), and where there is one `reason`, `library` (OpenSSL's words)
 * and `alert` (`{direction, description, name}`). Where several things are wrong, `errors` has them all.
 */
export function fromThrown(thrown) {
  const payload = thrown?.payload;
  if (payload === undefined) return thrown;
  return Array.isArray(payload) ? fromList(payload) : fromGuest(payload);
}

/** One error of the component's: its record `error`. */
export function fromGuest({ code, message, alert, reason }) {
  const name = codeName(code);
  // Programs look for OpenSSL's words in the message as well, which Node has there.
  const whole = reason === undefined || message.includes(reason) ? message : `${message} (${reason})`;
  const error = new (KINDS[name] ?? Error)(whole);
  error.code = name;
  if (reason !== undefined) error.reason = reason;
  if (/^ERR_SSL_/.test(name)) error.library = 'SSL routines';
  else if (/^ERR_OSSL_/.test(name)) error.library = 'OpenSSL';
  if (alert !== undefined) error.alert = alert;
  return error;
}

/** Node's spelling of a code: `err-ssl-no-shared-cipher` is `ERR_SSL_NO_SHARED_CIPHER`. */
export function codeName(code) {
  return NAMES[code] ?? code.toUpperCase().replaceAll('-', '_');
}

/** An error of our own, in the manner of Node's. */
export function failure(code, message, more) {
  const error = Object.assign(new (KINDS[code] ?? Error)(message), { code }, more);
  OWN.add(error);
  return error;
}

/** Whether `failure` made it: then it is about what the caller gave, and the component was not at work. */
export function isOwn(error) {
  return OWN.has(error);
}

function fromList(payload) {
  const errors = payload.map(fromGuest);
  if (errors.length > 1) {
    const [first] = errors;
    first.errors = errors.slice();
    first.message = errors.map((error) => error.message).join('\n');
  }
  return errors[0];
}

const OWN = new WeakSet();

const KINDS = {
  ERR_INVALID_ARG_TYPE: TypeError, ERR_INVALID_ARG_VALUE: TypeError, ERR_OUT_OF_RANGE: RangeError,
  ERR_TLS_ALPN_CALLBACK_INVALID_RESULT: TypeError,
  ERR_TLS_ALPN_CALLBACK_WITH_PROTOCOLS: TypeError, ERR_TLS_INVALID_CONTEXT: TypeError, ERR_TLS_INVALID_PROTOCOL_METHOD: TypeError, ERR_TLS_INVALID_PROTOCOL_VERSION: TypeError,
  ERR_TLS_PROTOCOL_VERSION_CONFLICT: TypeError,
};

/** Those that have another name in Node. */
const NAMES = { 'abort-err': 'ABORT_ERR' };
