// What callbacks do that run during a peer's handshake: they throw, answer nonsense, or answer twice. Each is asked by a `tls.Server` and,
// where it can be, by a `TLSSocket` over TCP.

const mine = () => { throw new Error('mine'); };
const text = () => { throw 'mine'; };
const nothing = () => { throw undefined; };

/** What a server hears, and whether its client is connected or refused. Over both, what was uncaught. */
const REFUSED = (error) => ({ near: ['refused'], far: [`tlsClientError ${error}`] });
const ENDED = (error) => ({ near: ['refused'], far: error === undefined ? ['close false'] : [`error ${error}`, 'close true'] });
const GOES_ON = { near: ['connected'], far: ['secured'] };
/** The client of TLS 1.2 or 1.3 may be done before its server is. */
const LATE = (error) => ({ far: [`tlsClientError ${error}`] });

const INVALID = 'ERR_TLS_ALPN_CALLBACK_INVALID_RESULT';
const NO_ALPN = 'ERR_SSL_NO_APPLICATION_PROTOCOL';
const TWICE = 'ERR_MULTIPLE_CALLBACK';

/** `SNICallback`: what it does, and by what error the connection ends, or `true` where it goes on. */
const SNI = {
  'throws': [mine, 'mine'],
  'throws a text': [text, 'string mine'],
  'throws nothing': [nothing, undefined],
  'answers an error': [(_, done) => done(new Error('mine')), 'mine'],
  'answers a text as the error': [(_, done) => done('mine'), 'string mine'],
  'answers an error late': [(_, done) => setTimeout(done, 10, new Error('mine')), 'mine'],
  'answers a text as the context': [(_, done) => done(null, 'x'), true],
  'answers a number as the context': [(_, done) => done(null, 5), true],
  'answers false': [(_, done) => done(null, false), true],
  'answers an object that is no context': [(_, done) => done(null, {}), 'Invalid SNI context'],
  'answers an object that is no context late': [(_, done) => setTimeout(done, 10, null, { context: {} }), 'Invalid SNI context'],
};

/** Likewise, where the client may be connected before: it is not looked at. */
const SNI_AFTER = {
  'answers twice': [(_, done) => { done(null, null); done(null, null); }, TWICE],
  'throws after its answer': [(_, done) => { done(null, null); mine(); }, 'mine'],
  'answers, and then an error': [(_, done) => { done(null, null); done(new Error('mine')); }, TWICE],
};

const ALPN = {
  'throws': [mine, 'mine'],
  'throws a text': [text, 'string mine'],
  'throws nothing': [nothing, undefined],
  'answers what was not offered': [() => 'other', INVALID],
  'answers an empty text': [() => '', INVALID],
  'answers a number': [() => 5, INVALID],
  'answers null': [() => null, INVALID],
  'answers a buffer': [() => Buffer.from('h2'), INVALID],
  'answers what refers to itself': [() => { const one = {}; return (one.one = one); }, INVALID],
  'answers a promise': [async () => 'h2', INVALID],
  'answers nothing': [() => undefined, NO_ALPN],
  'answers what was offered': [() => 'h2', true],
};

const OCSP = {
  'throws': [mine, 'mine'],
  'throws nothing': [nothing, undefined],
  'answers an error': [(_own, _issuer, done) => done(new Error('mine')), 'mine'],
  'answers a text as the error': [(_own, _issuer, done) => done('mine'), 'string mine'],
  'answers a number': [(_own, _issuer, done) => done(null, 5), 'ERR_INVALID_ARG_TYPE'],
  'answers a text': [(_own, _issuer, done) => done(null, 'x'), 'ERR_INVALID_ARG_TYPE'],
  'answers an object': [(_own, _issuer, done) => done(null, {}), 'ERR_INVALID_ARG_TYPE'],
  'answers nothing': [(_own, _issuer, done) => done(), true],
};
const OCSP_AFTER = {
  'answers twice': [(_own, _issuer, done) => { done(); done(); }, TWICE],
  'throws after its answer': [(_own, _issuer, done) => { done(); mine(); }, 'mine'],
};

const RESUME = {
  'throws': [mine, 'mine'],
  'throws nothing': [nothing, true],
  'answers an error': [(_id, done) => done(new Error('mine')), 'mine'],
  'answers an error late': [(_id, done) => setTimeout(done, 10, new Error('mine')), 'mine'],
  'answers a text as the error': [(_id, done) => done('mine'), 'string mine'],
  'answers a number': [(_id, done) => done(null, 5), true],
  'answers a text': [(_id, done) => done(null, 'x'), true],
  'answers an object': [(_id, done) => done(null, {}), true],
  'answers bytes that are no session': [(_id, done) => done(null, Buffer.from('no session')), true],
  'answers twice': [(_id, done) => { done(); done(); }, TWICE],
  'throws after its answer': [(_id, done) => { done(); mine(); }, TWICE],
};

