// The process's instance of the component.

import { wasm } from '#modules';

import { Guest } from './core/guest.mjs';

/** The instance that new contexts and connections live in. After a trap it is a new one. */
export function guest() {
  if (current === undefined || current.fault !== undefined) current = new Guest(compiled);
  return current;
}

/** The module of this file beside the component's JavaScript; it is compiled once. */
function compiled(name) {
  if (!modules.has(name)) modules.set(name, new WebAssembly.Module(wasm(name)));
  return modules.get(name);
}

let current;
const modules = new Map();
