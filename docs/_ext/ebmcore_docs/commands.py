"""A page for each command, made of the help that `ebmcore COMMAND --help` prints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer.main

from ebmcore.cli.main import app
from ebmcore.cli.plugin_commands.group import PluginCommand
from ebmcore_docs.docstrings import escaped, markdown

KINDS = {"argument": "Arguments", "option": "Options"}


def pages() -> dict[str, str]:
    """Return the page of each command, by its words, such as `runs-show`.

    Raises PluginError when a command can't be loaded.
    """
    return {_name(context): _page(context, origin) for context, origin in commands()}


def overview() -> str:
    """Return the list of the commands' pages, as the page of all commands ends."""
    lines = ["\n\n## Every command\n"]
    for context, _ in commands():
        told = escaped(context.command.help.partition("\n")[0])
        lines.append(f"- [`{context.command_path}`](commands/{_name(context)}.md): {told}")
    return "\n".join(lines) + "\n"


def commands(above: Any = None, origin: str = "ebmcore") -> Iterator[tuple[Any, str]]:
    """Yield the context of each command that runs something, and the distribution that has it."""
    if above is None:
        program = typer.main.get_command(app)
        above = program.make_context("ebmcore", [], resilient_parsing=True)
    for word in above.command.list_commands(above):
        command, of = above.command.get_command(above, word), origin
        if isinstance(command, PluginCommand):
            command, of = command.load(), command.components[0].plugin.origin.split()[0]
        context = command.make_context(word, [], parent=above, resilient_parsing=True)
        if hasattr(command, "list_commands"):
            yield from commands(context, of)
        else:
            yield context, of


def _name(context: Any) -> str:
    return "-".join(context.command_path.split()[1:])


def _page(context: Any, origin: str) -> str:
    usage = context.command.get_usage(context).removeprefix("Usage: ")
    parts = [
        f"# {context.command_path}",
        f"*a command of {origin}*",
        f"```text\n{usage}\n```",
        markdown(context.command.help),
    ]
    for kind, heading in KINDS.items():
        params = context.command.get_params(context)
        records = [p.get_help_record(context) for p in params if p.param_type_name == kind]
        rows = [f"| {_code(given)} | {escaped(told)} |" for given, told in filter(None, records)]
        if rows:
            parts += [f"## {heading}", "\n".join(["| | |", "| --- | --- |", *rows])]
    return "\n\n".join(parts) + "\n"


def _code(text: str) -> str:
    return f"`{text}`".replace("|", r"\|")
