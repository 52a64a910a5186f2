// The same with named imports.
import { type ConnectionOptions, type TLSSocket, connect, createServer, getCiphers, rootCertificates } from 'guest-tls';
import * as builtin from 'node:tls';

const options: ConnectionOptions = { host: 'localhost', port: 443, servername: 'localhost', ALPNProtocols: ['http/1.1'] };
const socket: TLSSocket = connect(options, () => socket.end(getCiphers().join()));
// A function that wants Node's own takes ours.
const takes = (given: builtin.TLSSocket, make: typeof builtin.createServer): builtin.Server => make(() => given.end());
takes(socket, createServer).close();
const roots: readonly string[] = rootCertificates;
// @ts-expect-error: a port is a number.
connect({ port: {} });
export { roots };
