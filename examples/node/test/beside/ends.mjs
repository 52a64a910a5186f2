// How connections end, and what each end hears of it.

import { Duplex } from 'node:stream';

/** A client whose TCP connection the program holds, once its handshake is done. */
async function over(kit, server, options) {
  const raw = kit.net.connect(server.address().port, '127.0.0.1');
  const near = kit.connect(server, { ...options, socket: raw });
  await new Promise((resolve) => { near.once('secureConnect', resolve); });
  await kit.pause(50);
  return { near, raw };
}

/** A server behind a relay that the program can cut: `cut(bytes)` ends what the client gets, after that many more bytes of the server's. */
async function relayed(kit, server) {
  let cut;
  const relay = kit.net.createServer({ allowHalfOpen: true }, (near) => {
    const far = kit.net.connect(server.address().port, '127.0.0.1');
    let left = Infinity;
    far.on('data', (data) => {
      near.write(data.subarray(0, left));
      left -= Math.min(left, data.length);
      if (left === 0) near.end();
    });
    near.on('data', (data) => far.write(data)).on('end', () => {}).on('close', () => far.destroy());
    for (const socket of [near, far]) socket.on('error', () => {});
    cut = (bytes) => {
      left = bytes;
      if (bytes === 0) near.end();
    };
    cut.reset = () => near.resetAndDestroy();
  });
  await kit.listen(relay);
  return { relay, cut: (bytes) => cut(bytes), reset: () => cut.reset() };
}

