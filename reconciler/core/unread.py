"""What loaded code carries for its readers: let go once the daemon is loaded.

Called by the command line between loading the daemon and running it, so that what runs is put where
this was. Docstrings and the annotations of functions are a tenth of what the modules take, and
Python's own way to do without (`-OO`) would compile every module anew where nothing may be written
beside the interpreter's. What the daemon loads later keeps them.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable
from dataclasses import FrozenInstanceError
from types import FunctionType, ModuleType
from typing import Any, NoReturn


def forget(kept: str) -> None:
    """Let go of what nothing that runs asks for, but in the package `kept`, of which it is asked.

    Everything else works as before; `help` has less to tell.
    """
    # By its own type: what stands for something else, or is of a metaclass, may do what it likes.
    loaded = [each for each in gc.get_objects() if type(each) in (FunctionType, type)]
    outside = [each for each in loaded if not str(each.__module__).startswith(kept)]
    _forget_signatures(each for each in outside if isinstance(each, FunctionType))
    _forget_descriptions(outside)
    _share_refusals(each for each in loaded if isinstance(each, type))
    del loaded, outside
    gc.collect()


def _forget_signatures(functions: Iterable[FunctionType]) -> None:
    for function in functions:
        del function.__annotations__


def _forget_descriptions(described: Iterable[FunctionType | type]) -> None:
    for each in described:
        text = each.__doc__
        if not isinstance(text, str) or (isinstance(each, type) and each.__flags__ & _IMMUTABLE):
            continue
        each.__doc__ = None
        if isinstance(each, FunctionType) and each.__code__.co_consts[:1] == (text,):
            constants = (None, *each.__code__.co_consts[1:])
            each.__code__ = each.__code__.replace(co_consts=constants)
    for module in [*sys.modules.values()]:
        if isinstance(module, ModuleType):
            module.__doc__ = None


def _share_refusals(classes: Iterable[type]) -> None:
    """Let frozen dataclasses refuse to be changed by the same two functions.

    Each has two of its own, and those of a class with slots refer to the class without them that it
    was made of, and keep that alive.
    """
    for each in classes:
        parameters = vars(each).get("__dataclass_params__")
        if parameters is not None and parameters.frozen:
            each.__setattr__ = _refuse_to_set  # type: ignore[method-assign, assignment]
            each.__delattr__ = _refuse_to_delete  # type: ignore[method-assign, assignment]


def _refuse_to_set(_self: object, name: str, _value: Any) -> NoReturn:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(_self: object, name: str) -> NoReturn:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


_IMMUTABLE = 1 << 8  # object.h, Py_TPFLAGS_IMMUTABLETYPE
