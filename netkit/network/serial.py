"""Frozen values to JSON and back, by their annotations: nothing to keep in step by hand."""

from __future__ import annotations

import dataclasses
import functools
import ipaddress
import json
import types
import typing

ADDRESSES = {
    ipaddress.IPv4Interface: ipaddress.ip_interface,
    ipaddress.IPv4Address: ipaddress.ip_address,
    ipaddress.IPv4Network: ipaddress.ip_network,
}


def to_json(value: object, indent: int | None = None) -> str:
    """A dataclass instance as JSON; what equals its default is left out."""
    return json.dumps(_encode(value), indent=indent, ensure_ascii=False)


def from_json(cls: type, text: str) -> typing.Any:
    """An instance of the dataclass ``cls``; raises ValueError naming the place of what does not fit."""
    try:
        return _decode(cls, json.loads(text), cls.__name__)
    except json.JSONDecodeError as error:
        raise ValueError(f"{cls.__name__}: this is no JSON: {error}") from None
    except RecursionError:
        raise ValueError(f"{cls.__name__}: this is nested too deep") from None


def _encode(value: object) -> object:
    if dataclasses.is_dataclass(value):
        fields = ((field, getattr(value, field.name)) for field in dataclasses.fields(value))
        return {field.name: _encode(item) for field, item in fields if item != field.default}
    if isinstance(value, tuple):
        return [_encode(item) for item in value]
    if value is None or isinstance(value, str | int):
        return value
    return str(value)


@functools.cache
def _fields(cls: type) -> dict[str, object]:
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def _decode(hint: typing.Any, value: typing.Any, place: str) -> typing.Any:
    choices = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if value is None and type(None) in choices:
        return None
    read = next((read for kind, read in ADDRESSES.items() if kind in choices), None)
    if read:
        if not isinstance(value, str):  # ipaddress would make an address of any number
            raise ValueError(f"{place}: {value!r} is no address")
        try:
            return read(value)
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from None
    (hint,) = (choice for choice in choices if choice is not type(None))
    if typing.get_origin(hint) is tuple:
        return _decode_tuple(typing.get_args(hint), value, place)
    if dataclasses.is_dataclass(hint):
        return _decode_dataclass(hint, value, place)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise ValueError(f"{place}: {value!r} is no {hint.__name__}")
    return value


def _decode_tuple(hints: tuple, value: typing.Any, place: str) -> tuple:
    if not isinstance(value, list):
        raise ValueError(f"{place}: {value!r} is no list")
    if hints[-1] is Ellipsis:
        hints = hints[:1] * len(value)
    if len(hints) != len(value):
        raise ValueError(f"{place}: {len(value)} values instead of {len(hints)}")
    return tuple(_decode(hint, item, f"{place}[{number}]") for number, (hint, item) in enumerate(zip(hints, value, strict=True)))


def _decode_dataclass(cls: type, value: typing.Any, place: str) -> typing.Any:
    if not isinstance(value, dict):
        raise ValueError(f"{place}: {value!r} is no object")
    hints = _fields(cls)
    unknown = value.keys() - hints.keys()
    if unknown:
        raise ValueError(f"{place}: there is no {min(unknown)!r} here")
    try:
        return cls(**{name: _decode(hints[name], item, f"{place}.{name}") for name, item in value.items()})
    except TypeError as error:
        raise ValueError(f"{place}: {error}") from None
