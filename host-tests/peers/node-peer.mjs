// Node's `tls` as a peer of the tests.

import tls from 'node:tls';

import { peer } from './tls-peer.mjs';

peer(tls);
