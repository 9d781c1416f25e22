"""The help of a `"module:attribute"`, read from the module's source; nothing of it is executed."""

from __future__ import annotations

import ast
import importlib.util
import inspect
from importlib.machinery import PathFinder
from typing import Any


def help_of(target: Any) -> str:
    """Return the docstring of a class or function, or the help of a typer app.

    It is empty where there is none, and where the source can't be found or read.
    """
    if not isinstance(target, str):
        return inspect.getdoc(target) or "" if inspect.isroutine(target) else ""
    module, _, attribute = target.partition(":")
    try:
        body = ast.parse(source_of(module)).body
        *outer, last = attribute.split(".")
        for name in outer:
            (body,) = [n.body for n in body if isinstance(n, ast.ClassDef) and n.name == name]
    except Exception:  # a module that isn't there, isn't text or isn't Python
        return ""
    found = ""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if node.name == last:
                found = ast.get_docstring(node) or ""
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(t, ast.Name) and t.id == last for t in targets):
                found = _help_argument(node.value)
    return found


def _help_argument(value: ast.expr | None) -> str:
    """Return the text of `help=` in a call such as `typer.Typer(help="…")`."""
    for word in value.keywords if isinstance(value, ast.Call) else ():
        if word.arg == "help" and isinstance(word.value, ast.Constant):
            return inspect.cleandoc(str(word.value.value))
    return ""


def source_of(module: str) -> str:
    """Return a module's source, found below its top package without importing a package.

    Raises an exception of any kind when there is none.
    """
    name, *inner = module.split(".")
    spec: Any = importlib.util.find_spec(name)
    for word in inner:
        name = f"{name}.{word}"
        spec = PathFinder.find_spec(name, list(spec.submodule_search_locations))
    source = spec.loader.get_source(name)
    if source is None:
        raise ModuleNotFoundError(name)
    return str(source)
