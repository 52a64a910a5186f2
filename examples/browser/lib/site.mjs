// What the server gives to browsers: a fixed list of files, each with headers that leave a page nothing but what this one needs.

import { createReadStream, existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The files of the page by their paths in URLs. */
export function files() {
  const found = new Map();
  const add = (folder, url, wanted) => {
    for (const name of readdirSync(folder)) {
      if (wanted.test(name)) found.set(url + name, path.join(folder, name));
    }
  };
  add(here('../page'), '/', /\.(?:html|css|mjs|svg)$/);
  found.set('/', found.get('/index.html'));
  add(here('../node_modules/guest-tls/lib/core'), '/guest-tls/core/', /\.mjs$/);
  if (!existsSync(COMPONENT)) {
    throw new Error('the component is not there as JavaScript: `cargo xtask npm` makes it in examples/node/lib/component');
  }
  add(COMPONENT, '/guest-tls/component/', /\.(?:js|wasm)$/);
  add(here('../node_modules/@fontsource/ibm-plex-sans/files'), '/fonts/', /^ibm-plex-sans-latin-(?:400|500|600)-normal\.woff2$/);
  add(here('../node_modules/@fontsource/ibm-plex-mono/files'), '/fonts/', /^ibm-plex-mono-latin-(?:400|500)-normal\.woff2$/);
  return found;
}

/** Answers a request with one of `files`. */
export function give(files, request, response) {
  const file = files.get(request.url.split('?')[0]);
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.writeHead(405, { ...HEADERS, Allow: 'GET, HEAD' }).end();
  } else if (file === undefined) {
    response.writeHead(404, { ...HEADERS, 'Content-Type': 'text/plain; charset=utf-8' }).end('There is no such file.\n');
  } else {
    response.writeHead(200, { ...HEADERS, 'Content-Type': TYPES[path.extname(file)] });
    if (request.method === 'HEAD') response.end();
    else createReadStream(file).on('error', (error) => response.destroy(error)).pipe(response);
  }
}

/** The headers of every answer. */
export const HEADERS = {
  // `wasm-unsafe-eval` allows to compile WebAssembly, and no JavaScript from strings.
  'Content-Security-Policy': [
    "default-src 'none'", "script-src 'self' 'wasm-unsafe-eval'", "worker-src 'self'", "connect-src 'self'", "style-src 'self'",
    "font-src 'self'", "img-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
  ].join('; '),
  'Cache-Control': 'no-cache',
  // These two isolate the page, so that its clock shows microseconds and not tenths of milliseconds.
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Permissions-Policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
};

const here = (name) => fileURLToPath(new URL(name, import.meta.url));

const COMPONENT = here('../node_modules/guest-tls/lib/component');

const TYPES = {
  '.css': 'text/css; charset=utf-8', '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8', '.svg': 'image/svg+xml', '.wasm': 'application/wasm', '.woff2': 'font/woff2',
};
