// PostgreSQL: pg, which asks the server for TLS by its SSLRequest, with a client certificate. PGHOST, PGPORT, PGUSER, PGPASSWORD and PGDATABASE are
// pg's own variables.

import pg from 'pg';

import { BODY, NAME, ca, cert, describe, digest, key, main } from './common.mjs';

await main({ client });

async function client() {
  const connected = new pg.Client({ ssl: { ca, cert, key, servername: NAME }, enableChannelBinding: true });
  let mechanism;
  connected.connection.once('authenticationSASLContinue', () => { mechanism = connected.saslSession.mechanism; });
  await connected.connect();
  const connection = describe(connected.connection.stream);
  const { rows: [tls] } = await connected.query('select ssl, version, cipher, client_dn from pg_stat_ssl where pid = pg_backend_pid()');
  const { rows: [{ body }] } = await connected.query('select $1::bytea as body', [BODY]);
  await connected.end();
  return { ...connection, mechanism, tls, sent: digest(BODY), received: digest(body) };
}
