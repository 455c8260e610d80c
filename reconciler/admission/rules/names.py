"""What names, labels, keys and addresses must look like, with Kubernetes' message for each.

The functions of k8s.io/apimachinery/pkg/util/validation: each returns what is wrong with a text.
They are cached: the same few labels and names come again and again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from ipaddress import ip_network

from reconciler.admission.errors import Errors, invalid
from reconciler.model.address import parse_ip

Messages = tuple[str, ...]
Format = Callable[[str], Messages]

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_DNS_1035 = r"[a-z]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE = rf"({_QUALIFIED})?"
_CONFIG_KEY = r"[-._a-zA-Z0-9]+"
_ENV_NAME = r"[-._a-zA-Z][-._a-zA-Z0-9]*"
_HEADER = r"[-A-Za-z0-9]+"

LABEL_MAX = 63
SUBDOMAIN_MAX = 253
PORT_NAME_MAX = 15
PORT_MAX = 65535

IP_MESSAGE = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
CIDR_MESSAGE = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
PORT_MESSAGE = "must be between 1 and 65535, inclusive"
ID_MESSAGE = "must be between 0 and 2147483647, inclusive"


def _regex_message(text: str, pattern: str, *examples: str) -> str:
    shown = ",  or ".join(f"'{example}'" for example in examples)
    return f"{text} (e.g. {shown}, regex used for validation is '{pattern}')"


LABEL_MESSAGE = _regex_message(
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
    "must start and end with an alphanumeric character",
    _LABEL,
    "my-name",
    "123-abc",
)
SUBDOMAIN_MESSAGE = _regex_message(
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    "'.', and must start and end with an alphanumeric character",
    _SUBDOMAIN,
    "example.com",
)
DNS_1035_MESSAGE = _regex_message(
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
    "alphabetic character, and end with an alphanumeric character",
    _DNS_1035,
    "my-name",
    "abc-123",
)
_QUALIFIED_TEXT = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character"
)
QUALIFIED_MESSAGE = _regex_message(_QUALIFIED_TEXT, _QUALIFIED, "MyName", "my.name", "123-abc")
LABEL_VALUE_MESSAGE = _regex_message(
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or "
    "'.', and must start and end with an alphanumeric character",
    _LABEL_VALUE,
    "MyValue",
    "my_value",
    "12345",
)
CONFIG_KEY_MESSAGE = _regex_message(
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
    _CONFIG_KEY,
    "key.name",
    "KEY_NAME",
    "key-name",
)
ENV_NAME_MESSAGE = _regex_message(
    "a valid environment variable name must consist of alphabetic characters, digits, '_', '-', "
    "or '.', and must not start with a digit",
    _ENV_NAME,
    "my.env-name",
    "MY_ENV.NAME",
    "MyEnvName1",
)
HEADER_MESSAGE = _regex_message(
    "a valid HTTP header must consist of alphanumeric characters or '-'", _HEADER, "X-Header-Name"
)

_label = re.compile(_LABEL).fullmatch
_subdomain = re.compile(_SUBDOMAIN).fullmatch
_dns_1035 = re.compile(_DNS_1035).fullmatch
_qualified = re.compile(_QUALIFIED).fullmatch
_label_value = re.compile(_LABEL_VALUE).fullmatch
_config_key = re.compile(_CONFIG_KEY).fullmatch
_env_name = re.compile(_ENV_NAME).fullmatch
_header = re.compile(_HEADER).fullmatch


def _longest(text: str, limit: int) -> Messages:
    return (f"must be no more than {limit} characters",) if len(text) > limit else ()


@lru_cache(maxsize=4096)
def dns_label(text: str) -> Messages:
    """Check a lowercase RFC 1123 label of at most 63 characters."""
    messages = _longest(text, LABEL_MAX)
    if _label(text):
        return messages
    return (*messages, "must not contain dots" if _subdomain(text) else LABEL_MESSAGE)


@lru_cache(maxsize=4096)
def dns_subdomain(text: str) -> Messages:
    """Check a lowercase RFC 1123 subdomain of at most 253 characters."""
    messages = _longest(text, SUBDOMAIN_MAX)
    return messages if _subdomain(text) else (*messages, SUBDOMAIN_MESSAGE)


@lru_cache(maxsize=4096)
def path_segment(text: str) -> Messages:
    """Check what may stand alone in a URL (path.ValidatePathSegmentName): the name of a role."""
    if text in (".", ".."):
        return (f"may not be '{text}'",)
    return tuple(f"may not contain '{sign}'" for sign in "/%" if sign in text)


@lru_cache(maxsize=4096)
def dns_1035_label(text: str) -> Messages:
    """Check an RFC 1035 label, which starts with a letter: the name of a Service."""
    messages = _longest(text, LABEL_MAX)
    return messages if _dns_1035(text) else (*messages, DNS_1035_MESSAGE)


@lru_cache(maxsize=4096)
def qualified_name(text: str) -> Messages:
    """Check a label's key: a name of at most 63 characters after an optional prefix and slash."""
    prefix, slash, name = text.rpartition("/")
    if "/" in prefix:
        suffix = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        return (f"a qualified name {QUALIFIED_MESSAGE} {suffix}",)
    messages: list[str] = []
    if slash and not prefix:
        messages.append("prefix part must be non-empty")
    elif slash:
        messages += (f"prefix part {message}" for message in dns_subdomain(prefix))
    if not name:
        messages.append("name part must be non-empty")
    messages += (f"name part {message}" for message in _longest(name, LABEL_MAX))
    if not _qualified(name):
        messages.append(f"name part {QUALIFIED_MESSAGE}")
    return tuple(messages)


