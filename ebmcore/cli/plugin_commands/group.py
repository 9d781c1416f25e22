"""Commands of plugins beside the core's: listed without an import, imported when called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer.main
from typer.core import TyperCommand, TyperGroup

from ebmcore.cli.output import answering, ending, output_aside
from ebmcore.errors import PluginError

if TYPE_CHECKING:
    from ebmcore.plugins import Component, Host

_HOSTS = "ebmcore.hosts"  # where a call keeps the plugins that it loaded


class CommandGroup(TyperGroup):
    """The commands of the core, and those of plugins that join this group.

    Plugins are looked for when a command is asked for that the core doesn't have, and for the help.
    """

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names for the help: where plugins offer one name, each one's full name."""
        self._join(ctx)
        return [name for name in super().list_commands(ctx) if _is_listed(name, self.commands)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command; one of a plugin's is not imported yet."""
        if cmd_name not in self.commands:
            self._join(ctx, cmd_name)
        return super().get_command(ctx, cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that is called, imported; refuse one that can't be."""
        from_plugin = args[0] not in self.commands or isinstance(
            self.commands[args[0]], PluginCommand
        )
        if not from_plugin:
            return super().resolve_command(ctx, args)
        with ending(as_json="--json" in args):
            command = self.get_command(ctx, args[0])
            if isinstance(command, PluginCommand):
                return args[0], command.load(), args[1:]
            self._explain(ctx, args[0])
        return super().resolve_command(ctx, args)

    def _join(self, ctx: Any, word: str = "") -> None:
        """Add the plugins' commands, or, for a known word, those of the plugin that has it."""
        from ebmcore.cli.plugin_commands.offers import commands_in

        host, group = _host(ctx, word), _group(ctx)
        for name, components in sorted(commands_in(host, group).items()):
            self.commands.setdefault(name, PluginCommand(name, components))

    def _explain(self, ctx: Any, word: str) -> None:
        from ebmcore.cli.plugin_commands.offers import missing_command

        explained = missing_command(_host(ctx, word), _group(ctx), word)
        if explained:
            raise PluginError(explained)


class PluginCommand(TyperCommand):
    """A plugin's command before it is imported; several that share a name, until one is chosen."""

    def __init__(self, word: str, components: list[Component]) -> None:
        super().__init__(word, callback=None)
        self.word = word
        self.components = components

    def get_short_help_str(self, limit: int = 45) -> str:
        """Return the line for the help; only now is a module's source read."""
        from ebmcore.cli.plugin_commands.source_help import help_of

        self.help = help_of(self.components[0].target)
        return super().get_short_help_str(limit)

    def load(self) -> Any:
        """Import the command. Raises PluginError when it can't be, or isn't one."""
        from ebmcore.cli.plugin_commands.offers import only

        component = only(self.word, self.components)
        target = component.load()
        app = typer.Typer(add_completion=False)
        app.callback()(_nothing)  # keeps `app` a group, though it has one command
        try:
            if isinstance(target, typer.Typer):
                app.add_typer(target, name=self.word)
            elif callable(target):
                app.command(self.word)(target)
            else:
                raise TypeError(f"{target!r:.60} is neither a typer app nor a function")
            command = typer.main.get_command(app).commands[self.word]  # type: ignore[attr-defined] # it is a group
        except Exception as error:  # an annotation that typer can't read
            raise PluginError(
                f"command {component.full_name} of {component.plugin.origin} can't be built: "
                f"{type(error).__name__}: {error}"
            ) from error
        _answer(command)
        return command


def _nothing() -> None:
    pass


def _answer(command: Any) -> None:
    """Have a command, and those below it, answer and fail as the core's commands do."""
    if command.callback is not None:
        command.callback = answering(command.callback)
    for inner in getattr(command, "commands", {}).values():
        _answer(inner)


def _is_listed(name: str, commands: Mapping[str, Any]) -> bool:
    """Whether the help lists a name: not a full name whose short one will do, nor a shared one."""
    command = commands[name]
    if not isinstance(command, PluginCommand):
        return True
    if ":" not in name:
        return len(command.components) == 1
    short = commands[name.rpartition(":")[2]]
    return isinstance(short, PluginCommand) and len(short.components) > 1


def _group(ctx: Any) -> str:
    return "" if ctx.parent is None else str(ctx.command.name)


def _host(ctx: Any, word: str) -> Host:
    """Return the plugins that offer commands, or a known one; a call loads them once."""
    from ebmcore.cli.plugin_commands.offers import load_offering
    from ebmcore.plugins import Selection
    from ebmcore.plugins.suggestions import KNOWN_COMMANDS

    called = f"{_group(ctx)} {word}".strip()
    name = called if called in KNOWN_COMMANDS else ""
    hosts = ctx.meta.setdefault(_HOSTS, {})
    if name not in hosts:
        with output_aside():
            hosts[name] = load_offering(Selection.from_options(()), name)
    found: Host = hosts[name]
    return found
