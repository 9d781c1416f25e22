"""A page for each component, made of its docstring and its keys, as `ebmcore show` reads them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from ebmcore.cli.parts.catalog import describe_component, open_host
from ebmcore.config import of_torch
from ebmcore.kinds import OFFERED, Kind
from ebmcore.plugins import Component, Host
from ebmcore_docs.docstrings import described, escaped

ROOT = Path(__file__).parents[3]  # of the repository
EXAMPLES = ("examples/*.yaml", "examples/*/*.yaml")


def pages(host: Host | None = None) -> dict[str, str]:
    """Return the pages of all components and of their kinds, by name, such as `sampler/langevin`.

    Raises PluginError when a component can't be loaded.
    """
    host = host or open_host(None)
    used = examples_by_component()
    found = {}
    for kind in OFFERED.values():
        components = [part for part in host.components(kind.name) if _is_ours(part)]
        components.sort(key=lambda part: (of_torch(part), part.name))
        shown = [describe_component(host, kind.name, part.full_name) for part in components]
        found[kind.name] = _kind_page(kind, components, shown)
        for component, about in zip(components, shown, strict=True):
            examples = used.get((kind.name, component.name), [])
            found[f"{kind.name}/{component.name}"] = _page(kind, component, about, examples)
    return found


def _is_ours(component: Component) -> bool:
    """Tell whether this repository offers a component, or the core does of torch's."""
    distribution = component.plugin.origin.split()[0]
    return distribution == "ebmcore" or (ROOT / "plugins" / distribution).is_dir()


def overview() -> str:
    """Return the list of the kinds' pages, as the page of all parts ends."""
    entries = "\n".join(f"- [{title(kind)}](parts/{kind.name}.md)" for kind in OFFERED.values())
    return f"\n\n## Kinds\n\n{entries}\n"


def title(kind: Kind) -> str:
    """Return the heading of a kind: `Samplers`."""
    words = kind.hook.removeprefix("ebmcore_").replace("lr_", "learning-rate ")
    return words.capitalize()


def examples_by_component() -> dict[tuple[str, str], list[str]]:
    """Return the files of examples that name each component, by its kind and its name."""
    found: dict[tuple[str, str], list[str]] = {}
    for file in sorted(file for pattern in EXAMPLES for file in ROOT.glob(pattern)):
        config = yaml.safe_load(file.read_text(encoding="utf-8"))
        for kind in OFFERED.values():
            for name in dict.fromkeys(_names(kind, config)):
                found.setdefault((kind.name, name), []).append(file.relative_to(ROOT).as_posix())
    return found


def _names(kind: Kind, config: Mapping[str, Any]) -> Iterator[str]:
    node: Any = config
    for key in kind.key.split("."):
        node = node.get(key) if isinstance(node, Mapping) else None
    nodes = node.values() if kind.is_map and isinstance(node, Mapping) else [node]
    for each in nodes:
        for one in each if isinstance(each, list) else [each]:
            if isinstance(one, str):
                yield one
            elif isinstance(one, Mapping):
                yield one.get("type", "")
                for inner in one.get("terms", ()) if kind.name == "energy" else ():
                    yield inner.get("type", "")


def _kind_page(kind: Kind, components: list[Component], shown: list[dict[str, Any]]) -> str:
    rows = []
    for component, found in zip(components, shown, strict=True):
        lead = described(found["doc"]).lead
        link = f"[`{component.name}`]({kind.name}/{component.name}.md)"
        rows.append(f"| {link} | {lead} | {found['plugin'].split()[0]} |")
    names = "\n".join(f"{kind.name}/{component.name}" for component in components)
    head = f"""# {title(kind)}

For you, if you want to know which {title(kind).lower()} there are. A config names one under
`{kind.key}`; a plugin offers its own by the hook `{kind.hook}`."""
    table = "\n".join(["| name | | from |", "| --- | --- | --- |", *rows])
    return f"{head}\n\n{table}\n\n```{{toctree}}\n:hidden:\n\n{names}\n```\n"


def _page(
    kind: Kind, component: Component, found: Mapping[str, Any], examples: Sequence[str]
) -> str:
    about = described(found["doc"])
    sections = {
        "": about.lead,
        "About": about.text,
        "In a config": _config(kind, component.name, found["keys"]),
        "Keys": _keys(found["keys"]),
        "From Python": _python(component, found),
        "Failures": about.failures,
        "Source": about.source,
        "Examples": "\n".join(f"- [{file}](../../../{file})" for file in examples),
    }
    head = (
        f"# {component.name}\n\n*{kind.name.replace('_', ' ')}, from {found['plugin'].split()[0]}*"
    )
    told = (f"## {name}\n\n{text}" if name else text for name, text in sections.items() if text)
    return "\n\n".join([head, *told]) + "\n"


def _config(kind: Kind, name: str, keys: Sequence[Mapping[str, Any]]) -> str:
    """Return the shortest node that names a component, its required keys left open."""
    required = "".join(f", {key['name']}: …" for key in keys if key["required"])
    node = f"{{type: {name}{required}}}"
    if kind.is_map:
        node = f"{{NAME: {node}}}"
    elif kind.is_list:
        node = f"[{node}]"
    outer, _, inner = kind.key.partition(".")
    if inner:
        node = f"{{type: …, {inner}: {node}}}"
    return f"```yaml\n{outer}: {node}\n```"


def _keys(keys: list[dict[str, Any]]) -> str:
    if not keys:
        return "It has none."
    rows = [
        f"| `{key['name']}` | {escaped(key['type'])} | {_default(key)} | "
        f"{escaped(key['description'])} |"
        for key in keys
    ]
    return "\n".join(["| key | type | default | meaning |", "| --- | --- | --- | --- |", *rows])


def _default(key: Mapping[str, Any]) -> str:
    if key["required"]:
        return "required"
    shown = key["default"].replace("|", r"\|")
    return f"`{shown}`"


def _python(component: Component, found: Mapping[str, Any]) -> str:
    return f"```python\n{found.get('import') or import_line(component)}\n```"


def import_line(component: Component) -> str:
    """Return the line that imports a component: from its package, if that exports it."""
    module, _, name = component.target.partition(":")
    package = module.partition(".")[0]
    exported = getattr(import_module(package), name, None) is component.load()
    return f"from {package if exported else module} import {name}"
