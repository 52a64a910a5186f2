// A connection as a stream (rows K1 to K20).

import { X509Certificate } from 'node:crypto';
import net from 'node:net';
import { addAbortSignal } from 'node:stream';
import { domainToASCII } from 'node:url';

import { buffer, checkStrictly, identityError, legacyObject, nested } from './certificates.mjs';
import { CUT, Connection, alpnList, describe, pairOptions } from './core/connection.mjs';
import { failure, fromGuest } from './core/errors.mjs';
import { bytes } from './core/bytes.mjs';
import { guest } from './guest.mjs';
import { question } from './questions.mjs';
import { contextOf, ours } from './secure-context.mjs';
import { count, statistics } from './statistics.mjs';

/** For `Server` and `connect`: what they give a socket beyond Node's options. */
export const internal = Symbol('guest-tls');

/**
 * TLS over `socket`, a `net.Socket` or any duplex stream, which it owns from then on (row M5): its listeners for bytes are taken off. By
 * Node's options; the handshake begins in the next turn of the event loop, or when the socket is connected.
 *
 * As in Node, a client that is not made by `connect` checks the server's name only where the option `servername` says which; and the option
 * `server` is asked by `newSession`, `resumeSession` and `OCSPRequest`, and hears nothing else of a connection that it has not accepted.
 */
class Socket extends net.Socket {
  /** Says what is wrong with the server's name after the handshake, where the component does not check it: see `#names`. */
  #check;
  #connection;
  #context;
  /** The instance of the component that the connection lives in. */
  #instance;
  #handshakeTimer;
  /** The name that the server's certificate has to be for. What is asked for may still change: not this. */
  #host;
  #idleTimer;
  #info;
  #options;
  #own;
  #reported = false;
  #secure = false;
  #server;
  /** Of a server's end: who is asked about sessions and OCSP, where it listens. */
  #asked;
  /** The last one that the server gave. Caches may hold it weakly, as undici's does: it lives as long as the connection. */
  #session;
  #failing = false;
  #hanging = false;
  #finished;
  #lost = false;
  /** `{error}`: what the application ended it by, in place of the component's error for having been told to stop. */
  #reason;
  #soon = false;
  /** What to end with when all that came was read. */
  #truncated;
  #transport;
  /** The callback of a write that is under way. */
  #unanswered;
  #writing;

  constructor(socket, options = {}) {
    const own = options[internal] ?? {};
    if (socket && !['on', 'resume', 'pause', 'write'].every((name) => typeof socket[name] === 'function')) {
      throw failure('ERR_INVALID_ARG_TYPE', `socket has to be a duplex stream, and this ${typeof socket} is none`);
    }
    const allowHalfOpen = Boolean(options.allowHalfOpen ?? (own.server ? false : socket?.allowHalfOpen));
    super({ allowHalfOpen, highWaterMark: options.highWaterMark });
    const server = own.server ?? options.server;
    if (server) this.server = server;
    if (options.isServer && server) {
      if (typeof server.listenerCount !== 'function') throw failure('ERR_INVALID_ARG_TYPE', `server has to be a net.Server, not ${typeof server}`);
      this.#asked = server;
    }
    // Whoever accepts connections must not be ended by a peer. Node's own does this for all but those of `connect`, for a server's until the
    // handshake is done.
    if (!own.peer) this.on('error', () => {});
    checkOptions(options, own.server || !options.isServer ? [] : ['SNICallback', 'ALPNCallback']);
    this.#own = own;
    this.#options = { ...options };
    this.#host = own.host || options.servername;
    this.#server = Boolean(options.isServer);
    this.#context = ours(options.secureContext || contextOf(options), 'secureContext');
    this.authorized = false;
    this.authorizationError = null;
    /** Whether the peer has ended its side by `close_notify` (RFC 8446 section 6.1): after `end`, false says that the transport was cut. */
    this.receivedCloseNotify = false;
    this.alpnProtocol = null;
    this.npnProtocol = null;
    this.servername = null;
    this.secureConnecting = true;
    this._tlsOptions = this.#options;
    if (socket) this.#take(socket);
    if (options.signal) addAbortSignal(options.signal, this);
  }

  /** Always true (row K3). */
  get encrypted() {
    return true;
  }

  // The transport. ---------------------------------------------------------------------------------------------------------------------

