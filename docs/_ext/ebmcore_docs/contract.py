"""A page for each module that a plugin's author reads, made of its docstrings and signatures."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from ebmcore_docs.docstrings import markdown

ROOT = Path(__file__).parents[3]  # of the repository
MODULES = {  # the page of each, its title and the file that it reads
    "hooks": ("Hooks", "ebmcore/hooks.py"),
    "components": ("Components", "ebmcore/contracts.py"),
    "runs": ("Monitors and callbacks", "ebmcore/run_contracts.py"),
    "services": ("Launchers and trackers", "ebmcore/service_contracts.py"),
    "spaces": ("Event spaces", "ebmcore/spaces.py"),
    "experiment": ("An experiment of objects", "ebmcore/runner/experiment.py"),
    "run": ("A run", "ebmcore/runner/run.py"),
    "functions": ("Runs by function", "ebmcore/runner/api.py"),
    "errors": ("Errors", "ebmcore/errors.py"),
}


def pages() -> dict[str, str]:
    """Return the page of each module of the contract."""
    return {
        name: page(title, file, (ROOT / file).read_text(encoding="utf-8"))
        for name, (title, file) in MODULES.items()
    }


def overview() -> str:
    """Return the list of these pages, as the page of the contract ends."""
    entries = (f"- [{title}](contract/{name}.md)" for name, (title, _) in MODULES.items())
    return "\n\n## Pages\n\n" + "\n".join(entries) + "\n"


def page(title: str, file: str, source: str) -> str:
    """Return the page of a module: its docstring, then its public classes and functions."""
    tree = ast.parse(source)
    parts = [
        f"# {title}",
        f"*From [`{file}`](../../{file}).*",
        markdown(ast.get_docstring(tree) or ""),
    ]
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and _public(node.name):
            parts.extend(_class(node, source))
        elif isinstance(node, ast.FunctionDef) and _public(node.name):
            parts.extend(_function(node, "##", node.name))
    return "\n\n".join(part for part in parts if part) + "\n"


def _class(node: ast.ClassDef, source: str) -> Iterator[str]:
    yield f"## {node.name}"
    yield markdown(ast.get_docstring(node) or "")
    if fields := _fields(node, source):
        yield f"```python\n{fields}\n```"
    for inner in node.body:
        if not isinstance(inner, ast.FunctionDef) or not ast.get_docstring(inner):
            continue
        if _public(inner.name) or inner.name == "__call__":
            yield from _function(inner, "###", f"{node.name}.{inner.name}")


def _fields(node: ast.ClassDef, source: str) -> str:
    """Return the lines that declare a class's fields, with the comments that explain them."""
    fields = [each for each in node.body if isinstance(each, ast.AnnAssign | ast.Assign)]
    if not fields:
        return ""
    lines = source.splitlines()[fields[0].lineno - 1 :]
    kept = []
    for line in lines:
        bare = line.strip()
        if not bare or bare.startswith(("def ", "@", '"""')):
            break
        kept.append(line[4:])
    return "\n".join(kept)


def _function(node: ast.FunctionDef, level: str, title: str) -> Iterator[str]:
    yield f"{level} {title.replace('_', chr(92) + '_')}"
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    decorators = {ast.unparse(each) for each in node.decorator_list}
    signature = f"def {node.name}({_arguments(node)}){returns}"
    if "property" in decorators:
        signature = f"{node.name}: {ast.unparse(node.returns)}" if node.returns else node.name
    elif decorators & {"classmethod", "staticmethod"}:
        signature = f"@{next(iter(decorators))}\n{signature}"
    yield f"```python\n{signature}\n```"
    yield markdown(ast.get_docstring(node) or "")


def _arguments(node: ast.FunctionDef) -> str:
    """Return a function's parameters, a line for each when they don't fit into one."""
    text = ast.unparse(node.args)
    if len(text) <= 70:
        return text
    arguments = node.args
    plain = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(plain) - len(arguments.defaults)) + list(arguments.defaults)
    shown = [_argument(each, default) for each, default in zip(plain, defaults, strict=True)]
    if arguments.vararg:
        shown.append(f"*{ast.unparse(arguments.vararg)}")
    elif arguments.kwonlyargs:
        shown.append("*")
    named = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    shown.extend(_argument(each, default) for each, default in named)
    if arguments.kwarg:
        shown.append(f"**{ast.unparse(arguments.kwarg)}")
    return "\n" + "".join(f"    {each},\n" for each in shown)


def _argument(each: ast.arg, default: ast.expr | None) -> str:
    text = ast.unparse(each)
    if default is None:
        return text
    equals = " = " if each.annotation else "="
    return f"{text}{equals}{ast.unparse(default)}"


def _public(name: str) -> bool:
    return not name.startswith("_")
