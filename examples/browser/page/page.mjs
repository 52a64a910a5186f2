// The page: hands the form's settings to the worker, and shows what the worker tells.

import { cards, title } from './chain.mjs';
import { byId, element } from './dom.mjs';
import { setUp } from './form.mjs';
import { Plot } from './plot.mjs';
import { Timeline } from './timeline.mjs';
import { digits, duration, size } from './units.mjs';
import { ADVICE, REASONS, UNTRUSTED } from './words.mjs';

const worker = new Worker('/tls-worker.mjs', { type: 'module' });
const timeline = new Timeline(byId('steps'), byId('steps-empty'));
const plot = new Plot(byId('plot'));

/** The settings of the connection that is shown, and what is known of it. */
let current = {};

/** What to do with each thing that the worker tells. */
const HEARD = {
  async ready(milliseconds) {
    await form;
    byId('component').textContent = `ready in ${duration(milliseconds)}`;
    byId('connect').ariaDisabled = 'false';
  },

  broken(error) {
    byId('component').textContent = 'did not load';
    verdict('bad', 'The page did not load', error.message, error.code);
  },

  step({ name, at, times, address }) {
    if (name === 'context') timeline.add({ kind: 'setup', label: 'Certificates and keys', hint: 'read and checked', to: at });
    else if (name === 'reached') reached(at, times, address);
    else if (name === 'asked') timeline.add({ kind: 'milestone', label: 'Request sent', to: at });
    else if (name === 'first') timeline.add({ kind: 'milestone', label: 'First byte of the answer', to: at });
    if (name === 'first') current.answered = true;
    if (name === 'last') log(at, 'the server has ended its side by close_notify');
  },

  message({ at, line }) {
    log(at, line);
    // Later ones, such as tickets while megabytes pass, would make the handshake a dot.
    if (!current.answered) timeline.message(line, at);
  },

  secure({ at, protocol, cipher, group, alpnProtocol, isSessionReused, exporter, exporterLabel }) {
    Object.assign(current, { isSessionReused, secureAt: at });
    timeline.add({ kind: 'milestone', label: 'Handshake done', to: at });
    const strength = group?.name === 'X25519MLKEM768' ? ', post-quantum' : '';
    fact('protocol', protocol);
    fact('suite', cipher.standardName);
    fact('group', group ? group.name + strength : 'none: resumed');
    fact('alpn', alpnProtocol ?? 'none');
    fact('resumed', isSessionReused ? 'resumed' : 'new');
    fact('time', duration(at - current.reachedAt));
    const button = byId('exporter');
    button.disabled = false;
    button.textContent = 'show 32 bytes';
    button.onclick = () => {
      button.textContent = button.textContent === exporter ? 'show 32 bytes' : exporter;
    };
    button.title = `Key material of this connection for the label ${exporterLabel}`;
    const session = isSessionReused ? ', resumed' : '';
    log(at, `handshake done: ${protocol}, ${cipher.standardName}, ${group?.name ?? 'no key exchange'}${session}`);
  },

  chain({ certificates, sent, error }) {
    const { settings, isSessionReused, failure, secureAt, reachedAt } = current;
    const wrong = failure ?? error;
    const note = byId('chain-note');
    note.className = '';
    if (wrong === undefined || wrong === null) {
      const anchor = title(certificates.at(-1));
      note.textContent = '';
      const took = duration(secureAt - reachedAt);
      verdict('good', 'Trusted', `${settings.servername} has proved who it is, and ${anchor} vouches for it. The handshake took ${took}.`);
    } else {
      note.textContent = `${REASONS[wrong.code]?.means ?? wrong.message} This is what the server shows to somebody who does not check:`;
    }
    byId('chain').replaceChildren(...cards({
      certificates, sent, error: wrong ?? undefined, servername: settings.servername, ownCa: settings.ca !== '', isSessionReused,
      now: Date.now(),
    }));
  },

  traffic(counts) {
    plot.add(counts);
    byId('traffic').textContent = amounts();
  },

  note({ at, text }) {
    log(at, text);
  },

  done({ at, wire, answer }) {
    const { settings, secureAt } = current;
    const took = duration(secureAt - current.reachedAt);
    log(at, `closed: ${size(wire.received)} received and ${size(wire.sent)} sent on the wire`);
    byId('traffic').textContent = `${amounts()} On the wire, with TLS’s own: ${size(wire.received)} received, ${size(wire.sent)} sent.`;
    if (answer) byId('answer').textContent = shown(answer);
    const whole = answer ? 'The answer is whole: the server ended it by close_notify.' : 'Nothing was asked.';
    sentence(`${settings.servername} has proved who it is. The handshake took ${took}, all of it ${duration(at)}. ${whole}`);
  },

  failed({ at, error }) {
    current.failure = UNTRUSTED.has(error.code) ? error : undefined;
    log(at, `failed: ${error.code}: ${error.message}`);
    const reason = REASONS[error.code];
    const alert = error.alert ? `, alert ${error.alert.name} (${error.alert.description}) ${error.alert.direction}` : '';
    const code = `${error.code}${alert}`;
    if (error.code === 'ABORT_ERR') verdict('idle', 'Stopped', 'You ended the connection without a close_notify.', code);
    else if (reason) verdict('bad', 'Not trusted', `${reason.means} Nothing was sent to it. ${reason.remedy}`, `${code}: ${error.message}`);
    else verdict('bad', 'It failed', [capital(error.message), ADVICE[error.code]].filter(Boolean).join(' '), code);
  },

  over() {
    byId('connect').ariaDisabled = 'false';
    // A button that goes off would take the focus with it.
    if (document.activeElement === byId('stop')) byId('connect').focus();
    byId('stop').disabled = true;
  },
};

