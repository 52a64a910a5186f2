"""Quick calls of core functions, and quick functions to be called by the guest.

`wasmtime.Func` asks for a function's type and makes Python objects of it at each call, which takes 0.1 ms; a record of TLS needs some eight
calls, and a handshake a hundred callbacks. These are the C API's functions without a check of types, `wasmtime_func_call_unchecked` and
`wasmtime_func_new_unchecked`, by the bindings that wasmtime-py is made of; the types are looked at once, when the function is found.
They are not part of wasmtime-py's documented API, so its version is pinned.
"""

from __future__ import annotations

import ctypes
import threading
from typing import Any, Callable, Optional

import wasmtime
from wasmtime import _ffi


def caller(store: wasmtime.Store, function: wasmtime.Func) -> Callable[..., Optional[int]]:
    """How to call a function. What a callback raises goes through it."""
    params, result = fields(function.type(store))
    count = len(params)
    length = max(count, result is not None)
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
            problem = wasmtime.Trap._from_ptr(trap) if trap else wasmtime.WasmtimeError._from_ptr(error)
            raised, RAISED.error = getattr(RAISED, "error", None), None
            raise problem if raised is None else raised
        return None if result is None else getattr(raw[0], result)

    return call


def callee(store: wasmtime.Store, type: wasmtime.FuncType, function: Callable[..., Optional[int]]) -> tuple[wasmtime.Func, Any]:
    """A function for the guest to call, and what has to be kept as long as it can be called."""
    params, result = fields(type)

    def run(env: Any, guest: Any, raw: Any, length: int) -> Any:
        try:
            found = function(*(getattr(raw[index], param) for index, param in enumerate(params)))
            if result is not None:
                setattr(raw[0], result, found)
            return 0
        except BaseException as error:
            RAISED.error = error
            return ctypes.cast(wasmtime.Trap("an exception of Python's")._consume(), ctypes.c_void_p).value

    made, callback = _ffi.wasmtime_func_t(), _ffi.wasmtime_func_unchecked_callback_t(run)
    nothing = ctypes.cast(0, ctypes.CFUNCTYPE(None, ctypes.c_void_p))
    _ffi.wasmtime_func_new_unchecked(store._context(), type.ptr(), callback, None, nothing, ctypes.byref(made))
    return wasmtime.Func._from_raw(made), callback


def fields(type: wasmtime.FuncType) -> tuple[list[str], Optional[str]]:
    """The fields of the C API's union for the parameters and the result."""
    params, results = [FIELDS[str(param)] for param in type.params], [FIELDS[str(result)] for result in type.results]
    if len(results) > 1:
        raise NotImplementedError("a core function has at most one result in the canonical ABI")
    return params, results[0] if results else None


#: By the name of a core type. The canonical ABI has no others but floats, which `guest:tls` does not use.
FIELDS = {"i32": "i32", "i64": "i64"}
# What ended a callback on this thread, which the call that it was in raises.
RAISED = threading.local()
