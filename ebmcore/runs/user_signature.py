"""The user's signature: an HMAC of words that their own installation recorded, under their key.

A run directory or a sweep database may come from anybody. ebmcore uses the destinations in it if
they carry this user's signature, since nobody else can make one; run.json and a sweep's database
hold it as `seal`. The key is a file of mode 0600 in the user's configuration folder, so all
machines with that home folder share it.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
import stat
import sys
from pathlib import Path

FOLDER_VARIABLE = "EBMCORE_CONFIG_DIR"
_BYTES = 32
_LONGEST = 4096  # characters of a signature from elsewhere
# follow no link, and don't wait for a FIFO in the key's place
_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def config_folder() -> Path:
    """Return the user's configuration folder: EBMCORE_CONFIG_DIR, else the system's usual place."""
    named = os.environ.get(FOLDER_VARIABLE)
    if named:
        return Path(named)
    if sys.platform == "win32" and (roaming := os.environ.get("APPDATA")):
        return Path(roaming) / "ebmcore"
    return Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "ebmcore"


def sign(*words: str | None) -> str | None:
    """Return the user's signature of these words; None if the key can't be read or made.

    It covers all words in order: `sign("a", "b")` differs from `sign("ab")`.

    Example:
        >>> is_signed(sign("sqlite:////home/me/mlflow.db"), "sqlite:////home/me/mlflow.db")
        True
    """
    key = _read_key() or _make_key()
    return None if key is None else _hmac(key, words)


def is_signed(found: object, *words: str | None) -> bool:
    """Tell whether `found`, which anybody may have written, is this user's signature of them."""
    if not isinstance(found, str) or len(found) > _LONGEST:
        return False
    key = _read_key()
    return key is not None and hmac.compare_digest(found.encode(), _hmac(key, words).encode())


def _hmac(key: bytes, words: tuple[str | None, ...]) -> str:
    return hmac.new(key, json.dumps(words).encode(), "sha256").hexdigest()


def _file() -> Path:
    return config_folder() / "key"


def _read_key() -> bytes | None:
    """Return the key; None when it is missing, or others could have read or written it."""
    try:
        handle = os.open(_file(), _READ)
    except (OSError, ValueError, RuntimeError):  # no key, or no home folder
        return None
    with open(handle, "rb") as opened:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size != _BYTES:
            return None
        if sys.platform != "win32" and (facts.st_uid != os.getuid() or facts.st_mode & 0o077):
            return None
        return opened.read()


def _make_key() -> bytes | None:
    """Make the key if it is missing, whole at once; another process may make it first."""
    try:
        file = _file()
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        beside = file.with_name(f".key-{secrets.token_hex(8)}")
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with open(handle, "wb") as opened:
                opened.write(secrets.token_bytes(_BYTES))
            give_name(beside, file)
        finally:
            beside.unlink(missing_ok=True)
    except (OSError, ValueError, RuntimeError):
        return None
    return _read_key()


def give_name(beside: Path, file: Path) -> None:
    """Rename a new file in one step, unless another file has that name already."""
    try:
        os.link(beside, file)
    except FileExistsError:
        pass
    except OSError:  # a file system without hard links
        if not file.exists():
            beside.replace(file)
