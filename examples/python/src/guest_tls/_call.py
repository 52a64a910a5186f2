"""Quick calls of a core function.

`wasmtime.Func.__call__` asks for the function's type and makes Python objects of it each time, which takes 0.1 ms; a record of TLS needs
some eight calls. This is the C API's call without a check of types, `wasmtime_func_call_unchecked`, by the bindings that wasmtime-py
is made of; what it would check is here looked at once, when the function is found.
"""

from __future__ import annotations

import ctypes
from typing import Callable, Optional

import wasmtime
from wasmtime import _ffi
from wasmtime._func import maybe_raise_last_exn


def caller(store: wasmtime.Store, function: wasmtime.Func) -> Callable[..., Optional[int]]:
    """How to call a function of integers that has at most one result."""
    type = function.type(store)
    params = [FIELDS[str(param)] for param in type.params]
    results = [FIELDS[str(result)] for result in type.results]
    if len(results) > 1:
        raise NotImplementedError("a core function has at most one result in the canonical ABI")
    count = len(params)
    length = max(count, len(results))
    result = results[0] if results else None
    Values = _ffi.wasmtime_val_raw_t * max(length, 1)
    context, target = store._context(), ctypes.byref(function._func)

    def call(*values: int) -> Optional[int]:
        if len(values) != count:
            raise TypeError(f"the function takes {count} values, not {len(values)}")
        raw = Values()
        for index, value in enumerate(values):
            setattr(raw[index], params[index], value)
        trap = ctypes.POINTER(_ffi.wasm_trap_t)()
        error = _ffi.wasmtime_func_call_unchecked(context, target, raw, length, ctypes.byref(trap))
        if error or trap:
            # An exception of Python's that ended a callback comes first.
            problem = wasmtime.Trap._from_ptr(trap) if trap else wasmtime.WasmtimeError._from_ptr(error)
            maybe_raise_last_exn()
            raise problem
        return None if result is None else getattr(raw[0], result)

    return call


#: The field of the C API's union by the name of a core type.
FIELDS = {"i32": "i32", "i64": "i64"}
