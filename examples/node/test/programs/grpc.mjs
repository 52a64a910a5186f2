// gRPC: a unary call by @grpc/grpc-js, without a .proto file: the messages are bytes.

import grpc from '@grpc/grpc-js';

import { BODY, NAME, ca, cert, digest, key, main, say } from './common.mjs';

const same = (message) => message;
const bytes = { requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same };
const service = { echo: { path: '/test.Echo/Echo', requestStream: false, responseStream: false, ...bytes } };

await main({ server, client });

function server() {
  const echo = new grpc.Server();
  echo.addService(service, {
    echo(call, done) {
      const { transportSecurityType, sslPeerCertificate } = call.getAuthContext();
      say({ type: transportSecurityType, peer: sslPeerCertificate?.subject.CN ?? null, host: call.getHost() });
      done(null, call.request);
    },
  });
  const pair = [{ private_key: Buffer.from(key), cert_chain: Buffer.from(cert) }];
  return new Promise((resolve, reject) => {
    const credentials = grpc.ServerCredentials.createSsl(Buffer.from(ca), pair, true);
    echo.bindAsync('127.0.0.1:0', credentials, (error, port) => (error ? reject(error) : resolve(port)));
  });
}

function client(port) {
  const Echo = grpc.makeGenericClientConstructor(service, 'Echo');
  const credentials = grpc.credentials.createSsl(...[ca, key, cert].map((pem) => Buffer.from(pem)));
  const echo = new Echo(`127.0.0.1:${port}`, credentials, { 'grpc.ssl_target_name_override': NAME });
  return new Promise((resolve, reject) => {
    echo.echo(BODY, { deadline: Date.now() + 30_000 }, (error, received) => {
      echo.close();
      if (error) reject(error);
      else resolve({ sent: digest(BODY), received: digest(received) });
    });
  });
}
