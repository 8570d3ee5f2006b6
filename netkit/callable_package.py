"""Packages that can be called: ``netkit.lab`` is both a room of this project and a function of its users.

A package and a function cannot both be ``netkit.lab``, so the package itself answers a call.
"""

from __future__ import annotations

import importlib
import sys
import types


def make_callable(package: str, module: str, function: str) -> None:
    """Let calls of a package be calls of ``module.function``, which is imported when it is first called."""

    class CallablePackage(types.ModuleType):
        def __call__(self, *args: object, **kwargs: object) -> object:
            return getattr(importlib.import_module(module), function)(*args, **kwargs)

    sys.modules[package].__class__ = CallablePackage
