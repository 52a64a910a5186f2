/// <reference types="node" />
import * as tls from 'node:tls';

declare module 'node:tls' {
  interface CommonConnectionOptions {
    /** Whether a transport that ends without `close_notify` is an error, and not an end; `guest-tls` alone has it. Default: false. */
    requireCloseNotify?: boolean | undefined;
  }
  interface TLSSocket {
    /** Whether the peer has ended its side by `close_notify`; `guest-tls` alone has it. */
    readonly receivedCloseNotify?: boolean;
  }
}

export * from 'node:tls';
export default tls;
