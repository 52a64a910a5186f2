// Options and calls: what is taken, what is refused, and by what kind of error.

import { EventEmitter } from 'node:events';

/** Certificates that are trusted besides Mozilla's. */
const EXTRA = { NODE_EXTRA_CA_CERTS: `${process.env.GUEST_TLS_BESIDE}/ca.crt` };

/** Calls. `COMES_TO` says what they come to where that is an error. */
const CALLS = {
  'key, cert and ca that are false': ({ tls }) => tls.createSecureContext({ key: false, cert: false, ca: false }),
  'a crl that is false': ({ tls }) => tls.createSecureContext({ crl: false }),
  'key and cert that are empty': ({ tls }) => tls.createSecureContext({ key: '', cert: '' }),
  'a list of keys with false in it': ({ tls, identity: { cert } }) => tls.createSecureContext({ key: [false], cert }),
  'ciphers that match nothing': ({ tls }) => tls.createSecureContext({ ciphers: 'no-such-cipher' }),
  'a TLSSocket over an emitter of events': ({ tls }) => new tls.TLSSocket(new EventEmitter()),
  'ALPN from a buffer': ({ tls }) => tls.convertALPNProtocols(Buffer.from('\x02h2\x01a'), {}),
  'ALPN from a buffer that is cut short': ({ tls }) => tls.convertALPNProtocols(Buffer.from('\x02h2\x05a'), {}),
  'ALPN from a buffer with an empty protocol': ({ tls }) => tls.convertALPNProtocols(Buffer.from('\x02h2\x00'), {}),
  'ALPN from a list with an empty protocol': ({ tls }) => tls.convertALPNProtocols(['h2', ''], {}),
  'ALPN from a list with a long protocol': ({ tls }) => tls.convertALPNProtocols(['h'.repeat(256)], {}),
  'a client whose ALPNProtocols are cut short': ({ tls }) => tls.connect({ port: 1, ALPNProtocols: Buffer.from('\x05a') }).on('error', () => {}).destroy(),
};
const COMES_TO = {
  'a crl that is false': 'TypeError ERR_INVALID_ARG_TYPE',
  'a list of keys with false in it': 'TypeError ERR_INVALID_ARG_TYPE',
  'ciphers that match nothing': 'Error ERR_SSL_NO_CIPHER_MATCH, no cipher match',
  'a TLSSocket over an emitter of events': 'TypeError',
  'ALPN from a buffer that is cut short': 'TypeError ERR_INVALID_ARG_VALUE',
  'ALPN from a buffer with an empty protocol': 'TypeError ERR_INVALID_ARG_VALUE',
  'ALPN from a list with an empty protocol': 'TypeError ERR_INVALID_ARG_VALUE',
  'ALPN from a list with a long protocol': 'RangeError ERR_OUT_OF_RANGE',
  'a client whose ALPNProtocols are cut short': 'TypeError ERR_INVALID_ARG_VALUE',
};

const rows = {};
for (const [name, call] of Object.entries(CALLS)) {
  rows[name] = { sees: { near: [COMES_TO[name] ?? 'taken'] }, run: (kit) => outcome(kit, () => call(kit)) };
}

// PKCS#12 beside the other options, with and without certificates that are trusted by the environment or by a call.
for (const [trust, env] of [['', undefined], [' under NODE_EXTRA_CA_CERTS', EXTRA]]) {
  for (const [name, given] of Object.entries({
    'pfx': () => ({}),
    'pfx and ca': ({ authority }) => ({ ca: authority }),
    'pfx, key and cert': ({ identity }) => identity,
  })) {
    for (const isSet of trust ? [false] : [false, true]) {
      rows[`${name}${trust}${isSet ? ' after setDefaultCACertificates' : ''}`] = {
        env, alone: isSet,
        sees: { near: ['taken', 'authorized'], far: ['client client'] },
        async run(kit) {
          if (isSet) kit.tls.setDefaultCACertificates([kit.authority]);
          const own = { pfx: kit.raw('client.pfx'), passphrase: 'sample', ...given(kit) };
          if (!outcome(kit, () => kit.tls.createSecureContext(own))) return;
          const server = kit.tls.createServer({ ...kit.identity, ca: kit.authority, requestCert: true, rejectUnauthorized: false, maxVersion: 'TLSv1.2' });
          server.on('secureConnection', (far) => {
            // Of two certificates, which one is shown is OpenSSL's or ours to choose.
            kit.say('far', `client ${far.getPeerCertificate().subject?.CN.replace('server', 'client')}`);
            far.on('error', () => {}).resume().end();
          });
          await kit.listen(server);
          const near = kit.tls.connect({ port: server.address().port, host: '127.0.0.1', servername: 'localhost', rejectUnauthorized: false, ...own });
          near.on('secureConnect', () => {
            // The authorities in PKCS#12 are trusted, too.
            kit.say('near', near.authorized ? 'authorized' : String(near.authorizationError));
          });
          near.on('error', (error) => kit.say('near', kit.what(error))).resume();
          near.on('close', () => server.close());
        },
      };
    }
  }
}

