export * from 'node:tls';
import * as tls from 'node:tls';
export default tls;