export default {
  'a socket of the server that nobody reads closes when the client ends': {
    sees: { near: [ 'secureConnect', 'end', 'close false' ], far: [ 'secureConnection', 'end', 'close false' ] },
    async run({ serve, connect }) {
      const server = await serve({}, () => {});
      const near = connect(server);
      near.on('secureConnect', () => { near.end(); server.close(); });
    },
  },
  'a client that nobody reads closes when the server ends': {
    sees: { near: [ 'end', 'close false' ], far: [ 'secureConnection', 'end', 'close false' ] },
    async run({ serve, tls, authority, watch }) {
      const server = await serve({}, (far) => setImmediate(() => far.end()));
      const near = tls.connect({ port: server.address().port, host: '127.0.0.1', servername: 'localhost', ca: authority });
      watch('near', near, ['end', 'error', 'close']).on('close', () => server.close());
    },
  },
  'what nobody reads keeps a socket open': {
    sees: { near: [ '6 bytes, false', 'end', 'close false' ], far: [ 'secureConnection', 'end', 'close false' ] },
    async run({ serve, tls, authority, watch, pause, say, until }) {
      const server = await serve({}, (far) => setImmediate(() => far.end('unread')));
      const near = tls.connect({ port: server.address().port, host: '127.0.0.1', servername: 'localhost', ca: authority });
      watch('near', near, ['end', 'error', 'close']);
      await until(() => near.readableLength > 0);
      await pause(100);
      say('near', `${near.readableLength} bytes, ${near.readableEnded}`);
      near.resume();
      server.close();
    },
  },
  'a server destroys its socket': {
    sees: { near: [ 'secureConnect', 'end', 'close false' ], far: [ 'secureConnection', 'close false' ] },
    async run({ serve, connect, pause }) {
      const server = await serve({}, async (far) => { await pause(50); far.destroy(); server.close(); });
      connect(server);
    },
  },
  'a server destroys its socket before the listener of secureConnection returns': {
    sees: { near: [ 'secureConnect', 'end', 'close false' ], far: [ 'secureConnection', 'close false' ] },
    async run({ serve, connect }) {
      const server = await serve({}, (far) => { far.destroy(); server.close(); });
      connect(server);
    },
  },
  'a server destroys its socket with an error': {
    sees: { near: [ 'secureConnect', 'end', 'close false' ], far: [ 'secureConnection', 'error enough', 'close true' ] },
    async run({ serve, connect, pause }) {
      const server = await serve({}, async (far) => { await pause(50); far.destroy(new Error('enough')); server.close(); });
      connect(server);
    },
  },
  'a server destroys its socket after it wrote': {
    sees: { near: [ 'secureConnect', 'data words', 'end', 'close false' ], far: [ 'secureConnection', 'close false' ] },
    async run({ serve, connect, pause }) {
      const server = await serve({}, (far) => far.write('words', async () => { await pause(50); far.destroy(); server.close(); }));
      connect(server);
    },
  },
  'a client destroys its socket': {
    sees: { near: [ 'secureConnect', 'close false' ], far: [ 'secureConnection', 'end', 'close false' ] },
    async run({ serve, connect, pause }) {
      const server = await serve({ maxVersion: 'TLSv1.2' });
      const near = connect(server);
      // By then all that the server sends was read: what is unread makes TCP reset.
      near.on('secureConnect', async () => { await pause(100); near.destroy(); server.close(); });
    },
  },
  'a client destroys its socket within secureConnect': {
    sees: { near: [ 'secureConnect', 'close false' ], far: [ 'secureConnection', 'end', 'close false' ] },
    async run({ serve, connect }) {
      const server = await serve();
      const near = connect(server, { maxVersion: 'TLSv1.2' });
      near.on('secureConnect', () => { near.destroy(); server.close(); });
    },
  },
  'a client destroys its socket before the handshake is done': {
    sees: { near: [ 'close false' ], far: [ 'tlsClientError ECONNRESET' ] },
    async run({ serve, connect }) {
      const server = await serve();
      server.on('tlsClientError', () => server.close());
      const near = connect(server);
      near.on('connect', () => near.destroy());
    },
  },
  'TCP is cut between two records': {
    sees: { near: [ 'secureConnect', 'data some', 'end', 'close false' ], far: [ 'secureConnection', 'end', 'close false' ] },
    async run(kit) {
      const server = await kit.serve({}, async (far) => { await kit.pause(50); far.write('some'); });
      const { relay, cut } = await relayed(kit, server);
      kit.connect(relay).on('data', () => cut(0)).on('close', () => { relay.close(); server.close(); });
    },
  },
  'TCP is cut within a record': {
    sees: { near: [ 'secureConnect', 'data some', 'end', 'close false' ], far: [ 'secureConnection', 'end', 'close false' ] },
    async run(kit) {
      const server = await kit.serve({}, async (far) => {
        await kit.pause(50);
        far.write('some');
        await kit.pause(200);
        far.write('what is not heard');
      });
      const { relay, cut } = await relayed(kit, server);
      kit.connect(relay).on('data', () => cut(10)).on('close', () => { relay.close(); server.close(); });
    },
  },
  'TCP is cut, and the side that is half open goes on': {
    alone: true,
    sees: {
      near: [ 'secureConnect', 'data some', 'end', 'close false' ],
      far: [ 'secureConnection', 'data an answer', 'end' ]
    },
    async run(kit) {
      const server = await kit.serve({ allowHalfOpen: true }, async (far) => {
        far.setEncoding('utf8');
        await kit.pause(50);
        far.write('some');
      });
      const { relay, cut } = await relayed(kit, server);
      const near = kit.connect(relay, { allowHalfOpen: true });
      near.on('data', () => cut(0)).on('end', () => near.end('an answer'));
      server.on('secureConnection', (far) => far.on('data', () => setTimeout(process.exit, 100)));
    },
  },
  'TCP is cut where data waits for its reader': {
    sees: { near: [ 'data some', 'end', 'close false' ] },
    async run(kit) {
      const server = kit.tls.createServer(kit.identity, (far) => far.on('error', () => {}).resume().write('some'));
      await kit.listen(server);
      const { relay, cut } = await relayed(kit, server);
      const near = kit.tls.connect({ port: relay.address().port, servername: 'localhost', ca: kit.authority });
      kit.watch('near', near, ['end', 'error', 'close']);
      await kit.until(() => near.readableLength > 0);
      cut(0);
      await kit.pause(200);
      near.on('data', (data) => kit.say('near', `data ${data}`)).on('close', () => { relay.close(); server.close(); });
    },
  },
  'TCP is reset': {
    sees: {
      near: [ 'secureConnect', 'data some', 'error ECONNRESET', 'close true' ],
      far: [ 'secureConnection', 'end', 'close false' ]
    },
    async run(kit) {
      const server = await kit.serve({}, async (far) => { await kit.pause(50); far.write('some'); });
      const { relay, reset } = await relayed(kit, server);
      kit.connect(relay).on('data', () => reset()).on('close', () => { relay.close(); server.close(); });
    },
  },
  'the client ends TCP without a word to the server': {
    sees: { near: [ 'secureConnect', 'end', 'close false' ], far: [ 'secureConnection', 'end', 'close false' ] },
    async run(kit) {
      const server = await kit.serve();
      const { raw } = await over(kit, server);
      raw.end();
      await kit.pause(50);
      server.close();
    },
  },
  'the client resets TCP under a server': {
    sees: { near: [ 'secureConnect', 'close false' ], far: [ 'secureConnection', 'error ECONNRESET', 'close true' ] },
    async run(kit) {
      const server = await kit.serve();
      const { raw } = await over(kit, server);
      raw.resetAndDestroy();
      await kit.pause(50);
      server.close();
    },
  },
  'the client destroys TCP under a TLSSocket of nobody who listens': {
    sees: { near: [ 'secureConnect', 'close false' ], far: [ 'end', 'close false' ] },
    async run(kit) {
      const server = await kit.wrap({}, (far) => kit.watch('far', far, ['end', 'close']).resume());
      const { raw } = await over(kit, server);
      raw.destroy();
      await kit.pause(50);
      server.close();
    },
  },
  'the client resets TCP under a TLSSocket of nobody who listens': {
    sees: { near: [ 'secureConnect', 'close false' ], far: [ 'close true' ] },
    async run(kit) {
      const server = await kit.wrap({}, (far) => kit.watch('far', far, ['end', 'close']).resume());
      const { raw } = await over(kit, server);
      raw.resetAndDestroy();
      await kit.pause(50);
      server.close();
    },
  },
  'a stream below is destroyed': {
    sees: { near: [ 'secureConnect', 'close false' ], far: [ 'secureConnection', 'end', 'close false' ], raw: [ 'close' ] },
    async run(kit) {
      const server = await kit.serve();
      const raw = kit.net.connect(server.address().port, '127.0.0.1');
      const between = new Duplex({
        read() {},
        write: (chunk, _encoding, done) => raw.write(chunk, done),
        final: (done) => raw.end(done),
      });
      raw.on('data', (data) => between.push(data)).on('error', () => {}).on('close', () => kit.say('raw', 'close'));
      const near = kit.connect(server, { socket: between });
      near.on('secureConnect', async () => {
        await kit.pause(50);
        between.destroy();
        await kit.pause(50);
        raw.destroy();
        server.close();
      });
    },
  },
  'junk for a server': {
    sees: { far: [ 'tlsClientError ERR_SSL_WRONG_VERSION_NUMBER' ] },
    async run(kit) {
      const server = await kit.serve();
      kit.net.connect(server.address().port, '127.0.0.1').on('error', () => {}).resume().end('what is this\r\n');
      await kit.pause(200);
      server.close();
    },
  },
  'junk for a TLSSocket of nobody who listens': {
    sees: { far: [ 'close true' ] },
    async run(kit) {
      const server = await kit.wrap({}, (far) => kit.watch('far', far, ['end', 'close']).resume());
      kit.net.connect(server.address().port, '127.0.0.1').on('error', () => {}).resume().write('what is this\r\n');
      await kit.pause(200);
      server.close();
    },
  },
  'junk for a TLSSocket whose error somebody hears': {
    sees: { far: [ 'error ERR_SSL_WRONG_VERSION_NUMBER', 'close true' ] },
    async run(kit) {
      const server = await kit.wrap({}, (far) => kit.watch('far', far).resume());
      kit.net.connect(server.address().port, '127.0.0.1').on('error', () => {}).resume().write('what is this\r\n');
      await kit.pause(200);
      server.close();
    },
  },
  'junk for a client that is a TLSSocket of nobody who listens': {
    sees: { near: [ 'close true' ] },
    async run(kit) {
      const server = kit.net.createServer((raw) => raw.on('error', () => {}).resume().end('what is this\r\n'));
      await kit.listen(server);
      const near = new kit.tls.TLSSocket(kit.net.connect(server.address().port, '127.0.0.1'), {});
      kit.watch('near', near, ['end', 'close']).resume();
      near.write('begin');
      await kit.pause(200);
      server.close();
    },
  },
  'junk for a client of nobody who listens': {
    sees: { near: [ 'close true' ], process: [ 'uncaught ERR_SSL_WRONG_VERSION_NUMBER' ] },
    async run(kit) {
      const server = kit.net.createServer((raw) => raw.on('error', () => {}).resume().end('what is this\r\n'));
      await kit.listen(server);
      const near = kit.tls.connect({ port: server.address().port });
      kit.watch('near', near, ['end', 'close']).resume();
      await kit.pause(200);
      server.close();
    },
  },
  'junk after the handshake for a server': {
    alone: true,
    sees: {
      near: [ 'secureConnect', 'error ERR_SSL_SSLV3_ALERT_UNEXPECTED_MESSAGE' ],
      far: [ 'secureConnection', 'error ERR_SSL_BAD_RECORD_TYPE' ],
      process: [ 'hangs' ]
    },
    here: {
      near: [ 'secureConnect', 'error ERR_SSL_TLSV1_ALERT_DECODE_ERROR', 'close true' ],
      far: [ 'secureConnection', 'error ERR_SSL_DECODE_ERROR', 'close true' ]
    },
    why: 'a record that cannot be read ends the connection (RFC 8446 section 6.2): nothing after it can be trusted. Node goes on',
    async run(kit) {
      const server = await kit.serve();
      const { raw } = await over(kit, server);
      raw.write('what is this\r\n');
      await kit.pause(100);
      server.close();
    },
  },
  'junk after the handshake for a server of nobody who listens': {
    alone: true,
    sees: { near: [ 'secureConnect', 'error ERR_SSL_SSLV3_ALERT_UNEXPECTED_MESSAGE' ], process: [ 'hangs' ] },
    here: { near: [ 'secureConnect', 'error ERR_SSL_TLSV1_ALERT_DECODE_ERROR', 'close true' ], far: [ 'close true' ] },
    why: 'a record that cannot be read ends the connection (RFC 8446 section 6.2): nothing after it can be trusted. Node goes on',
    async run(kit) {
      const server = kit.tls.createServer({ ...kit.identity }, (far) => kit.watch('far', far, ['end', 'close']).resume());
      await kit.listen(server);
      const { raw } = await over(kit, server);
      raw.write('what is this\r\n');
      await kit.pause(100);
      server.close();
    },
  },
  'a peer that says nothing and closes before the handshake': {
    sees: { far: [ 'tlsClientError ECONNRESET' ] },
    async run(kit) {
      const server = await kit.serve();
      kit.net.connect(server.address().port, '127.0.0.1').end().resume();
      await kit.pause(100);
      server.close();
    },
  },
  'a peer that says nothing to a TLSSocket of nobody who listens': {
    sees: { far: [ 'end', 'close false' ] },
    async run(kit) {
      const server = await kit.wrap({}, (far) => kit.watch('far', far, ['end', 'close']).resume());
      kit.net.connect(server.address().port, '127.0.0.1').end().resume();
      await kit.pause(100);
      server.close();
    },
  },
  'a signal that is aborted while it connects': {
    sees: { near: [ 'error ABORT_ERR', 'close true' ] },
    async run(kit) {
      const server = await kit.serve();
      const control = new AbortController();
      kit.connect(server, { signal: control.signal });
      control.abort();
      await kit.pause(200);
      server.close();
    },
  },
  'a signal that is aborted in the handshake': {
    sees: { near: [ 'error ABORT_ERR', 'close true' ], far: [ 'tlsClientError ECONNRESET' ] },
    async run(kit) {
      const server = await kit.serve();
      const control = new AbortController();
      kit.connect(server, { signal: control.signal }).on('connect', () => control.abort());
      await kit.pause(200);
      server.close();
    },
  },
  'a signal that is aborted after the handshake': {
    sees: { near: [ 'secureConnect', 'error ABORT_ERR', 'close true' ], far: [ 'secureConnection', 'end', 'close false' ] },
    async run(kit) {
      const server = await kit.serve();
      const control = new AbortController();
      kit.connect(server, { signal: control.signal }).on('secureConnect', async () => {
        await kit.pause(50);
        control.abort();
      });
      await kit.pause(200);
      server.close();
    },
  },
};