Object.assign(rows, {
  'getCACertificates gives the same list until others are set': {
    alone: true,
    sees: { near: ['true,true', 'false,1'] },
    run({ tls, say, authority }) {
      const first = tls.getCACertificates();
      say('near', `${first === tls.getCACertificates('default')},${Object.isFrozen(first)}`);
      tls.setDefaultCACertificates([authority]);
      say('near', `${first === tls.getCACertificates()},${tls.getCACertificates().length}`);
    },
  },
  'a createSecureContext that was replaced is asked by connect, servers and sockets': {
    alone: true,
    sees: { near: ['server 1', 'addContext 2', 'TLSSocket 3', 'connect 4'] },
    run({ tls, say, identity, net }) {
      const { createSecureContext } = tls;
      let asked = 0;
      tls.createSecureContext = (options) => {
        asked += 1;
        return createSecureContext(options);
      };
      const server = tls.createServer(identity);
      say('near', `server ${asked}`);
      server.addContext('a.test', identity);
      say('near', `addContext ${asked}`);
      new tls.TLSSocket(new net.Socket(), {}).on('error', () => {}).destroy();
      say('near', `TLSSocket ${asked}`);
      tls.connect({ port: 1 }).on('error', () => {}).destroy();
      say('near', `connect ${asked}`);
    },
  },
  'setMaxSendFragment and bufferSize': {
    sees: {
      near: [
        'TypeError ERR_INVALID_ARG_TYPE', 'TypeError ERR_INVALID_ARG_TYPE', 'RangeError ERR_OUT_OF_RANGE', 'RangeError ERR_OUT_OF_RANGE',
        'false', 'true', 'bufferSize 0',
      ],
    },
    async run(kit) {
      const server = kit.tls.createServer(kit.identity, (far) => far.on('error', () => {}).resume());
      await kit.listen(server);
      const near = kit.tls.connect({ port: server.address().port, host: '127.0.0.1', servername: 'localhost', ca: kit.authority });
      near.on('secureConnect', () => {
        for (const size of ['x', undefined, 1.5, 2 ** 31, -1, 1024]) outcome(kit, () => near.setMaxSendFragment(size));
        kit.say('near', `bufferSize ${near.bufferSize}`);
        near.destroy();
        server.close();
      });
    },
  },
  'a listener of secureConnection that rejects, where rejections are captured': {
    alone: true,
    sees: { far: ['error mine', 'close true'] },
    async run(kit) {
      EventEmitter.captureRejections = true;
      const server = kit.tls.createServer(kit.identity, async (far) => {
        kit.watch('far', far, ['error', 'close']);
        server.close();
        throw new Error('mine');
      });
      await kit.listen(server);
      kit.tls.connect({ port: server.address().port, host: '127.0.0.1', servername: 'localhost', ca: kit.authority }).on('error', () => {}).resume();
    },
  },
});

export default rows;

/** Says what a call comes to, and whether it came to anything. */
function outcome({ say }, call) {
  try {
    const value = call();
    say('near', typeof value === 'boolean' ? String(value) : 'taken');
    return true;
  } catch (error) {
    say('near', [error.name, error.code !== 'ERR_INVALID_ARG_TYPE' || !/duplex/.test(error.message) ? error.code : undefined]
      .filter(Boolean).join(' ') + (/no cipher match/.test(error.message) ? ', no cipher match' : ''));
    return false;
  }
}
