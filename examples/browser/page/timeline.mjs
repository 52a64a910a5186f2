// The steps of a handshake as a table with a waterfall: each bar goes from the end of the step before to the end of this one.

import { element } from './dom.mjs';
import { MESSAGES } from './words.mjs';

/** The table in `body`; `empty` is shown as long as it has no rows. */
export class Timeline {
  #body;
  #empty;
  #steps = [];

  constructor(body, empty) {
    this.#body = body;
    this.#empty = empty;
  }

  clear() {
    this.#steps = [];
    this.#draw();
  }

  /** A step that ended at `to`; it began at `from`, or where the one before ended. `kind` is `setup`, `sent`, `received` or `milestone`. */
  add({ kind, label, hint, from = this.#steps.at(-1)?.to ?? 0, to, alert = false }) {
    this.#steps.push({ kind, label, hint, from, to, alert });
    this.#draw();
  }

  /** A line of the component's trace. */
  message(line, at) {
    const [, kind, what] = /^(sent|received) (.+)$/.exec(line) ?? [null, 'received', line];
    const alert = /^alert, fatal: (\w+)/.exec(what);
    if (alert) {
      this.add({ kind, label: 'Alert', hint: alert[1], to: at, alert: true });
    } else if (!what.startsWith('alert')) {
      const [name] = what.split(', ');
      this.add({ kind, label: name, hint: MESSAGES[name], to: at });
    }
  }

  #draw() {
    const whole = this.#steps.at(-1)?.to ?? 1;
    this.#empty.hidden = this.#steps.length > 0;
    this.#body.replaceChildren(...this.#steps.map((step) => row(step, whole)));
  }
}

function row({ kind, label, hint, from, to, alert }, whole) {
  const bar = element('i');
  bar.style.setProperty('--from', (kind === 'milestone' ? to : from) / whole);
  bar.style.setProperty('--long', (to - from) / whole);
  const arrow = { sent: '↑', received: '↓' }[kind];
  const spoken = { sent: 'sent ', received: 'received ' }[kind];
  return element('tr', { className: alert ? `${kind} alert` : kind },
    element('th', { scope: 'row', title: hint ? `${label}: ${hint}` : label },
      element('span', { className: 'arrow', ariaHidden: 'true' }, arrow ?? ''),
      spoken && element('span', { className: 'spoken' }, spoken),
      label,
      hint && element('span', { className: 'hint' }, hint)),
    element('td', { ariaHidden: 'true' }, element('div', { className: 'track' }, bar)),
    element('td', { className: 'number took' }, kind === 'milestone' ? '' : (to - from).toFixed(2)),
    element('td', { className: 'number' }, to.toFixed(2)));
}
