// MQTT: aedes as a broker on a server of `tls`, and mqtt as a client that publishes to itself.

import { once } from 'node:events';
import tls from 'node:tls';

import { Aedes } from 'aedes';
import mqtt from 'mqtt';

import { BODY, NAME, ca, cert, describe, digest, key, listen, main, say } from './common.mjs';

await main({ server, client });

async function server() {
  const broker = await Aedes.createBroker();
  const below = tls.createServer({ ca, cert, key, requestCert: true, rejectUnauthorized: true }, broker.handle);
  below.on('secureConnection', (socket) => say(describe(socket)));
  broker.on('clientDisconnect', ({ id }) => say({ left: id }));
  return listen(below);
}

async function client(port) {
  const connected = await mqtt.connectAsync(`mqtts://localhost:${port}`, { ca, cert, key, servername: NAME, clientId: 'test', reconnectPeriod: 0 });
  const connection = describe(connected.stream);
  await connected.subscribeAsync('body', { qos: 1 });
  const message = once(connected, 'message');
  await connected.publishAsync('body', BODY, { qos: 1 });
  const [topic, payload] = await message;
  await connected.endAsync();
  return { ...connection, topic, sent: digest(BODY), received: digest(payload) };
}
