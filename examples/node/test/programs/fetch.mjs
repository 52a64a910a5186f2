// Node's fetch, to a server as in https.mjs or http2.mjs. Whom it trusts it has from NODE_EXTRA_CA_CERTS.

import { BODY, digest, main } from './common.mjs';

await main({ client });

async function client(port) {
  try {
    const response = await fetch(`https://localhost:${port}/`, { method: 'POST', body: BODY });
    return { status: response.status, sent: digest(BODY), received: digest(Buffer.from(await response.arrayBuffer())) };
  } catch (error) {
    return { failure: error.cause.code };
  }
}
