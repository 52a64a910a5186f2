// A program that is typed against node:tls, with the default import: only the name of the module differs.
import tls from 'guest-tls';
import type { AddressInfo } from 'node:net';

const options: tls.TlsOptions = {
  key: 'key', cert: 'cert', requestCert: true, ALPNProtocols: ['h2'], minVersion: 'TLSv1.2',
  SNICallback: (servername: string, done: (error: Error | null, context?: tls.SecureContext) => void) => done(null, tls.createSecureContext()),
};
const server: tls.Server = tls.createServer(options, (socket: tls.TLSSocket) => {
  const certificate: tls.PeerCertificate = socket.getPeerCertificate();
  const name: string | string[] | undefined = certificate.subject.CN;
  socket.end(`${name} ${socket.getCipher().standardName} ${socket.alpnProtocol}`);
});
server.on('tlsClientError', (error: Error, socket: tls.TLSSocket) => socket.destroy(error));
server.on('newSession', (id: Buffer, data: Buffer, done: () => void) => done());
server.addContext('*.a.test', { key: 'key', cert: 'cert' });
server.listen(0, () => {
  const { port } = server.address() as AddressInfo;
  const client: tls.TLSSocket = tls.connect({ port, checkServerIdentity: (host, cert) => tls.checkServerIdentity(host, cert) });
  client.on('secureConnect', () => client.exportKeyingMaterial(32, 'EXPORTER-test', Buffer.alloc(0)).toString('hex'));
});
const version: tls.SecureVersion = tls.DEFAULT_MIN_VERSION;
// @ts-expect-error: there is no such option.
tls.connect({ port: 1, noSuchOption: true });
export { version };
