/** Handshakes that were done as client and as server, those among them that resumed a session, and those that failed. */
export const statistics: { client: number; server: number; resumed: number; failed: number };