@lru_cache(maxsize=4096)
def label_value(text: str) -> Messages:
    """Check a label's value: empty, or at most 63 characters."""
    messages = _longest(text, LABEL_MAX)
    return messages if _label_value(text) else (*messages, LABEL_VALUE_MESSAGE)


@lru_cache(maxsize=4096)
def config_key(text: str) -> Messages:
    """Check a key of a ConfigMap or Secret, which becomes a file's name."""
    messages = _longest(text, SUBDOMAIN_MAX)
    if not _config_key(text):
        messages = (*messages, CONFIG_KEY_MESSAGE)
    return messages + _no_parent_directory(text)


@lru_cache(maxsize=4096)
def env_name(text: str) -> Messages:
    """Check the name of an environment variable."""
    messages: Messages = () if _env_name(text) else (ENV_NAME_MESSAGE,)
    return messages + _no_parent_directory(text)


def _no_parent_directory(text: str) -> Messages:
    if text in (".", ".."):
        return (f"must not be '{text}'",)
    return ("must not start with '..'",) if text.startswith("..") else ()


@lru_cache(maxsize=1024)
def port_name(text: str) -> Messages:
    """Check an IANA service name: the name of a container's port."""
    messages = list(_longest(text, PORT_NAME_MAX))
    if not re.fullmatch(r"[-a-z0-9]+", text):
        messages.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search(r"[a-z]", text):
        messages.append("must contain at least one letter (a-z)")
    if "--" in text:
        messages.append("must not contain consecutive hyphens")
    if text.startswith("-") or text.endswith("-"):
        messages.append("must not begin or end with a hyphen")
    return tuple(messages)


def header_name(text: str) -> Messages:
    """Check the name of an HTTP header."""
    return () if _header(text) else (HEADER_MESSAGE,)


def port_number(port: int) -> Messages:
    """Check a port number."""
    return () if 1 <= port <= PORT_MAX else (PORT_MESSAGE,)


@lru_cache(maxsize=1024)
def ip_address(text: str) -> Messages:
    """Check an IPv4 or IPv6 address."""
    return () if parse_ip(text) is not None else (IP_MESSAGE,)


def cidr(text: str) -> Messages:
    """Check an address range in CIDR notation."""
    try:
        ip_network(text, strict=False)
    except ValueError:
        return (CIDR_MESSAGE,)
    return () if text.rpartition("/")[2].isdecimal() and "/" in text else (CIDR_MESSAGE,)


def path_without_backsteps(text: str) -> Messages:
    """Check that no part of a path is `..`."""
    return ("must not contain '..'",) if ".." in text.split("/") else ()


def descending_path(text: str) -> Messages:
    """Check a relative path that does not leave its directory."""
    messages: Messages = ("must be a relative path",) if text.startswith("/") else ()
    return messages + path_without_backsteps(text)


def visible_path(text: str) -> Messages:
    """Check a descending path whose name does not start with `..`, which volumes reserve."""
    messages = descending_path(text)
    if text.startswith("..") and not text.startswith("../"):
        messages = (*messages, "must not start with '..'")
    return messages


def each(path: str, value: object, messages: Messages) -> Errors:
    """Yield an Invalid for each message."""
    for message in messages:
        yield invalid(path, value, message)
