// A headless Chromium for the tests: Debian's, or the one at `GUEST_TLS_CHROMIUM`.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { chromium } from 'playwright-core';

/** Starts it with a profile of its own. Gives playwright's `context`, and `close()`, which also removes the profile. */
export async function launch(options = {}) {
  const profile = await mkdtemp(path.join(tmpdir(), 'guest-tls-chromium-'));
  const remove = () => rm(profile, { recursive: true, force: true, maxRetries: 5 });
  try {
    const context = await chromium.launchPersistentContext(profile, {
      executablePath: process.env.GUEST_TLS_CHROMIUM ?? '/usr/bin/chromium', args: FLAGS, ...options,
    });
    return {
      context,
      async close() {
        await context.close();
        await remove();
      },
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** No GPU, and no sandbox, which root can't have; and nothing of Chromium's own goes out to the network. */
const FLAGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];
