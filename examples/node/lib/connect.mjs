// Clients (row M4).

import { checkServerIdentity } from './certificates.mjs';
import { failure } from './core/errors.mjs';
import { contextOf } from './secure-context.mjs';
import { TLSSocket, internal, normalized } from './tls-socket.mjs';

/** Connects and speaks TLS as a client: `connect(port[, host][, options][, callback])`, `connect(path[, …])` or `connect(options[, callback])`. */
export function connect(...args) {
  const callback = typeof args.at(-1) === 'function' ? args.pop() : undefined;
  const last = args.at(-1);
  const options = { ...normalized(args), ...(args.length > 1 && last !== null && typeof last === 'object' ? last : {}) };
  // An empty servername asks for none, and where there is no host there is none to ask for: the certificate is checked all the same.
  const name = options.servername || options.host || options.socket?._host;
  const servername = options.servername === '' ? undefined : name;
  // As in Node, `undefined` that was given counts as given.
  if (!('rejectUnauthorized' in options)) options.rejectUnauthorized = !allowsUnauthorized();
  const { checkServerIdentity: check, timeout } = options;
  if (options.onread) throw failure('ERR_FEATURE_UNAVAILABLE_ON_PLATFORM', 'onread is not supported: read by the event data, or by read()');
  if (check !== undefined && typeof check !== 'function') throw failure('ERR_INVALID_ARG_TYPE', 'checkServerIdentity has to be a function');
  const own = check !== undefined && check !== checkServerIdentity;
  const socket = new TLSSocket(options.socket, {
    ...options,
    isServer: false,
    secureContext: options.secureContext ?? contextOf(options),
    servername,
    [internal]: {
      host: name || 'localhost',
      checkServerIdentity: own ? check : undefined,
      peer: { host: options.host, port: options.port, path: options.path, localAddress: options.localAddress },
      secure: (socket) => socket.emit('secureConnect'),
    },
  });
  if (callback) socket.once('secureConnect', callback);
  if (!options.socket) {
    if (timeout) socket.setTimeout(timeout);
    socket.connect(options);
  }
  return socket;
}

/** As in Node, with a warning. */
function allowsUnauthorized() {
  const allows = process.env.NODE_TLS_REJECT_UNAUTHORIZED === '0';
  if (allows && !warned) {
    warned = true;
    process.emitWarning('NODE_TLS_REJECT_UNAUTHORIZED is 0: certificates of servers are not verified, and anybody can read along.');
  }
  return allows;
}

let warned = false;
