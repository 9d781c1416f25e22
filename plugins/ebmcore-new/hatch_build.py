"""Puts the repository's examples into the built distribution, beside the code that lists them."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SHIPPED = (".yaml", ".csv", ".py")


class Examples(BuildHookInterface):  # type: ignore[type-arg] # of the builder's own config
    """Adds the examples; an editable install reads them where they are."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add each example and the files that it needs, but for whole plugins."""
        examples = Path(self.root).parents[1] / "examples"
        if version == "editable" or not examples.is_dir():  # built from an sdist, which holds them
            return
        plugins = {file.parent for file in examples.glob("*/pyproject.toml")}
        for file in sorted(examples.rglob("*")):
            if file.suffix in SHIPPED and not plugins & set(file.parents):
                place = f"ebmcore_new/examples/{file.relative_to(examples).as_posix()}"
                build_data["force_include"][str(file)] = place