const NEW = {
  'answers twice': [(_id, _data, done) => { done(); done(); }, true],
  'answers an error': [(_id, _data, done) => done(new Error('mine')), true],
  'answers an error late': [(_id, _data, done) => setTimeout(done, 10, new Error('mine')), true],
};

/** SSL_OP_NO_TICKET. */
const NO_TICKET = 0x4000;
const BY_ID = { maxVersion: 'TLSv1.2', secureOptions: NO_TICKET };

const rows = {};

for (const [name, option, client, answers, looks] of [
  ['SNICallback', 'SNICallback', {}, SNI, true], ['SNICallback', 'SNICallback', {}, SNI_AFTER, false],
  ['ALPNCallback', 'ALPNCallback', { ALPNProtocols: ['h1', 'h2'] }, ALPN, true],
]) {
  for (const [does, [callback, wanted]] of Object.entries(answers)) {
    rows[`${name} that ${does}`] = {
      sees: wanted === true ? GOES_ON : looks ? REFUSED(wanted ?? 'ECONNRESET') : LATE(wanted),
      run: (kit) => asked(kit, { [option]: callback }, client, looks),
    };
    rows[`${name} of a TLSSocket that ${does}`] = {
      sees: wanted === true ? GOES_ON : looks ? ENDED(wanted) : { far: ENDED(wanted).far },
      run: (kit) => wrapped(kit, { [option]: callback }, client, looks),
    };
  }
}
for (const [event, server, client, answers, looks] of [
  ['OCSPRequest', {}, { requestOCSP: true }, OCSP, true], ['OCSPRequest', {}, { requestOCSP: true }, OCSP_AFTER, false],
  ['resumeSession', BY_ID, {}, RESUME, true],
  ['newSession', BY_ID, {}, NEW, true], ['newSession', {}, {}, NEW, true],
]) {
  for (const [does, [listener, wanted]] of Object.entries(answers)) {
    const version = event !== 'newSession' ? '' : server === BY_ID ? ' in TLS 1.2' : ' in TLS 1.3';
    rows[`a listener of ${event}${version} that ${does}`] = {
      sees: wanted === true ? GOES_ON : looks ? REFUSED(wanted ?? 'ECONNRESET') : LATE(wanted),
      run: (kit) => asked(kit, server, client, looks, { [event]: listener }),
    };
  }
}

