// What this process did by the component: so that one can see that it was not the runtime's own TLS.

/** Handshakes that were done as client and as server, those among them that resumed a session, and those that failed. */
export const statistics = { client: 0, server: 0, resumed: 0, failed: 0 };

/** Counts a handshake. */
export function count(isServer, isResumed) {
  statistics[isServer ? 'server' : 'client'] += 1;
  if (isResumed) statistics.resumed += 1;
}

// `GUEST_TLS_STATISTICS=1`: a line of JSON at the end of the process, on the standard error.
if (process.env.GUEST_TLS_STATISTICS === '1') {
  process.on('exit', () => process.stderr.write(`guest-tls: ${JSON.stringify(statistics)}\n`));
}
