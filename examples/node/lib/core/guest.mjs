// An instance of the component.

import { instantiate } from '../component/guest-tls.js';
import { fromThrown, isOwn } from './errors.mjs';
import { imports } from './wasi.mjs';

/**
 * One instance: all contexts and connections that were made of it live in it, and it does one call at a time.
 *
 * A trap, which is always a fault of the component, ends all of them. Whoever keeps an instance asks `fault` before it makes something new,
 * and starts another one where there was any.
 */
export class Guest {
  /** The error of the trap that ended it. */
  fault;

  /** The interfaces of the world, as jco names them: `certificate`, `secureContext`, `securePair`, `server`. */
  interfaces;

  /** `module(name)` gives the compiled `WebAssembly.Module` of the file `name` beside the component's JavaScript: see `MODULES`. */
  constructor(module) {
    this.interfaces = instantiate(module, imports);
  }

  /** Gives what `work` gives, and throws the component's errors as JavaScript's. */
  call(work) {
    if (this.fault !== undefined) throw this.fault;
    try {
      return work(this.interfaces);
    } catch (thrown) {
      // A value that was refused before the component had it harms nobody; whatever else comes out of it may have left it in any state.
      if (isOwn(thrown)) throw thrown;
      const error = fromThrown(thrown);
      if (error === thrown) {
        if (isCallers(error)) throw error;
        this.fault = Object.assign(new Error('the TLS component trapped: all of its connections are gone', { cause: thrown }), {
          code: 'ERR_INTERNAL_ASSERTION',
        });
        throw this.fault;
      }
      throw error;
    }
  }
}

/** Whether this is about what the caller gave, so that it came before the component was entered: our own errors, and jco's for a wrong type. */
function isCallers(error) {
  if (error instanceof TypeError && error.code === undefined) error.code = 'ERR_INVALID_ARG_TYPE';
  return typeof error?.code === 'string';
}

/** Drops a resource of the component's, now and not when it is collected. */
export function drop(resource) {
  resource?.[Symbol.dispose ?? Symbol.for('dispose')]();
}

/** The files that `Guest` needs, beside the component's JavaScript. */
export const MODULES = ['guest-tls.core.wasm', 'guest-tls.core2.wasm', 'guest-tls.core3.wasm'];
