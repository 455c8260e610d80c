"""JSON values as Go's tools write them: YAML for people, and %v inside messages. Pure.

Used where an answer or a message has them.
"""

from __future__ import annotations

from typing import Any

import orjson
import yaml as pyyaml

from reconciler.desired.scalars import resolve


class _Dumper(pyyaml.CSafeDumper):
    """Double quotes around a string that would not be read as one."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's signature
        """Write a value again where it stands again."""
        return True


def _text(dumper: _Dumper, value: str) -> pyyaml.Node:
    style = "|" if "\n" in value else ('"' if _is_ambiguous(value) else None)
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


def _is_ambiguous(value: str) -> bool:
    """Say whether plain YAML would read `value` as something other than this text."""
    is_time = value[:4].isdigit() and value[4:5] == "-"
    return not value or is_time or not isinstance(resolve(value), str)


_Dumper.add_representer(str, _text)


def yaml(value: Any) -> bytes:
    """Return `value` as sigs.k8s.io/yaml writes it: sorted, lists not indented."""
    text: str = pyyaml.dump(value, Dumper=_Dumper, width=10_000, allow_unicode=True)
    return text.encode()


def json_error(error: orjson.JSONDecodeError) -> str:
    """Return why text is no JSON; text that ends too early is told as Go's decoder tells it."""
    why = str(error)
    early = why.startswith("unexpected end of data") or not error.doc.strip()
    return "unexpected end of JSON input" if early else why


def json_word(shown: Any) -> str:
    """Return what encoding/json calls a JSON value that it could not take."""
    match shown:
        case dict():
            return "object"
        case list() | tuple():
            return "array"
        case bool():
            return "bool"
        case _:
            return "string" if isinstance(shown, str) else "number"


def value(shown: Any) -> str:
    """Return a JSON value as %v prints it: `map[a:1 b:[x y]]`."""
    match shown:
        case dict():
            return f"map[{' '.join(f'{key}:{value(shown[key])}' for key in sorted(shown))}]"
        case list() | tuple():
            return f"[{' '.join(map(value, shown))}]"
        case None:
            return "<nil>"
        case bool():
            return str(shown).lower()
        case _:
            return str(shown)
