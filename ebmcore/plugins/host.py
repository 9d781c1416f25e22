"""A host holds the plugins that were loaded and the components that they offer.

There is no global registry: two hosts in one process are independent.
"""

from __future__ import annotations

import difflib
import functools
import importlib
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any, NamedTuple

import pluggy

from ebmcore import hooks
from ebmcore.decorators import MARK
from ebmcore.errors import PluginError, raised_at
from ebmcore.kinds import COMMAND, OFFERED
from ebmcore.plugins.aliases import part_called
from ebmcore.plugins.builtin import CORE, core
from ebmcore.plugins.find import Found
from ebmcore.plugins.installed import unmet
from ebmcore.plugins.load import load, marked, specified
from ebmcore.plugins.names import check_name
from ebmcore.plugins.select import Loaded, Selection, Status, find_selected
from ebmcore.plugins.suggestions import KNOWN


class Component(NamedTuple):
    """One implementation of one kind; `load` imports its class or function, nothing does before."""

    kind: str
    name: str
    plugin: Found
    target: Any  # "module:attribute", or the object itself

    @property
    def full_name(self) -> str:
        """The unambiguous name, `plugin:name`."""
        return f"{self.plugin.name}:{self.name}"

    def load(self) -> Any:
        """Import the class or function. Raises PluginError naming the plugin when that fails."""
        if not isinstance(self.target, str):
            return self.target
        module, _, attribute = self.target.partition(":")
        try:
            value: Any = importlib.import_module(module)
            for part in attribute.split("."):
                value = getattr(value, part)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # an import that exits is a failure of the plugin, too
            who = (
                f"plugin {self.plugin.name!r} ({self.plugin.origin}) offers {self.target!r}, which"
            )
            what, hint = f"{type(error).__name__}: {error} ({raised_at(error)})", ""
            if self.target == self.full_name:  # of a module, which is no plugin
                who, hint = "it", ". Install its module, or add its folder to PYTHONPATH"
            raise PluginError(
                f"{self.kind} {self.full_name}: {who} can't be loaded: {what}{hint}"
            ) from error
        return value


