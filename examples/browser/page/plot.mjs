// Bytes of cleartext over time.

import { svg } from './dom.mjs';
import { digits, duration } from './units.mjs';

/** The plot in an `<svg>`, which is drawn as wide as it is. */
export class Plot {
  #into;
  #slots = new Map();
  #waits = false;

  constructor(into) {
    this.#into = into;
    new ResizeObserver(() => this.#soon()).observe(into);
  }

  clear() {
    this.#slots.clear();
    this.#soon();
  }

  /** Counts of slots of 5 ms: `{at, sent, received}`. */
  add(counts) {
    for (const { at, sent, received } of counts) {
      const slot = this.#slots.get(at) ?? { sent: 0, received: 0 };
      this.#slots.set(at, { sent: slot.sent + sent, received: slot.received + received });
    }
    this.#soon();
  }

  /** What there is: bytes each way, over which time in milliseconds. */
  total() {
    const times = [...this.#slots.keys()];
    const all = [...this.#slots.values()];
    return {
      sent: all.reduce((sum, { sent }) => sum + sent, 0), received: all.reduce((sum, { received }) => sum + received, 0),
      time: times.length > 0 ? Math.max(...times) - Math.min(...times) + SLOT_MS : 0,
    };
  }

  #soon() {
    if (this.#waits) return;
    this.#waits = true;
    requestAnimationFrame(() => {
      this.#waits = false;
      this.#draw();
    });
  }

  #draw() {
    const width = this.#into.clientWidth;
    const height = this.#into.clientHeight;
    if (width === 0) return;
    const { sent, received, time } = this.total();
    const buckets = this.#buckets(time);
    const rates = ['received', 'sent'].map((direction) => ({
      direction, values: buckets.map((bucket) => bucket[direction] / bucket.long / 1048.576),
    }));
    const most = Math.max(0, ...rates.flatMap(({ values }) => values));
    const top = nice(most);
    const right = width - RIGHT;
    const bottom = height - BOTTOM;
    const x = (at) => LEFT + (right - LEFT) * (time === 0 ? 0 : at / time);
    const y = (rate) => bottom - (bottom - TOP) * rate / top;

    const drawn = [];
    for (let line = 0; line <= LINES; line += 1) {
      const rate = top * line / LINES;
      drawn.push(svg('line', { class: 'grid', x1: LEFT, x2: right, y1: y(rate), y2: y(rate) }));
      if (most > 0) drawn.push(svg('text', { x: LEFT - 8, y: y(rate) + 4, 'text-anchor': 'end' }, short(rate)));
    }
    drawn.push(svg('text', { x: 0, y: 10 }, 'MiB/s'));
    if (time > 0) {
      for (const part of [0, 0.5, 1]) {
        const anchor = part === 0 ? 'start' : part === 1 ? 'end' : 'middle';
        drawn.push(svg('text', { x: x(time * part), y: height - 4, 'text-anchor': anchor }, part === 0 ? '0' : duration(time * part)));
      }
    }
    for (const { direction, values } of rates) {
      if (!values.some((value) => value > 0)) continue;
      const steps = values.map((value, at) => `L${x(buckets[at].from)},${y(value)}H${x(buckets[at].from + buckets[at].long)}`).join('');
      drawn.push(svg('path', { class: `${direction} area`, d: `M${LEFT},${bottom}${steps}V${bottom}Z` }));
      drawn.push(svg('path', { class: `${direction} edge`, d: `M${steps.slice(1)}` }));
    }
    this.#into.setAttribute('viewBox', `0 0 ${width} ${height}`);
    const amounts = `received ${digits(received / 1048576)} MiB, sent ${digits(sent / 1048576)} MiB, at most ${digits(most)} MiB/s`;
    this.#into.setAttribute('aria-label', time === 0 ? 'No bytes yet' : `Throughput over ${duration(time)}: ${amounts}`);
    this.#into.replaceChildren(...drawn);
  }

  /** As many slots together as it takes to have no more than `MOST`. */
  #buckets(time) {
    const long = Math.max(1, Math.ceil(time / SLOT_MS / MOST)) * SLOT_MS;
    const first = Math.min(...this.#slots.keys());
    const made = Array.from({ length: Math.ceil(time / long) }, (_, at) => ({
      from: at * long, long: Math.min(long, time - at * long), sent: 0, received: 0,
    }));
    for (const [at, { sent, received }] of this.#slots) {
      const bucket = made[Math.floor((at - first) / long)];
      bucket.sent += sent;
      bucket.received += received;
    }
    return made;
  }
}

/** The next number above that is good for an axis of four parts. */
function nice(value) {
  if (value === 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 6, 8, 10].map((step) => step * power).find((step) => step >= value);
}

function short(value) {
  return value >= 10 ? value.toFixed(0) : String(Number(value.toPrecision(2)));
}

/** As in the worker. */
const SLOT_MS = 5;

const MOST = 90;
const LINES = 4;

/** The room for labels, in pixels. */
const LEFT = 44;
const RIGHT = 4;
const TOP = 22;
const BOTTOM = 24;
