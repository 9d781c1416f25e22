"""Import the selected plugins and check them against the hook specifications, one at a time.

A failure becomes the plugin's status and stops no other; only KeyboardInterrupt passes through.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from ebmcore import hooks
from ebmcore.decorators import MARK
from ebmcore.errors import raised_at
from ebmcore.plugins.find import API, GROUP, Found
from ebmcore.plugins.select import Loaded, Status
from ebmcore.plugins.spawn_import import leave_shim


def specified() -> pluggy.PluginManager:
    """Return a manager that knows the hook specifications, which takes 4 ms, and no plugin."""
    manager = pluggy.PluginManager("ebmcore")
    manager.add_hookspecs(hooks)
    return manager


def load(plugin: Loaded, manager: pluggy.PluginManager, unmet: Callable[[str], str]) -> Loaded:
    """Take one plugin through requirements, import and verification, up to the first failure.

    `manager` is of `specified`; it verifies plugins and keeps none. `unmet` judges a requirement.
    """
    met, verified = partial(check_requirements, unmet=unmet), partial(verify, manager=manager)
    for stage in (check_metadata, check_api, met, import_module, verified):
        if plugin.status is not Status.OK:
            break
        try:
            plugin = stage(plugin)
        except Exception as error:  # unforeseen metadata, or an unforeseen module
            reason = f"{type(error).__name__}: {error} ({raised_at(error)})"
            return plugin.failed(Status.INVALID, reason)
    return plugin


def check_metadata(plugin: Loaded) -> Loaded:
    """Refuse a plugin whose metadata can't be read."""
    return plugin.failed(Status.INVALID, plugin.found.fault) if plugin.found.fault else plugin


def check_api(plugin: Loaded) -> Loaded:
    """Refuse a plugin that was written for another major version of the hooks."""
    if plugin.found.api == API:
        return plugin
    return plugin.failed(
        Status.WRONG_API,
        f"written for hook API v{plugin.found.api}; this ebmcore has v{API}: install a release of "
        f"{plugin.found.distribution} that offers the entry-point group {GROUP!r}",
    )


def check_requirements(plugin: Loaded, unmet: Callable[[str], str]) -> Loaded:
    """Refuse a plugin if requirements of its distribution aren't installed."""
    reason = next(filter(None, map(unmet, plugin.found.requires)), "")
    return plugin.failed(Status.UNMET_REQUIREMENT, reason) if reason else plugin


def import_module(plugin: Loaded) -> Loaded:
    """Import the plugin's module; an exception or an exit during that is the plugin's failure."""
    try:
        found = plugin.found
        module = _import_file(found) if found.is_file else importlib.import_module(found.target)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return plugin.failed(Status.IMPORT_ERROR, f"{what} ({raised_at(error)})")
    return plugin._replace(module=module)


def _import_file(found: Found) -> ModuleType:
    path = Path(found.target)
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    # the hash separates an edited file from the old one, and from a standard module of its name
    stem = re.sub(r"\W", "_", path.stem)  # a dot would make it a module in a package
    name = f"ebmcore_local_{stem}_{found.sha256[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"not a Python file: {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    leave_shim(name, path)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def verify(plugin: Loaded, manager: pluggy.PluginManager) -> Loaded:
    """Check the plugin's hooks against the specifications, with no other plugin registered."""
    assert plugin.module is not None
    problem = _unmarked(plugin.module, manager)
    if problem:
        return plugin.failed(Status.INVALID, problem)
    try:
        manager.register(plugin.module, plugin.found.name)
        manager.check_pending()
        callers = manager.get_hookcallers(plugin.module) or ()
        calls = [call for caller in callers for call in caller.get_hookimpls()]
    except pluggy.PluginValidationError as error:
        return plugin.failed(Status.INVALID, " ".join(str(error).split()))
    finally:
        if manager.is_registered(plugin.module):
            manager.unregister(plugin.module)
    for call in calls:
        if call.wrapper or call.hookwrapper:
            reason = (
                f"{plugin.module.__file__}: {call.function.__name__} is marked as a wrapper, which "
                "ebmcore doesn't call, since each hook runs alone; write two plain hooks, such as "
                "ebmcore_run_start and ebmcore_run_closed, or use tryfirst and trylast"
            )
            return plugin.failed(Status.INVALID, reason)
    if not marked(plugin.module) and not calls:
        what = "no hook marked with @hookimpl and nothing decorated (@loss, @energy, …)"
        return plugin.failed(Status.INVALID, f"{plugin.module.__file__} has {what}")
    return plugin


def marked(module: ModuleType) -> list[Any]:
    """List the objects that a module itself defines and marks with a decorator, each once.

    They are classes, functions or other objects, such as a partial of functools.
    """
    found = {
        id(value): value
        for value in list(vars(module).values())
        if MARK in _own(value) and _home(value) in (module.__name__, None)
    }
    return list(found.values())


def _own(value: Any) -> Mapping[str, Any]:
    """Return an object's own attributes, without its class's or its base classes'."""
    try:
        own: Mapping[str, Any] = vars(value)
    except Exception:  # it has none, or is a placeholder for an object that isn't imported yet
        return {}
    return own


def _home(value: Any) -> Any:
    """Return the name of the module that defines an object, None when that is unknown."""
    if inspect.isclass(value) or inspect.isfunction(value):
        return value.__module__
    return _own(value).get("__module__")  # an attribute `__module__` would be its class's


def _unmarked(module: ModuleType, manager: pluggy.PluginManager) -> str:
    """Describe a function with a hook's name and no mark, or with the mark and no hook's name."""
    hook_names = [name for name in vars(hooks) if name.startswith("ebmcore_")]
    for name, value in vars(module).items():
        if not (name.startswith("ebmcore_") and isinstance(value, Callable)):  # type: ignore[arg-type] # mypy takes no ABC alias
            continue
        if name not in hook_names:
            near = difflib.get_close_matches(name, hook_names, 1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; hooks: {', '.join(hook_names)}"
            return f"{module.__file__}: there is no hook {name!r}{hint}"
        if manager.parse_hookimpl_opts(module, name) is None:
            return f"{module.__file__}: {name} lacks its mark; write @hookimpl above it"
    return ""