worker.onmessage = ({ data }) => {
  for (const [what, value] of Object.entries(data)) HEARD[what](value);
};
worker.onerror = (event) => {
  event.preventDefault();
  HEARD.broken({ code: 'ERR_WORKER', message: event.message || 'The worker’s script did not load.' });
};

byId('stop').addEventListener('click', () => worker.postMessage({ stop: true }));

// It is null where there is no demo server.
const form = fetch('/demo.json').then((answer) => answer.json()).then((demo) => setUp(demo, connect));
form.catch(({ message }) => {
  HEARD.broken({ code: 'ERR_SERVER', message: `The page's server does not say what there is to connect to: ${message}.` });
});

function connect(settings, request) {
  current = { settings };
  clear();
  byId('connect').ariaDisabled = 'true';
  byId('stop').disabled = false;
  byId('server').textContent = `${settings.host}:${settings.port}`;
  verdict('busy', 'Connecting', `To ${settings.host}, port ${settings.port}, and there to ${settings.servername}.`);
  worker.postMessage({ connect: { settings, request } });
  // On a narrow screen the result is below the form.
  const { top } = byId('verdict').getBoundingClientRect();
  if (top > innerHeight - 100 || top < 0) byId('verdict').scrollIntoView({ block: 'start' });
}

function clear() {
  timeline.clear();
  plot.clear();
  for (const shown of document.querySelectorAll('[data-fact]')) shown.textContent = '–';
  byId('exporter').disabled = true;
  byId('exporter').textContent = 'hidden';
  byId('traffic').textContent = 'No bytes yet.';
  byId('chain').replaceChildren();
  byId('chain-note').className = 'empty';
  byId('chain-note').textContent = 'No certificates yet.';
  byId('answer').textContent = '–';
  byId('log').replaceChildren();
}

function reached(at, { opened, lookup, dial }, address) {
  current.reachedAt = at;
  timeline.add({ kind: 'setup', label: 'Bridge', hint: 'WebSocket open', to: opened });
  if (lookup !== null) timeline.add({ kind: 'setup', label: 'DNS', hint: `${address}, by the bridge`, to: opened + lookup });
  timeline.add({ kind: 'setup', label: 'TCP', hint: `${address}, dialled in ${digits(dial)} ms`, to: at });
  log(at, `connected to ${address} by the bridge`);
}

function verdict(state, headline, text, code = '') {
  byId('verdict').dataset.state = state;
  byId('verdict-icon').setAttribute('href', `#i-${state}`);
  byId('headline').textContent = headline;
  byId('code').textContent = code;
  sentence(text);
}

function sentence(text) {
  byId('sentence').textContent = text;
}

function fact(name, value) {
  document.querySelector(`[data-fact=${name}]`).textContent = value;
}

function log(at, text) {
  const list = byId('log');
  list.append(element('li', {}, element('time', {}, `${at.toFixed(2)} ms`), element('span', {}, text)));
  list.scrollTop = list.scrollHeight;
}

function amounts() {
  const { sent, received, time } = plot.total();
  const rate = (bytes) => `${size(bytes)}${bytes >= 1048576 ? ` (${digits(bytes / 1048.576 / time)} MiB/s)` : ''}`;
  return `Received ${rate(received)}, sent ${rate(sent)}, in ${duration(time)}.`;
}

function shown({ head, preview, bytes }) {
  if (preview === null) return `${head}\n\n(${size(bytes)} that are no text)`;
  return `${head}\n\n${preview}`;
}

function capital(text) {
  const sentence = text[0].toUpperCase() + text.slice(1);
  return /[.!?]$/.test(sentence) ? sentence : `${sentence}.`;
}