class Host:
    """The plugins of one process, or of one run, and their components."""

    def __init__(self, plugins: Iterable[Loaded]) -> None:
        self.plugins: tuple[Loaded, ...] = ()
        self.modules: tuple[str, ...] = ()  # that the user named, beside the plugins
        self.hooks = pluggy.PluginManager("ebmcore")
        self.hooks.add_hookspecs(hooks)
        self._components: dict[str, list[Component]] = {
            kind: [] for kind in (*OFFERED, COMMAND.name)
        }
        self._register(core())
        self.plugins = tuple(self._register(plugin) for plugin in plugins)

    @classmethod
    def discover(cls, selection: Selection | None = None) -> Host:
        """Find, select, import, verify and register, each plugin on its own."""
        selection = selection or Selection()
        host = cls.of(find_selected(selection))
        host.modules = tuple(dict.fromkeys(selection.modules))
        return host

    @classmethod
    def of(cls, plugins: Iterable[Loaded]) -> Host:
        """Import, verify and register these plugins, each on its own."""
        manager, judged = specified(), functools.cache(unmet)  # most plugins require the same few
        return cls(load(plugin, manager, judged) for plugin in plugins)

    def _register(self, plugin: Loaded) -> Loaded:
        if plugin.status is not Status.OK or plugin.module is None:
            return plugin
        owner = self.hooks.get_name(plugin.module)
        if owner is not None:
            module = plugin.module.__name__
            reason = f"the module {module!r} is plugin {owner!r} already; give each its own module"
            return plugin.failed(Status.CONFLICT, reason)
        try:
            self.hooks.register(plugin.module, plugin.found.name)
            components = self._offers(plugin)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            if self.hooks.is_registered(plugin.module):
                self.hooks.unregister(plugin.module)
            reason = f"{type(error).__name__}: {error} ({raised_at(error)})"
            if isinstance(error, PluginError):  # the host refuses a hook's result
                reason = str(error)
            return plugin.failed(Status.INVALID, reason)
        for component in components:
            self._components[component.kind].append(component)
        return plugin

    def _offers(self, plugin: Loaded) -> list[Component]:
        """List the components that a plugin's hooks return or its module marks with a decorator.

        Raises PluginError when a name is invalid, or names two components.
        """
        assert plugin.module is not None
        found: dict[tuple[str, str], Component] = {}
        offers = [*self._hooked(plugin.module), *_decorated(plugin.module)]
        for kind, name, target in offers:
            check_name(kind, name, plugin.found.distribution)
            if (kind, name) in found:
                raise PluginError(f"offers two parts of kind {kind} named {name!r}; rename one")
            found[kind, name] = Component(kind, name, plugin.found, target)
        return list(found.values())

    def _hooked(self, module: ModuleType) -> Iterable[tuple[str, Any, Any]]:
        for kind in (*OFFERED.values(), COMMAND):
            for hook in getattr(self.hooks.hook, kind.hook).get_hookimpls():
                if hook.plugin is not module:
                    continue
                offers = hook.function()
                if not isinstance(offers, Mapping):
                    raise PluginError(
                        f"{kind.hook} must return a mapping name -> 'module:attribute'; "
                        f"got {type(offers).__name__}"
                    )
                for name, target in offers.items():
                    is_target = isinstance(target, str) and all(target.partition(":"))
                    if not (callable(target) or is_target):
                        raise PluginError(
                            f"{kind.hook} offers {name!r}: {target!r}; want 'module:attribute'"
                        )
                    yield kind.name, name, target

    def components(self, kind: str | None = None) -> tuple[Component, ...]:
        """List what is offered, of one kind or of all components, sorted by kind and name."""
        kinds = OFFERED if kind is None else (kind,)
        return tuple(
            component
            for kind in kinds
            for component in sorted(self._components[kind], key=lambda c: (c.name, c.plugin.name))
        )

    def find(self, kind: str, name: str) -> Component:
        """Return the component of this name, short, `plugin:name` or `module:name`.

        A short name that the core offers is the core's; a plugin's own is `plugin:name`.
        Raises PluginError with near misses, plugins that failed, and the package to install.
        """
        fits = [c for c in self._components[kind] if name in (c.name, c.full_name)]
        fits = [c for c in fits if c.plugin == CORE] or fits  # a config means the same everywhere
        if len(fits) == 1:
            return fits[0]
        if not fits and name.partition(":")[0] in self.modules:
            return self._of_module(kind, name)
        if fits:
            candidates = ", ".join(sorted(c.full_name for c in fits))
            raise PluginError(
                f"{kind} {name!r} is offered more than once; write one of {candidates}."
            )
        raise PluginError(self._unknown(kind, name))

    def _of_module(self, kind: str, name: str) -> Component:
        """Return a class or a function that a module defines itself; raises PluginError."""
        module, _, attribute = name.partition(":")
        found = Component(kind, attribute, Found(module, module), name)
        target = found.load()
        own = [getattr(target, key, None) for key in ("__module__", "__qualname__")]
        if own != [module, attribute] or not callable(target):
            raise PluginError(f"{module} defines no class or function {attribute!r} itself")
        return found._replace(target=target)

    def _unknown(self, kind: str, name: str) -> str:
        names = sorted({c.name for c in self._components[kind]})
        short = name.rpartition(":")[2]
        parts = [f"no {kind} {name!r}."]
        distribution = KNOWN.get((kind, short))
        near = difflib.get_close_matches(short, names, 2)
        near = near or [name for name in names if name.lower() == short.lower()]
        meant = None if distribution else part_called(kind, short, names)
        if meant is not None and meant not in names:
            distribution = KNOWN[kind, meant]
        if meant is not None:
            parts.append(f"Did you mean {meant!r}?")
        elif distribution is None and near:
            parts.append(f"Did you mean {' or '.join(repr(n) for n in near)}?")
        parts.append(f"Installed: {', '.join(names) or 'none'}.")
        return " ".join([*parts, *self.reasons(distribution)])

    def reasons(self, distribution: str | None) -> list[str]:
        """Say why an offer may be missing: plugins that failed, and its distribution, if known."""
        reasons = [
            f"Plugin {plugin.found.name!r} ({plugin.found.origin}) is {plugin.status}: "
            f"{plugin.reason}."
            for plugin in self.plugins
            if plugin.is_failure or (plugin.found.distribution == distribution is not None)
        ]
        if distribution and distribution not in {p.found.distribution for p in self.plugins}:
            reasons.append(f"Install it with: pip install {distribution}")
        return reasons

    def check(self, selection: Selection, *, strict: bool = False) -> None:
        """Raise PluginError when a plugin or a file that the user named didn't load.

        When strict, any plugin's failure counts; a plugin left out on purpose never does.
        """
        if strict:
            _raise_failed([p for p in self.plugins if p.is_failure])
        for name in selection.require:
            plugins = [p for p in self.plugins if name in (p.found.name, p.found.distribution)]
            if not plugins:
                there = ", ".join(p.found.name for p in self.plugins) or "none"
                raise PluginError(f"no plugin {name!r} is installed. Installed: {there}.")
            _raise_failed(plugins)
        _raise_failed([p for p in self.plugins if p.found.is_file])


def _raise_failed(plugins: Iterable[Loaded]) -> None:
    for plugin in plugins:
        if plugin.status is not Status.OK:
            raise PluginError(
                f"plugin {plugin.found.name!r} ({plugin.found.origin}) is {plugin.status}: "
                f"{plugin.reason}"
            )


def _decorated(module: ModuleType) -> Iterable[tuple[str, Any, Any]]:
    for value in marked(module):
        mark = getattr(value, MARK)
        yield mark.kind, mark.name, value
