// The drop-in as a peer of the tests, in whatever engine runs this: Node, Deno, Bun.

import { peer } from '../../../host-tests/peers/tls-peer.mjs';
import tls from '../lib/index.mjs';

peer(tls);
