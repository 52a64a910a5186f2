// The form: what it starts from, and what it says.

import { byId, element } from './dom.mjs';

const FIELDS = ['host', 'port', 'servername', 'ca', 'cert', 'key', 'alpn', 'kind', 'path', 'mebibytes', 'min-version', 'max-version'];

/** What to start from, where there is a demo server: `demo` is what it says of itself. */
function presets(demo) {
  const member = { cert: demo.cert, key: demo.key };
  const { host, port, ca } = demo;
  const at = (servername, more) => ({ host, port, servername, ca, cert: '', key: '', kind: 'get', path: '/', ...more });
  return [
    ['Demo: all is well', at('demo.test')],
    ['Demo: download 10 MiB', at('demo.test', { kind: 'download', mebibytes: 10 })],
    ['Demo: 10 MiB both ways', at('demo.test', { kind: 'echo', mebibytes: 10 })],
    ['Demo: members only, with a certificate', at('members.test', member)],
    ['Demo: members only, without one', at('members.test')],
    ['Demo: an expired certificate', at('expired.test')],
    ['Demo: a certificate for another name', at('other.test')],
    ['Demo: a self-signed certificate', at('self-signed.test')],
    ['Demo: a chain with a gap', at('incomplete.test')],
    ['Demo: a CA that nobody knows', at('demo.test', { ca: '' })],
  ];
}

/** Sets the form up, and calls `submit(settings, request)` with what it says when that is sound. */
export function setUp(demo, submit) {
  const choices = [...(demo ? presets(demo) : []), ['A server of your own', null]];
  byId('preset').append(...choices.map(([label], at) => element('option', { value: at }, label)));
  const fill = () => {
    const [, values] = choices[byId('preset').value];
    if (values === null) fillIn({ host: '127.0.0.1', port: 443, servername: '', ca: '', cert: '', key: '', kind: 'get', path: '/' });
    else fillIn(values);
  };
  byId('preset').addEventListener('change', fill);
  byId('form').addEventListener('input', update);
  byId('form').addEventListener('submit', (event) => {
    event.preventDefault();
    if (byId('connect').ariaDisabled === 'true') return;
    const settings = read();
    if (settings) submit(...settings);
  });
  for (const input of document.querySelectorAll('input[type=file]')) {
    input.addEventListener('change', async () => {
      const [file] = input.files;
      if (!file) return;
      const field = byId(input.dataset.into);
      const isTooLarge = file.size > FILE_MOST;
      field.value = isTooLarge ? '' : await file.text();
      update();
      if (isTooLarge) complain(`${file.name} has ${file.size} bytes: a file in PEM has ${FILE_MOST} at most.`, field);
    });
  }
  fill();
}

function fillIn(values) {
  for (const [name, value] of Object.entries(values)) byId(name).value = value;
  byId('passphrase').value = '';
  update();
}

/** Shows the fields that belong to the request, and what the closed parts of the form say. */
function update() {
  const kind = byId('kind').value;
  byId('path-field').hidden = kind !== 'get';
  byId('mebibytes-field').hidden = kind === 'get' || kind === 'handshake';
  byId('trust-now').textContent = byId('ca').value.trim() ? 'own CA' : 'Mozilla’s roots';
  byId('identity-now').textContent = byId('cert').value.trim() ? 'with a certificate' : 'nobody';
  const versions = [...new Set(['min-version', 'max-version'].map((id) => byId(id).value.replace('TLSv', '')))];
  byId('protocol-now').textContent = `TLS ${versions.join(' to ')}`;
  complain('');
}

/** The settings and the request; nothing where a field is wrong, which is then said. */
function read() {
  const value = Object.fromEntries(FIELDS.map((id) => [id, byId(id).value.trim()]));
  const port = Number(value.port);
  const mebibytes = Number(value.mebibytes);
  const problems = [
    [!/^[^\s/:]+$|^[0-9a-f:.]+$/i.test(value.host), 'host', 'The host has to be a name or an IP address, without a scheme and a port.'],
    [!/^\d+$/.test(value.port) || port < 1 || port > 65535, 'port', 'The port has to be a number from 1 to 65535.'],
    [value.servername === '', 'servername', 'The server name is missing: the certificate has to be for somebody.'],
    [value.kind === 'get' && !value.path.startsWith('/'), 'path', 'The path has to begin with /.'],
    [
      !byId('mebibytes-field').hidden && (!/^\d+$/.test(value.mebibytes) || mebibytes < 1 || mebibytes > MIB_MOST), 'mebibytes',
      `The size has to be a whole number of MiB, from 1 to ${MIB_MOST}.`,
    ],
    [value['min-version'] > value['max-version'], 'min-version', 'The versions are the wrong way round: from 1.2 to 1.3.'],
    [value.cert !== '' && value.key === '', 'key', 'The certificate needs its private key.'],
    [value.key !== '' && value.cert === '', 'cert', 'The private key needs its certificate.'],
  ];
  const found = problems.find(([isWrong]) => isWrong);
  if (found) {
    const [, id, problem] = found;
    complain(problem, byId(id));
    return null;
  }
  complain('');
  return [
    {
      host: value.host, port, servername: value.servername, ca: value.ca, cert: value.cert, key: value.key,
      passphrase: byId('passphrase').value, minVersion: value['min-version'], maxVersion: value['max-version'],
      resume: byId('resume').checked,
      alpn: value.alpn.split(',').map((protocol) => protocol.trim()).filter(Boolean),
    },
    { kind: value.kind, path: value.path, mebibytes },
  ];
}

/** Says what is wrong, and goes to the field. */
function complain(problem, field) {
  for (const wrong of document.querySelectorAll('#form [aria-invalid]')) {
    wrong.removeAttribute('aria-invalid');
    wrong.removeAttribute('aria-describedby');
  }
  if (byId('problem').textContent !== problem) byId('problem').textContent = problem;
  if (!problem || !field) return;
  field.setAttribute('aria-invalid', 'true');
  field.setAttribute('aria-describedby', 'problem');
  const folded = field.closest('details');
  if (folded) folded.open = true;
  field.focus();
}

/** What the demo server gives at most. */
const MIB_MOST = 1024;

const FILE_MOST = 1024 * 1024;