// What listeners throw that only hear is uncaught, as everywhere.
for (const [event, times] of [['keylog', 5], ['secureConnection', 1], ['connection', 1]]) {
  rows[`a listener of ${event} that throws`] = {
    sees: { ...GOES_ON, process: Array(times).fill('uncaught mine') },
    run: (kit) => asked(kit, {}, {}, true, { [event]: mine }),
  };
}
rows['a listener of tlsClientError that throws'] = {
  sees: { near: ['refused'], far: ['tlsClientError ERR_SSL_NO_SHARED_CIPHER'], process: ['uncaught mine'] },
  run: (kit) => asked(kit, {}, { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES128-GCM-SHA256' }, true, { tlsClientError: mine }),
};
rows['a listener of newSession that throws, and somebody hears errors of the server'] = {
  sees: { far: ['error mine'] },
  run: (kit) => asked(kit, BY_ID, {}, false, { newSession: mine, error: (error) => kit.say('far', `error ${error.message}`) }),
};
for (const [does, check, sees, here] of [
  ['throws', mine, { near: ['refused'], process: ['uncaught mine'] }, { near: ['refused'] }],
  ['gives an error', () => new Error('mine'), { near: ['refused'] }],
  ['gives a text', () => 'mine', { near: ['refused'] }],
  ['gives nothing', () => undefined, { near: ['connected'] }],
]) {
  rows[`checkServerIdentity that ${does}`] = {
    sees,
    ...(here && { here, why: 'a check that did not come to its end must not count as passed, and a server must not choose when a client dies' }),
    async run(kit) {
      const server = kit.tls.createServer(kit.identity, (far) => far.on('error', () => {}).resume().end());
      server.on('tlsClientError', () => {});
      await kit.listen(server);
      await met(kit, server, { checkServerIdentity: check });
      server.close();
    },
  };
}

// An answer of `newSession` that comes late or never: nothing is sent meanwhile, and a peer that goes away takes the connection with it.
const LATE_ANSWER = (_id, _data, done) => setTimeout(done, 100);
for (const [version, options, sees] of [
  ['TLS 1.2', BY_ID, { far: ['tlsClientError ECONNRESET'], transport: ['close'] }],
  ['TLS 1.3', {}, { far: ['secured', 'data data', 'end', 'close false'], transport: ['close'] }],
]) {
  for (const [does, listener] of [['never answers', () => {}], ['answers late', LATE_ANSWER]]) {
    rows[`a listener of newSession in ${version} that ${does}, and a client that goes away`] = {
      sees,
      run: (kit) => late(kit, options, listener, (near, heard) => {
        if (options === BY_ID) heard.once('newSession', () => setImmediate(() => near.destroy()));
        else near.on('secureConnect', () => near.end('data'));
      }),
    };
  }
  rows[`a listener of newSession in ${version} that answers late, and a client that waits`] = {
    sees: {
      asked: version === 'TLS 1.2' ? ['asked', 'answered', 'secured', 'near data answer'] : ['secured', 'answered', 'answered', 'near data answer'],
      far: ['secured', 'data data', 'end', 'close false'],
      transport: ['close'],
    },
    async run(kit) {
      const asked = (text) => kit.say('asked', text);
      await late(kit, options, (_id, _data, done) => {
        if (options === BY_ID) asked('asked');
        setTimeout(() => { asked('answered'); done(); }, 100);
      }, (near, heard) => {
        heard.on('secureConnection', (far) => {
          asked('secured');
          far.on('data', () => far.write('answer'));
        });
        near.on('secureConnect', () => near.write('data'));
        near.on('data', (data) => { asked(`near data ${data}`); near.end(); });
      });
    },
  };
}
rows['a listener of newSession in TLS 1.2 that never answers, and a client that stays'] = {
  sees: { far: ['tlsClientError ERR_TLS_HANDSHAKE_TIMEOUT'], transport: ['close'] },
  run: (kit) => late(kit, { ...BY_ID, handshakeTimeout: 200 }, () => {}, (_near, heard) => {
    heard.on('tlsClientError', (_error, far) => far.destroy());
  }),
};
for (const [version, options] of [['TLS 1.2', BY_ID], ['TLS 1.3', {}]]) {
  rows[`a listener of newSession in ${version} that throws, and a client that speaks on`] = {
    sees: { far: ['secured', 'data data', 'end', 'close false'], transport: ['close'], near: ['error of the server mine'] },
    run: (kit) => late(kit, options, mine, (near, heard) => {
      heard.once('error', (error) => kit.say('near', `error of the server ${error.message}`)).on('error', () => {});
      near.on('secureConnect', () => near.end('data'));
    }),
  };
}

export default rows;

/** A server that listens to `newSession`, and a client; `act` is given the client and the server. Comes to its end when both have closed. */
async function late(kit, options, listener, act) {
  const server = kit.tls.createServer({ ...kit.identity, ...options });
  server.on('newSession', listener);
  server.on('connection', (raw) => raw.on('close', () => kit.say('transport', 'close')));
  server.on('secureConnection', (far) => {
    kit.say('far', 'secured');
    kit.watch('far', far, ['data', 'end', 'error', 'close']);
  });
  server.on('tlsClientError', (error) => kit.say('far', `tlsClientError ${words(kit, error)}`));
  await kit.listen(server);
  const near = kit.tls.connect({ port: server.address().port, host: '127.0.0.1', servername: 'localhost', ca: kit.authority });
  near.on('error', () => {}).resume();
  act(near, server);
  await new Promise((resolve) => near.on('close', resolve));
  await new Promise((resolve) => server.close(resolve));
}

/** A server of these options and listeners, and a client. */
async function asked(kit, options, client, looks, listeners = {}) {
  const server = kit.tls.createServer({ ...kit.identity, ...options });
  server.on('secureConnection', (far) => {
    if (looks) kit.say('far', 'secured');
    far.on('error', () => {}).resume();
    setImmediate(() => far.end());
  });
  server.on('tlsClientError', (error) => kit.say('far', `tlsClientError ${words(kit, error)}`));
  for (const [event, listener] of Object.entries(listeners)) server.on(event, listener);
  await kit.listen(server);
  await met(kit, server, client, looks);
  server.close();
}

/** Likewise by a `TLSSocket`. */
async function wrapped(kit, options, client, looks) {
  const server = await kit.wrap(options, (far) => {
    let isSecure = false;
    far.on('secure', () => {
      isSecure = true;
      if (looks) kit.say('far', 'secured');
      setImmediate(() => far.end());
    });
    far.on('error', (error) => kit.say('far', `error ${words(kit, error)}`));
    far.on('close', (hadError) => {
      if (!isSecure) kit.say('far', `close ${hadError}`);
    });
    far.resume();
  });
  await met(kit, server, client, looks);
  server.close();
}

async function met(kit, server, client, looks = true) {
  const near = kit.tls.connect({ port: server.address().port, host: '127.0.0.1', servername: 'localhost', ca: kit.authority, ...client });
  await new Promise((resolve) => {
    let outcome = 'refused';
    near.on('secureConnect', () => { outcome = 'connected'; }).on('error', () => {}).resume();
    near.on('close', () => {
      if (looks) kit.say('near', outcome);
      resolve();
    });
  });
  await kit.pause(50);
}

function words(kit, error) {
  return kit.what(error).replace('ERR_TLS_INVALID_CONTEXT', 'Invalid SNI context');
}
