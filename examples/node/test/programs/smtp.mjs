// Mail: smtp-server, which is asked for TLS by STARTTLS, and nodemailer, which insists on it.

import { once } from 'node:events';

import nodemailer from 'nodemailer';
import { SMTPServer } from 'smtp-server';

import { BODY, NAME, all, ca, cert, describe, digest, key, main, say } from './common.mjs';

await main({ server, client });

async function server() {
  const post = new SMTPServer({
    ca, cert, key, requestCert: true, rejectUnauthorized: true, size: 4 * BODY.length, logger: false,
    onSecure(socket, session, done) {
      say({ ...describe(socket), servername: session.servername });
      done();
    },
    onAuth: ({ username, password }, session, done) => {
      done(password === 'secret' && session.secure ? null : new Error('no'), { user: username });
    },
    onData(stream, session, done) {
      all(stream).then((mail) => {
        // The attachment, out of the message.
        const encoded = /filename=body\.bin[\s\S]*?\r\n\r\n([A-Za-z0-9+/=\r\n]+)\r\n--/.exec(mail.toString('latin1'));
        say({ mail: { secure: session.secure, from: session.envelope.mailFrom.address, ...digest(Buffer.from(encoded?.[1] ?? '', 'base64')) } });
        done();
      }, done);
    },
  });
  post.listen(0, '127.0.0.1');
  await once(post.server, 'listening');
  return post.server.address().port;
}

async function client(port) {
  const transport = nodemailer.createTransport({
    host: '127.0.0.1', port, secure: false, requireTLS: true, tls: { ca, cert, key, servername: NAME }, auth: { user: 'somebody', pass: 'secret' },
  });
  const { accepted, response } = await transport.sendMail({
    from: 'from@client.test', to: 'to@server.test', subject: 'A body', text: 'See there', attachments: [{ filename: 'body.bin', content: BODY }],
  });
  transport.close();
  return { accepted, response, sent: digest(BODY) };
}
