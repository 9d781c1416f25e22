"""A plugin of pytest that perturbs sources and runs the tests that must fail, each in a fork.

    python -m pytest -p support.plugins.perturbing --perturb FILE.yaml --owner FOLDER TESTS

The tests of a list are collected and run once as they are. Then each perturbation gets a fork of
that process, where the functions of the perturbed module take the perturbed code, wherever they are
held, and its test is run. So a perturbation costs what its test costs. A line for each says
`caught`, `survived` or `broke`.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest
import yaml
from _pytest.runner import runtestprotocol

_SECONDS = 300  # a perturbed test that runs for longer is ended
_PLAIN = (bool, int, float, str, tuple, frozenset, dict, type(None))


def pytest_addoption(parser):
    """Name the list, and the folder that its files and tests are relative to."""
    parser.addoption("--perturb", help="a list of perturbations")
    parser.addoption("--owner", help="the folder of a plugin, or the repository")


def pytest_runtestloop(session):
    """Run each perturbation's test in a fork, in place of all tests."""
    option, ran = session.config.option, {}
    owner = Path(option.owner)
    session.config._tmp_path_factory.getbasetemp()  # once, for all forks
    entries = yaml.safe_load(Path(option.perturb).read_text(encoding="utf-8"))
    for entry in entries:
        items = [item for item in session.items if guards(entry["fails"], owner, item)]
        for item in items:
            ran[item] = ran.get(item) or passes(item)
        if not items or not all(ran[item] == "passed" for item in items):
            sys.stdout.write(f"broke: {entry['what']}: its test fails or is not there as it is\n")
            continue
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            os._exit(outcome(owner, entry, items))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        found = {0: "survived", 1: "caught"}.get(code, "broke")
        sys.stdout.write(f"{found}: {entry['what']}\n")
    return True


def passes(item: pytest.Item) -> str:
    """Run a test; return passed, failed, or broke for an error before or after its call."""
    reports = runtestprotocol(item, log=False, nextitem=None)
    failed = [report.when for report in reports if report.failed]
    if any(report.skipped for report in reports):
        return "broke"
    return "passed" if not failed else "failed" if failed[0] == "call" else "broke"


def guards(nodeid: str, owner: Path, item: pytest.Item) -> bool:
    """Whether an item is the test of this id, or a case of it."""
    file, _, test = nodeid.partition("::")
    own = item.nodeid.partition("::")[2]
    return item.path == owner / file and (own == test or own.startswith(f"{test}["))


def outcome(owner: Path, entry: dict[str, str], items: list[pytest.Item]) -> int:
    """Perturb and run until a test fails: 1; 0 when all pass, 2 for any other error."""
    try:
        signal.alarm(_SECONDS)
        perturb(owner, entry)
        for item in items:
            found = passes(item)
            if found != "passed":
                return 1 if found == "failed" else 2
        return 0
    except BaseException:
        traceback.print_exc()
        return 2


def perturb(owner: Path, entry: dict[str, str]) -> None:
    """Give the functions of the entry's module the perturbed code."""
    source = (owner / entry["file"]).read_text(encoding="utf-8")
    name = ".".join(Path(entry["file"]).with_suffix("").parts)
    module = importlib.import_module(name)
    fresh = ModuleType(name)
    fresh.__dict__.update(__file__=module.__file__, __package__=module.__package__)
    perturbed = source.replace(entry["was"], entry["becomes"])
    exec(compile(perturbed, str(module.__file__), "exec"), vars(fresh))
    _take_over(module, fresh, name)


def _take_over(old: Any, new: Any, module: str) -> None:
    """Give what a module or a class defines the code and the plain values of another."""
    for name, value in list(vars(new).items()):
        before = vars(old).get(name)
        if name.startswith("__") and not callable(value):
            continue
        if isinstance(value, type):
            if value.__module__ == module and isinstance(before, type):
                _take_over(before, value, module)
        elif isinstance(value, _PLAIN):
            if isinstance(before, _PLAIN) and before != value:
                _replace(old, name, before, value)
        else:
            for mine, its in zip(_functions(before), _functions(value), strict=False):
                if its.__module__ == module and mine.__code__ != its.__code__:
                    mine.__code__ = its.__code__
                    mine.__defaults__ = its.__defaults__
                    mine.__kwdefaults__ = its.__kwdefaults__


def _replace(old: Any, name: str, before: Any, value: Any) -> None:
    """Set a constant in its module or class, and in the modules that imported it."""
    setattr(old, name, value)
    for module in list(sys.modules.values()) if isinstance(old, ModuleType) else ():
        if getattr(module, "__dict__", {}).get(name) is before:
            setattr(module, name, value)


def _functions(value: Any) -> Iterator[FunctionType]:
    """Yield the functions in a method, a property or a decorated function."""
    for part in (value, *(getattr(value, n, None) for n in ("fget", "__func__", "func"))):
        while hasattr(part, "__wrapped__") and not isinstance(part, type):
            part = part.__wrapped__
        if isinstance(part, FunctionType):
            yield part