  /** Connects over TCP (or a path) and then speaks TLS: what `connect` of the module does. */
  connect(...args) {
    const { timeout: _, signal: __, onread: ___, ...options } = normalized(args);
    const callback = args.at(-1);
    if (typeof callback === 'function') this.once('connect', callback);
    // By a signal that was aborted before.
    if (this.destroyed) return this;
    this.connecting = true;
    this.#take(net.connect({ ...options, allowHalfOpen: true }));
    return this;
  }

  get pending() {
    return this.destroyed || this.#transport === undefined || Boolean(this.#transport.connecting);
  }

  address() {
    return this.#transport?.address?.() ?? {};
  }

  // Of the transport, as they are (row K16).

  get localAddress() {
    return this.#transport?.localAddress;
  }

  get localPort() {
    return this.#transport?.localPort;
  }

  get localFamily() {
    return this.#transport?.localFamily;
  }

  get remoteAddress() {
    return this.#transport?.remoteAddress;
  }

  get remotePort() {
    return this.#transport?.remotePort;
  }

  get remoteFamily() {
    return this.#transport?.remoteFamily;
  }

  setNoDelay(on) {
    this.#transport?.setNoDelay?.(on);
    return this;
  }

  setKeepAlive(on, delay) {
    this.#transport?.setKeepAlive?.(on, delay);
    return this;
  }

  ref() {
    this.#transport?.ref?.();
    return this;
  }

  unref() {
    this.#transport?.unref?.();
    return this;
  }

  /** Of the transport, so with what TLS adds (row K17). */
  get bytesRead() {
    return this.#connection?.bytesRead ?? 0;
  }

  /** Bun's net.Socket has a count of its own. */
  set bytesRead(_) {}

  get bytesWritten() {
    return this.#connection?.bytesWritten ?? 0;
  }

  /** How much is written and was not taken yet: the older name of `writableLength`. */
  get bufferSize() {
    return this.#transport === undefined || this.destroyed ? undefined : this.writableLength;
  }

