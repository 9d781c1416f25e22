"""ebmcore: train energy-based models out of plugins, from one config, tracked in MLflow.

`__init__.pyi` lists the public names and their modules, for type checkers and for this file.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from ebmcore.version import __version__ as __version__


def _homes() -> dict[str, str]:
    """Read from the stub which module each public name comes from."""
    lines = Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8").splitlines()
    words = (line.split() for line in lines if line.startswith("from "))
    return {name: module for _, module, _, name, *_ in words}  # from MODULE import NAME as NAME


_HOME = _homes()
_ELSEWHERE = {  # names that a distribution of its own offers under the same name
    "Group": "ebmcore_sweep",
    "resume_seeds": "ebmcore_sweep",
    "run_seeds": "ebmcore_sweep",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562), so that light uses stay light."""
    if name in _ELSEWHERE:
        package = _ELSEWHERE[name]
        raise AttributeError(
            f"{package}.{name} is what 'ebmcore.{name}' was; it comes with "
            f"`pip install {package.replace('_', '-')}`"
        )
    if name not in _HOME:
        raise AttributeError(f"module 'ebmcore' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted({*globals(), *__all__})
