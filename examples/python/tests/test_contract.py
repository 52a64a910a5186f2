"""Whether this package says of the component what the component says of itself."""

from __future__ import annotations

from typing import Any

import pytest
import wasmtime
from wasmtime import component as model

from guest_tls import _canonical, _component
from guest_tls._contract import FUNCTIONS, VERSION


@pytest.fixture(scope="module")
def interfaces() -> dict[str, Any]:
    """The component's exports, with the types that wasmtime reads from it."""
    config = wasmtime.Config()
    # Nothing of it runs here, so it need not be compiled well.
    config.cranelift_opt_level = "none"
    engine = wasmtime.Engine(config)
    component = model.Component(engine, _component.find().read_bytes())
    return {name: extern.ty.exports(engine) for name, extern in component.type.exports(engine).items()}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function(interfaces: dict[str, Any], name: str) -> None:
    interface, _, item = name.partition("#")
    declared = interfaces[f"guest:tls/{interface}@{VERSION}"][item].ty
    ours = FUNCTIONS[name]
    assert [told(param) for param in ours.params] == [said(param) for _, param in declared.params]
    assert (ours.result and told(ours.result)) == (declared.result and said(declared.result))


def test_a_wrong_type_would_be_seen(interfaces: dict[str, Any]) -> None:
    declared = interfaces[f"guest:tls/secure-pair@{VERSION}"]["[method]secure-pair.read-cleartext"].ty.result
    cleartext = _canonical.Variant(data=_canonical.BYTES, end=None, pending=None)
    assert told(_canonical.Result(cleartext, FUNCTIONS["certificate#parse"].result.payloads[1])) != said(declared)  # type: ignore


def told(type: _canonical.Type) -> Any:
    """One of our types, in words."""
    if isinstance(type, _canonical.Int):
        return {1: "U8", 4: "U32", 8: "U64"}[type.size]
    if isinstance(type, _canonical.Bool):
        return "Bool"
    if isinstance(type, _canonical.String):
        return "String"
    if isinstance(type, _canonical.Bytes):
        return ["list", "U8"]
    if isinstance(type, _canonical.List):
        return ["list", told(type.element)]
    if isinstance(type, _canonical.Enum):
        return ["enum", *type.cases]
    if isinstance(type, _canonical.Record):
        names = [name.replace("_", "-") for name in type.tuple._fields]
        return ["record", *zip(names, (told(field) for _, field in type.fields), strict=True)]
    if isinstance(type, _canonical.Option):
        return ["option", told(type.payload)]
    if isinstance(type, _canonical.Result):
        return ["result", *(payload and told(payload) for payload in type.payloads)]
    if isinstance(type, _canonical.Variant):
        return ["variant", *zip(type.names, (payload and told(payload) for payload in type.payloads), strict=True)]
    if isinstance(type, _canonical.Own):
        return "borrow" if isinstance(type, _canonical.Borrow) else "own"
    raise TypeError(type)


def said(type: Any) -> Any:
    """One of the component's types, in the same words."""
    if isinstance(type, model.ListType):
        return ["list", said(type.element)]
    if isinstance(type, model.EnumType):
        return ["enum", *type.names]
    if isinstance(type, model.RecordType):
        return ["record", *((name, said(field)) for name, field in type.fields)]
    if isinstance(type, model.OptionType):
        return ["option", said(type.payload)]
    if isinstance(type, model.ResultType):
        return ["result", type.ok and said(type.ok), type.err and said(type.err)]
    if isinstance(type, model.VariantType):
        return ["variant", *((name, payload and said(payload)) for name, payload in type.cases)]
    if isinstance(type, model.OwnType):
        return "own"
    if isinstance(type, model.BorrowType):
        return "borrow"
    return type.__class__.__name__