  setTimeout(milliseconds, callback) {
    if (typeof milliseconds !== 'number') {
      throw failure('ERR_INVALID_ARG_TYPE', `the time has to be a number of milliseconds, not ${String(milliseconds)}`);
    }
    if (!(milliseconds >= 0 && milliseconds < Infinity)) {
      throw failure('ERR_OUT_OF_RANGE', `the time has to be a finite number of milliseconds, not less than 0, and is ${milliseconds}`);
    }
    if (callback !== undefined && typeof callback !== 'function') throw failure('ERR_INVALID_ARG_TYPE', 'the callback has to be a function');
    clearTimeout(this.#idleTimer);
    this.timeout = milliseconds;
    this.#idleTimer = undefined;
    if (milliseconds > 0 && !this.destroyed) {
      this.#idleTimer = setTimeout(() => this.emit('timeout'), Math.min(milliseconds, LONGEST_TIMER));
      this.#idleTimer.unref?.();
      if (callback) this.once('timeout', callback);
    } else if (callback) {
      this.removeListener('timeout', callback);
    }
    return this;
  }

  _unrefTimer() {
    this.#idleTimer?.refresh?.();
  }

  // The stream. ------------------------------------------------------------------------------------------------------------------------

  _read() {
    this.#connection?.read();
  }

  read(size) {
    const chunk = super.read(size);
    if (this.#truncated && this.readableLength === 0) process.nextTick(() => this.#giveUp(this.#truncated));
    return chunk;
  }

  _write(chunk, encoding, callback) {
    const piece = typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk;
    const taken = () => {
      this.#unanswered = undefined;
      callback(this.#lost ? lost() : null);
    };
    if (this.#truncated) {
      callback(this.#truncated);
      return;
    }
    this.#unanswered = callback;
    if (this.#connection === undefined) this.#writing = { piece, taken };
    else this.#connection.write(piece, taken);
  }

  _writev(chunks, callback) {
    const pieces = chunks.map(({ chunk, encoding }) => (typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk));
    this._write(Buffer.concat(pieces), undefined, callback);
  }

  /** Our end (row K19): done when `close_notify` was given to the transport. */
  _final(callback) {
    this.#finished = callback;
    if (this.#truncated) callback();
    else this.#connection?.end();
  }

  _destroy(error, callback) {
    clearTimeout(this.#handshakeTimer);
    clearTimeout(this.#idleTimer);
    this.connecting = false;
    this.secureConnecting = false;
    // What was written is whole. With an error, or where something is still to be written, the peer had better see a cut.
    if (!error && this.#unanswered === undefined && this.writableLength === 0) this.#connection?.close();
    this.#connection?.drop();
    this.#unanswered?.(error ?? (this.#secure ? canceled() : tooEarly()));
    this.#unanswered = undefined;
    const transport = this.#transport;
    if (transport !== undefined) {
      const polite = this.writableFinished && this.readableEnded;
      if (this.#failing || (this.#soon && this.writableFinished)) linger(transport);
      else if (polite && !transport.destroyed) finish(transport);
      else transport.destroy();
    }
    callback(error);
    // net.Socket has streams not do it.
    if (this._writableState?.emitClose === false) process.nextTick(() => this.emit('close', Boolean(error)));
  }

  /** Ends our side, and destroys the stream when all was sent: the peer can read all of it. */
  destroySoon() {
    this.#soon = true;
    super.destroySoon();
  }

  /** Ends the transport, which has to be TCP, by a reset. Error: `ERR_INVALID_HANDLE_TYPE`. */
  resetAndDestroy() {
    const transport = this.#transport;
    if (typeof transport?.resetAndDestroy !== 'function') throw failure('ERR_INVALID_HANDLE_TYPE', 'only TCP can be reset');
    transport.resetAndDestroy();
    return this.destroy();
  }

  // The handshake. ---------------------------------------------------------------------------------------------------------------------

  /** Takes the transport over. */
  #take(transport) {
    this.#transport = transport;
    transport.removeAllListeners?.('data');
    transport.removeAllListeners?.('readable');
    // Bytes, whatever was said in clear before.
    const state = transport._readableState;
    if (state?.decoder) [state.decoder, state.encoding] = [null, null];
    if (this.#own.server) transport.on('error', () => {});
    if (transport.connecting) {
      this.connecting = true;
      transport.once('connect', () => {
        if (this.destroyed) return;
        this.connecting = false;
        this.emit('connect');
        this.#start();
        this.emit('ready');
      });
      for (const event of ['lookup', 'connectionAttempt', 'connectionAttemptFailed', 'connectionAttemptTimeout']) {
        transport.on(event, (...args) => this.emit(event, ...args));
      }
    } else {
      process.nextTick(() => this.#start());
    }
    transport.on('error', (error) => this.#giveUp(error));
    transport.on('close', () => this.#transportClosed());
    // A handshake that never begins takes its time, too.
    const patience = this.#options.handshakeTimeout ?? (this.#server ? HANDSHAKE_TIMEOUT : undefined);
    if (patience > 0) {
      this.#handshakeTimer = setTimeout(() => {
        this.#connection?.move();
        if (!this.#secure) this.#giveUp(failure('ERR_TLS_HANDSHAKE_TIMEOUT', 'TLS handshake timeout'));
      }, Math.min(patience + 1, LONGEST_TIMER));
      this.#handshakeTimer.unref?.();
    }
  }

  #start() {
    if (this.destroyed) return;
    const transport = this.#transport;
    try {
      this.#connection = this.#connect();
    } catch (error) {
      this.#giveUp(error);
      return;
    }
    const connection = this.#connection;
    transport.on('drain', () => connection.drained());
    transport.on('data', (piece) => {
      this._unrefTimer();
      connection.receive(piece);
      if (connection.full) transport.pause();
    });
    transport.on('end', () => connection.receiveEnd());
    if (transport.readableEnded) connection.receiveEnd();
    if (this.#writing !== undefined) {
      const { piece, taken } = this.#writing;
      this.#writing = undefined;
      connection.write(piece, taken);
    }
    if (this.#finished !== undefined) connection.end();
    transport.resume();
    connection.move();
  }

  #connect() {
    const instance = guest();
    this.#instance = instance;
    const options = this.#options;
    const wire = {
      transmit: (piece) => {
        this._unrefTimer();
        if (this.#transport.writable) return this.#transport.write(piece);
        this.#lost = true;
        return true;
      },
      event: (event) => this.#event(event),
      taken: () => this.#resume(),
      data: (piece) => this.push(buffer(piece)),
      end: () => {
        this.receivedCloseNotify = true;
        this.#end();
      },
      // Node does not tell a cut from an end (row K19).
      cut: this.#options.requireCloseNotify ? undefined : () => this.#end(),
      fail: (error) => {
        this.#failing = true;
        if (!this.#secure && this.#reason === undefined && error.code === CUT) return this.#hangUp();
        const ends = this.#reason ? this.#reason.error : this.#detailed(error);
        // An error throws away what was not read yet, and all of that came before.
        if (this.#secure && error.code === CUT && this.readableLength > 0) this.#cut(ends);
        else this.#giveUp(ends);
      },
      ended: () => {
        // Whoever reads on still can: TCP is closed in one direction only.
        this.#transport.end?.();
        this.#finished();
      },
    };
    if (this.#own.accept) return new Connection(instance, this.#own.accept(instance, this), wire);
    const trusts = options.rejectUnauthorized !== false;
    const wanted = this.#server ? this.#serverOptions() : {
      ...this.#names(),
      session: options.session,
      sessionEvent: true,
      requestOCSP: options.requestOCSP,
    };
    const made = pairOptions(instance, {
      ...wanted,
      isServer: this.#server,
      ALPNProtocols: options.ALPNProtocols ?? options.NPNProtocols,
      rejectUnauthorized: trusts,
      handshakeTimeout: options.handshakeTimeout > 0 ? options.handshakeTimeout : undefined,
      keylog: this.listenerCount('keylog') > 0,
      trace: Boolean(options.enableTrace),
      bufferLimit: options.bufferLimit,
    });
    const context = this.#context.in(instance);
    return new Connection(instance, instance.call(({ securePair }) => securePair.SecurePair.create(context, made)), wire);
  }

  /** The name that a client asks for, which the component checks too; where the certificate has to be for another one, `#check` does. */
  #names() {
    const { servername: asked } = this.#options;
    const host = (this.#host ||= asked);
    // An address is never asked for.
    const servername = wireName(asked || (net.isIP(host) ? host : NO_NAME));
    const isSame = Boolean(host) && servername === wireName(host);
    this.#check = this.#own.checkServerIdentity ?? (host && !isSame ? checkName : undefined);
    return { servername, skipServerIdentity: !host || this.#check !== undefined };
  }

  #serverOptions() {
    const { requestCert, SNICallback, ALPNCallback } = this.#options;
    return { requestCert, sniEvent: Boolean(SNICallback), alpnEvent: Boolean(ALPNCallback), ...(this.#asked && questionsFor(this.#asked)) };
  }

  #event({ tag, val }) {
    switch (tag) {
      case 'secure': return this.#secured();
      case 'session':
        this.#session = buffer(val);
        return this.emit('session', this.#session);
      case 'keylog': return this.#keylog(Buffer.from(`${val}\n`));
      case 'trace': return process.stderr.write(`${val}\n`);
      case 'ocsp-response': return this.emit('OCSPResponse', val ? buffer(val) : null);
      default: return this.#question(tag, val);
    }
  }

  #keylog(line) {
    this.emit('keylog', line);
    this.#own.server?.emit('keylog', line, this);
  }

  /** What a server is asked (rows O15, O16, S3 to S5). Answers may come later. */
  #question(tag, val) {
    const state = this.#own.server?.[internal];
    const { SNICallback, ALPNCallback } = state ?? this.#options;
    const use = (context) => context?.in(this.#instance);
    question(tag, val, {
      socket: this,
      SNICallback,
      ALPNCallback,
      events: this.#asked,
      use,
      // None is the server's own, which may be another one by now than the one that its `server` in the component was made of.
      context: (name) => use(SNICallback ? state?.own : state?.context(name)),
      answer: (method, value) => {
        if (this.#connection === undefined || this.#connection.dropped) return;
        try {
          this.#connection.answer((pair) => pair[method](value));
        } catch (error) {
          this.#abort(error);
        }
      },
      hold: () => {
        try {
          return this.#connection.hold();
        } catch (error) {
          this.#abort(error);
          return () => {};
        }
      },
      end: (error) => this.#abort(error),
    });
  }

  /** Ends the connection by an error of the application's, or by none. */
  #abort(error) {
    if (this.#connection === undefined || this.#connection.dropped) return;
    this.#reason = { error: error || (this.#own.failed && !this.#secure ? this.#hungUp() : undefined) };
    this.#failing = true;
    try {
      this.#connection.abort(String(error?.message ?? error));
    } catch {
      this.#giveUp(this.#reason.error);
    }
  }

  #secured() {
    clearTimeout(this.#handshakeTimer);
    const info = this.#connection.ask(describe);
    this.#info = info;
    this.#secure = true;
    this.secureConnecting = false;
    this.servername = info.servername ?? false;
    this.alpnProtocol = info.alpnProtocol ?? false;
    this.npnProtocol = this.alpnProtocol;
    this.authorized = info.authorized;
    if (info.authorizationError) this.authorizationError = info.authorizationError.code;
    if (this.#check && info.authorized) {
      const error = this.#checked();
      if (error) {
        this.authorized = false;
        this.authorizationError = error.code ?? error.message;
        if (this.#options.rejectUnauthorized !== false) return this.#giveUp(error);
      }
    }
    count(this.#server, info.isSessionReused);
    this.#reported = true;
    this.emit('secure');
    this.#own.secure?.(this);
  }

  /** What the check of the server's name says. One that throws must not count as one that is content. */
  #checked() {
    try {
      const check = this.#check;
      return check(this.#host, this.getPeerCertificate(true));
    } catch (error) {
      return error ?? failure('ERR_TLS_CERT_ALTNAME_INVALID', 'checkServerIdentity threw nothing');
    }
  }

  // Its end. ---------------------------------------------------------------------------------------------------------------------------

  #giveUp(error) {
    if (this.destroyed) return;
    if (!this.#reported) {
      this.#reported = true;
      if (this.#connection !== undefined) statistics.failed += 1;
      if (this.#own.failed) {
        // Whoever listens may want to say something to the client in clear: so it is asked before the transport goes.
        try {
          this.#own.failed(error, this);
        } finally {
          this.destroy();
        }
        return;
      }
    }
    this.destroy(error);
  }

  #transportClosed() {
    if (this.destroyed) return;
    if (!this.#secure) {
      this.#hangUp();
      return;
    }
    // As in Node: who reads hears of a `close` without an `end`.
    if (!this.#transport.readableEnded && !this.#options.requireCloseNotify) {
      this.destroy();
      return;
    }
    // Where the peer has not ended the connection before, that is a truncation: whoever reads finds it after what there is to read.
    this.#connection.receiveEnd();
    if (!this.destroyed && this.writableLength > 0) this.#giveUp(lost());
  }

  /** Says `end` after all that came, where somebody reads; and also where nobody does and nothing came, as a `net.Socket` does. */
  #end() {
    this.push(null);
    this.read(0);
  }

  /** The transport has ended before the handshake was done. */
  #hangUp() {
    if (this.#hanging) return;
    this.#hanging = true;
    const isPlain = !this.#own.failed && !this.#own.peer;
    if (this.#own.failed) {
      this.#giveUp(this.#hungUp());
      return;
    }
    // As in Node, a `TLSSocket` that neither a server nor `connect` made says no more than that.
    this.once('end', () => this.#giveUp(isPlain ? undefined : this.#hungUp()));
    this.#end();
  }

  /** Ends when all that came was read, and answers at once whoever writes. */
  #cut(error) {
    this.#truncated = error;
    const unanswered = this.#unanswered;
    this.#unanswered = undefined;
    unanswered?.(error);
  }

  #hungUp() {
    const whose = this.#server ? 'socket hang up' : 'Client network socket disconnected before secure TLS connection was established';
    return failure('ECONNRESET', whose, this.#own.peer);
  }

  /** The transport goes on when there is room for what it brings. */
  #resume() {
    const transport = this.#transport;
    if (!transport.isPaused?.()) return;
    queueMicrotask(() => {
      if (!this.destroyed && !this.#connection.full) transport.resume();
    });
  }

  /** Node's words for it, and the properties that programs look at. */
  #detailed(error) {
    if (error.code !== 'ERR_TLS_CERT_ALTNAME_INVALID' || this.#instance.fault !== undefined) return error;
    const detailed = identityError(words(error.message), this.#host, this.getPeerCertificate(true));
    return Object.assign(detailed, { alert: error.alert });
  }

  // What is known of the connection. ---------------------------------------------------------------------------------------------------

  getCipher() {
    return this.#info?.cipher;
  }

  getProtocol() {
    if (this.#info) return this.#info.protocol;
    return this.#connection && !this.#connection.dropped ? 'unknown' : null;
  }

  getEphemeralKeyInfo() {
    if (this.#server) return null;
    return this.#info?.group ?? {};
  }

  /** The peer's certificate: with `detailed`, nested with those above it. */
  getPeerCertificate(detailed = false) {
    const chain = this.#ask((pair) => (detailed ? pair.peerCertificateChain() : pair.peerCertificates()));
    if (chain === undefined) return null;
    if (chain.length === 0) return {};
    return detailed ? nested(chain) : legacyObject(chain[0]);
  }

  getCertificate() {
    const chain = this.#ask((pair) => pair.certificates());
    return chain === undefined ? null : chain.length === 0 ? {} : nested(chain);
  }

  getPeerX509Certificate() {
    const chain = this.#ask((pair) => pair.peerCertificates());
    return chain?.length > 0 ? new X509Certificate(chain[0].raw) : undefined;
  }

  getX509Certificate() {
    const chain = this.#ask((pair) => pair.certificates());
    return chain?.length > 0 ? new X509Certificate(chain[0].raw) : undefined;
  }

  /** The session, for the option `session`: it is known in this process, and one of TLS 1.3 serves once. */
  getSession() {
    return this.#buffer((pair) => pair.session());
  }

  getTLSTicket() {
    return this.#buffer((pair) => pair.tlsTicket());
  }

  isSessionReused() {
    return this.#info?.isSessionReused ?? false;
  }

  getFinished() {
    return this.#buffer((pair) => pair.finished());
  }

  getPeerFinished() {
    return this.#buffer((pair) => pair.peerFinished());
  }

  getSharedSigalgs() {
    return this.#ask((pair) => pair.sharedSigalgs()) ?? [];
  }

  exportKeyingMaterial(length, label, context) {
    if (!this.#secure || this.destroyed) throw failure('ERR_TLS_INVALID_STATE', 'key material is there when the handshake is done');
    const given = context === undefined || context === null ? undefined : bytes(context, 'context');
    return this.#buffer((pair) => pair.exportKeyingMaterial(length, bytes(label, 'label'), given));
  }

  // What can be set. -------------------------------------------------------------------------------------------------------------------

  setMaxSendFragment(size) {
    if (typeof size !== 'number') throw failure('ERR_INVALID_ARG_TYPE', `size has to be a number of bytes, not ${typeof size}`);
    if (!Number.isInteger(size) || Math.abs(size) >= 2 ** 31) throw failure('ERR_OUT_OF_RANGE', `size has to be a whole number of bytes, and is ${size}`);
    return this.#ask((pair) => pair.setMaxSendFragment(Math.max(size, 0))) ?? false;
  }

  /**
   * What to ask the server for by SNI, before the handshake; empty for nothing. Which name its certificate has to be for was said by the
   * options, and stays: only where they said none it is this one. Error: `ERR_TLS_INVALID_STATE` when the client has asked.
   */
  setServername(name) {
    if (typeof name !== 'string') throw failure('ERR_INVALID_ARG_TYPE', `the name has to be a string, not ${typeof name}`);
    if (this.#server) throw failure('ERR_TLS_SNI_FROM_SERVER', 'a server does not ask for a name (RFC 6066 section 3): call this on the client');
    if (this.#connection !== undefined) throw failure('ERR_TLS_INVALID_STATE', 'the name was sent already: set it before the handshake');
    this.#options.servername = name;
  }

  setSession(session) {
    this.#options.session = typeof session === 'string' ? Buffer.from(session, 'latin1') : session;
  }

  setKeyCert(context) {
    this.#context = ours(context, 'context');
  }

  /** Prints a line for each message on the standard error (row K18); from the beginning of the handshake, or not at all. */
  enableTrace() {
    this.#options.enableTrace = true;
  }

  /** New keys for both directions (row K20). TLS 1.3 only. */
  updateKeys() {
    this.#ask((pair) => pair.updateKeys());
    this.#connection?.move();
  }

  /** It never is done (row K14). */
  disableRenegotiation() {}

  /** Refused (row K14): the callback gets `ERR_TLS_RENEGOTIATION_DISABLED`. */
  renegotiate(options, callback) {
    if (options === null || typeof options !== 'object') throw failure('ERR_INVALID_ARG_TYPE', 'options has to be an object');
    if (callback !== undefined && typeof callback !== 'function') throw failure('ERR_INVALID_ARG_TYPE', 'the callback has to be a function');
    if (this.destroyed) return undefined;
    let refused;
    try {
      this.#ask((pair) => pair.renegotiate());
    } catch (error) {
      refused = error;
    }
    if (callback) process.nextTick(callback, refused);
    return false;
  }

  #ask(question) {
    if (this.#connection === undefined || this.#connection.dropped) return undefined;
    return this.#connection.ask(question);
  }

  #buffer(question) {
    const answer = this.#ask(question);
    return answer && buffer(answer);
  }
}

Object.defineProperty(Socket, 'name', { value: 'TLSSocket' });

/** As in Node, it can be called without `new`. */
export const TLSSocket = new Proxy(Socket, { apply: (target, _, args) => new target(...args) });

/** A name as it goes over the wire: an address without its zone (RFC 4007 section 11), a DNS name in ASCII. */
function wireName(name) {
  if (net.isIP(name)) return name.replace(/%.*$/, '');
  const ascii = domainToASCII(name);
  return ascii === '' || net.isIP(ascii) ? name : ascii;
}

/** The check of a name that is not asked for, by the component and no less strictly than it does within the handshake. */
function checkName(host, certificate) {
  const error = guest().call((component) => component.certificate.checkServerIdentity(wireName(host), certificate.raw));
  return error ? identityError(words(error.message), host, certificate) : checkStrictly(host, certificate);
}

/** Of the component's sentence about a wrong name, what Node gives as the reason. */
function words(message) {
  const start = message.indexOf(WORDS);
  return start < 0 ? message : message.slice(start + WORDS.length);
}

/** The options of a call in the manner of `net.connect`: (options), (port[, host]), (path). */
export function normalized([first, second]) {
  if (first !== null && typeof first === 'object') return { ...first };
  if (typeof first === 'string' && !(Number(first) >= 0)) return { path: first };
  return typeof second === 'string' ? { port: first, host: second } : { port: first };
}

/** What a server's end asks `server` by events, as options of a pair: nothing that nobody listens to. */
export function questionsFor(server) {
  const listens = (event) => server.listenerCount(event) > 0;
  return { sessionEvents: listens('newSession') || listens('resumeSession'), ocspEvent: listens('OCSPRequest') };
}

/** Throws where one of these options, which have to be functions, is none; and where those of ALPN do not fit each other. */
export function checkOptions(options, functions) {
  for (const name of functions) {
    if (options[name] !== undefined && options[name] !== null && typeof options[name] !== 'function') {
      throw failure('ERR_INVALID_ARG_TYPE', `${name} has to be a function, not ${typeof options[name]}`);
    }
  }
  if (functions.includes('ALPNCallback') && options.ALPNCallback && options.ALPNProtocols) {
    throw failure('ERR_TLS_ALPN_CALLBACK_WITH_PROTOCOLS', 'ALPNCallback and ALPNProtocols exclude each other: give one of them');
  }
  const protocols = options.ALPNProtocols ?? options.NPNProtocols;
  if (protocols) alpnList(protocols);
}

function lost() {
  return failure('EPIPE', 'write EPIPE: the transport was closed before all was sent', { syscall: 'write' });
}

function canceled() {
  return failure('ECANCELED', 'write ECANCELED: the socket was destroyed before all was sent', { syscall: 'write' });
}

function tooEarly() {
  return failure('ERR_SOCKET_CLOSED_BEFORE_CONNECTION', 'the socket was closed before the connection was established');
}

/** Ends a transport after what was given to it. */
function finish(transport) {
  if (transport.destroySoon) transport.destroySoon();
  else transport.end(() => transport.destroy());
}

/** Ends a transport so that the peer reads our last words: where bytes are left unread, TCP would throw an alert away with a reset. */
function linger(transport) {
  if (transport.destroyed) return;
  if (transport.readableEnded) {
    finish(transport);
    return;
  }
  const timer = setTimeout(() => transport.destroy(), LINGER);
  timer.unref?.();
  transport.removeAllListeners('data');
  transport.on('end', () => transport.destroy());
  transport.on('close', () => clearTimeout(timer));
  transport.end();
  transport.resume();
}

/** What the component's error of a name begins with. */
const WORDS = "altnames: ";

/** A client that has no name to check still needs one for its sessions; an address is not sent. */
const NO_NAME = '0.0.0.0';

/** In milliseconds (row O20). */
const HANDSHAKE_TIMEOUT = 120_000;
const LINGER = 2_000;
const LONGEST_TIMER = 2 ** 31 - 1;
