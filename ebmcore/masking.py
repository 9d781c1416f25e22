"""Mask passwords in URIs; everything that ebmcore writes or shows passes through this module.

`http://user:secret@host` becomes `http://***@host`, `http://host/?token=abc` becomes
`http://host/?token=***`. A masked URI in a file can't be used to connect: the user gives the
password again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["is_masked", "mask", "mask_all", "masked_places", "without_password"]

MASK = "***"
_SCHEME = r"[A-Za-z][A-Za-z0-9+.\-]*"
# USER:PASSWORD@, of any scheme; SQLAlchemy takes a / in a password. A port is no password, and
# what stands between :// and @ without a colon may be a bucket: abfss://container@account
_PASSWORD = re.compile(
    rf"({_SCHEME}://)[^\s/?#@:\[]*:(?!\d*(?:[/?#\s\"']|$))[^\s@]*@(?:[^\s/?#@]*@)*"
)
_TOKEN = re.compile(r"(https?://)[^\s/?#]*@", re.IGNORECASE)  # http://TOKEN@host
_WORDS = (  # endings of the names of secret settings
    r"[\w.\-]*(?:password|passwd|passphrase|pwd|token|secret|credentials?|signature|"
    r"(?:api|access|account|secret|private|shared|auth)[_\-]?key)|auth|authorization|odbc_connect"
)
_QUERY = re.compile(rf"([?&;#](?:{_WORDS})=)[^&;#\s\"']+", re.IGNORECASE)
_URI = re.compile(rf"{_SCHEME}:/\S*")
_QUERY_OF_URI = re.compile(r"([?&;#](?:sig|sas|key|pass|code|jwt)=)[^&;#\s\"']+", re.IGNORECASE)
_MASKED = re.compile(rf"://{re.escape(MASK)}@|=\*\*\*(?=[&;#]|$)")
_MASKED_QUERY = re.compile(r"(?<=[?&;#])[\w.\-]+=\*\*\*(?:[&;]|$)")


def mask(text: str) -> str:
    """Return a text with the passwords and tokens of the URIs in it replaced by `***`.

    Example:
        >>> mask("tracking.uri=http://me:secret@host:5000/a")
        'tracking.uri=http://***@host:5000/a'
    """
    if ":/" in text:
        text = _PASSWORD.sub(rf"\1{MASK}@", text)
        text = _TOKEN.sub(rf"\1{MASK}@", text)
        text = _URI.sub(lambda uri: _QUERY_OF_URI.sub(rf"\1{MASK}", uri[0]), text)
    if "=" in text:
        text = _QUERY.sub(rf"\1{MASK}", text)
    return text


def mask_all(value: Any) -> Any:
    """Return plain values (mappings, lists, texts) with every text in them masked."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, Mapping):
        return {mask_all(key): mask_all(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [mask_all(item) for item in value]
    return value


def is_masked(uri: str) -> bool:
    """Tell whether a URI has a masked password."""
    return _MASKED.search(uri) is not None


def masked_places(value: Any, place: str = "") -> Iterator[str]:
    """Yield the dotted places of masked URIs in a config."""
    if isinstance(value, str):
        if is_masked(value):
            yield place
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from masked_places(item, f"{place}.{key}" if place else str(key))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from masked_places(item, f"{place}.{index}")


def without_password(uri: str) -> str:
    """Return a URI without user, password and secret settings, to compare it with others."""
    bare = mask(uri).replace(f"://{MASK}@", "://")
    return _MASKED_QUERY.sub("", bare).rstrip("?&;#")
