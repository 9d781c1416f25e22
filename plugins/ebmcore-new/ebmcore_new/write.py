"""The text of a new config: what was seen of the data, the recipe for it, and the reasons."""

from __future__ import annotations

from pathlib import Path

from ebmcore.config import parse_config
from ebmcore.errors import ConfigError, EbmError
from ebmcore_new.look.seen import Seen
from ebmcore_new.look.words import scalar
from ebmcore_new.recipes.lines import Line, comment, render

_SCORED = ("table", "points", "sequences")


def config_for(seen: Seen, config: Path) -> str:
    """Return the config that trains on data that were looked at, to be written as `config`."""
    from ebmcore_new.recipes.discrete import bits, categories
    from ebmcore_new.recipes.images import images
    from ebmcore_new.recipes.sequences import sequences
    from ebmcore_new.recipes.vectors import points, table

    recipe = {
        "bits": bits,
        "categories": categories,
        "images": images,
        "points": points,
        "sequences": sequences,
        "table": table,
    }[seen.kind]
    about, lines = recipe(seen)
    found = next(value for name, value, _ in seen.keys if name == "path")
    head = comment(f"{_capital(seen.about)} in {found}. {about}")
    for text in seen.decide:
        head += comment(f"Decide: {text}")
    head.append(f"#   ebmcore run {config}")
    head.append("#   ebmcore score RUN_DIR NEW -o scores.csv" if seen.kind in _SCORED else
                "#   ebmcore sample RUN_DIR -n 100 -o samples.npz")  # fmt: skip
    top = [Line(f"name: {scalar(name_of(config))}"), Line("seed: 0", "another seed, another run")]
    return "\n".join(head) + "\n" + render([*top, *lines])


def name_of(config: Path) -> str:
    """Return the name of a config's runs."""
    return config.stem.replace("_", "-")


def verify(text: str, config: Path) -> None:
    """Check that a config is valid, that its data are read and its parts fit. Raises EbmError."""
    from ebmcore.runner import compose, prepare_source

    try:
        prepared = prepare_source(parse_config(text, str(config)))
        compose(*prepared, device="meta").dry_run(prepared.config.train)
    except ConfigError as error:  # the lines of a config that isn't there would mislead
        raise EbmError("\n".join(dict.fromkeys(p.message for p in error.problems))) from error


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
