"""The file of a sweep, read and validated before anything is imported or started."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Gt, Le

from ebmcore import ConfigError, NonNegativeInt, PositiveFloat, PositiveInt, Problem
from ebmcore.config import Source, check_values, parameters, read_config
from ebmcore.masking import mask_all
from ebmcore_sweep.search.space import RANGES, Range, Space

_FIXED = ("plugins", "tracking", "name")  # sections of a config that no trial varies


@dataclass(frozen=True, kw_only=True)
class Objective:
    """The metric that judges a trial, and its direction.

    Args:
        metric: The name of a metric; a trial's value is the last one that its run recorded.
        direction: Whether less is better, or more.
    """

    metric: str
    direction: Literal["minimize", "maximize"] = "minimize"


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The limits of a sweep; give one or both, the first to be reached ends it.

    Args:
        trials: How many trials there are in all, those that fail or are pruned among them.
        minutes: In how many minutes of running new trials are begun; pauses don't count.
    """

    trials: PositiveInt | None = None
    minutes: PositiveFloat | None = None

    def __post_init__(self) -> None:
        if self.trials is None and self.minutes is None:
            raise ValueError("give trials or minutes; found neither")


@dataclass(frozen=True, kw_only=True)
class Keys:
    """The keys of the file.

    Args:
        base: The config that trials vary: a file, relative to this one, or the config itself.
        space: Dotted keys of the config, each with a range or a list of choices.
        objective: The metric that judges a trial, and its direction.
        budget: When the sweep has done enough.
        name: The sweep's and its study's name; by default the file's.
        sampler: A class of optuna.samplers, or a mapping with its name as `type` and its options.
        pruner: A class of optuna.pruners likewise; by default no trial is pruned.
        workers: Processes that work at once.
        launcher: What starts them: a name, or a mapping with it as `type` and its options.
        storage: The url of an Optuna storage; by default a sqlite file beside the runs.
        retries: How many times a trial is tried again whose worker died.
        patience: Seconds without a sign of life after which a worker is taken for dead.
        seeds: How many seeds a trial is trained with, from the base's own on; its value is then the
            median over them.
    """

    base: str | dict[str, Any]
    space: dict[str, Any]
    objective: dict[str, Any]
    budget: dict[str, Any]
    name: str | None = None
    sampler: str | dict[str, Any] = "TPESampler"
    pruner: str | dict[str, Any] | None = None
    workers: PositiveInt = 1
    launcher: str | dict[str, Any] = "local"
    storage: str | None = None
    retries: NonNegativeInt = 2
    patience: Annotated[int, Gt(0), Le(10_000_000)] = 60
    seeds: Annotated[int, Gt(0), Le(1000)] = 1


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A valid file of a sweep; the components that it names are not looked up yet."""

    source: Source
    keys: Keys
    name: str
    base: Source  # without its local plugin files
    files: tuple[str, ...]  # these, by their whole paths
    space: Space
    objective: Objective
    budget: Budget
    sampler: dict[str, Any]
    pruner: dict[str, Any] | None
    launcher: dict[str, Any] = field(default_factory=lambda: {"type": "local"})

    def definition(self) -> dict[str, Any]:
        """Return the definition for workers, in the file's form with the base inside it.

        It stands in the storage: passwords are masked, and where the workers run is left out.
        """
        tree = {k: v for k, v in self.source.tree.items() if k not in ("storage", "launcher")}
        return {**tree, "name": self.name, "base": mask_all(self.base.tree)}

    def question(self) -> dict[str, Any]:
        """Return the part of it that can't change while the sweep goes on."""
        definition = self.definition()
        asked = {key: definition[key] for key in ("base", "space", "objective")}
        return asked if self.keys.seeds == 1 else {**asked, "seeds": self.keys.seeds}


def read_sweep(file: str | Path | Mapping[str, Any]) -> Sweep:
    """Read a sweep's file. Raises ConfigError with every problem of it that was found."""
    source = read_config(file)
    checked = check_values(parameters(Keys), source.tree)
    if checked.faults:
        faults = (source.problem(place, message) for place, message in checked.faults)
        raise ConfigError([*source.problems, *faults])
    keys = Keys(**checked.values)
    problems = [*source.problems]
    objective = _section(source, Objective, keys.objective, "objective", problems)
    budget = _section(source, Budget, keys.budget, "budget", problems)
    space = Space(dict(_ranges(source, keys.space, problems)))
    for key in ("sampler", "pruner", "launcher"):
        given = getattr(keys, key)
        if isinstance(given, dict) and not isinstance(given.get("type"), str):
            problems.append(source.problem(key, f"should have a `type`, its name; got {given!r}"))
    for key in keys.space:
        if key.partition(".")[0] in _FIXED:
            message = "can't be varied: it says which code is run and where a run is sent"
            problems.append(source.problem(f"space.{key}", message))
        elif mask_all(keys.space[key]) != keys.space[key]:
            message = "holds a password, which every trial would record; put it into the base"
            problems.append(source.problem(f"space.{key}", message))
    if keys.seeds > 1 and keys.pruner is not None:
        message = "can't judge trials of several seeds, which have no value before all have ended"
        problems.append(source.problem("pruner", message))
    if problems:
        raise ConfigError(problems)
    base, files = _without_files(_base(source, keys.base))
    return Sweep(
        source=source,
        keys=keys,
        name=keys.name or (Path(source.name).stem.replace("_", "-") if source.name else "sweep"),
        base=base,
        files=files,
        space=space,
        objective=objective,
        budget=budget,
        sampler=_typed(keys.sampler),
        pruner=None if keys.pruner is None else _typed(keys.pruner),
        launcher=_typed(keys.launcher),
    )


def _typed(given: str | dict[str, Any]) -> dict[str, Any]:
    return {"type": given} if isinstance(given, str) else given


def _base(source: Source, given: str | dict[str, Any]) -> Source:
    if isinstance(given, str):
        try:
            return read_config(source.folder / given)
        except ConfigError as error:
            where = source.where("base")
            raise ConfigError(
                p._replace(where=f"{where} base: {p.where}") for p in error.problems
            ) from error
    lines = {path[1:]: line for path, line in source.lines.items() if path[:1] == ("base",)}
    return Source(given, source.name, lines)


def _without_files(base: Source) -> tuple[Source, tuple[str, ...]]:
    """Take local plugin files and modules out of a base: a worker that joins names its own."""
    plugins = base.tree.get("plugins")
    if not isinstance(plugins, dict):
        return base, ()
    code = {key: plugins[key] for key in ("files", "modules") if key in plugins}
    for key, named in code.items():
        if not isinstance(named, list):
            message = f"should be a list; got {named!r:.60}"
            raise ConfigError([base.problem(f"plugins.{key}", message)])
    files = (str((base.folder / str(file)).absolute()) for file in code.get("files", ()))
    modules = (f"module:{name}" for name in code.get("modules", ()))
    others = {key: value for key, value in plugins.items() if key not in code}
    return base._replace(tree={**base.tree, "plugins": others}), (*files, *modules)


def _section(
    source: Source, cls: type[Any], given: dict[str, Any], path: str, problems: list[Problem]
) -> Any:
    """Read a section, and add its faults to the problems."""
    checked = check_values(parameters(cls), given)
    problems += [source.problem(f"{path}.{place}", text) for place, text in checked.faults]
    if checked.faults:
        return None
    try:
        return cls(**checked.values)
    except ValueError as error:
        problems.append(source.problem(path, str(error)))
        return None


def _ranges(
    source: Source, given: dict[str, Any], problems: list[Problem]
) -> Iterator[tuple[str, Range]]:
    """Read the ranges, in order."""
    if not given:
        problems.append(source.problem("space", "is empty; name a key of the config and its range"))
    earlier: list[str] = []
    for key, entry in given.items():
        path = f"space.{key}"
        entry = {"type": "categorical", "choices": entry} if isinstance(entry, list) else entry
        kind = entry.get("type") if isinstance(entry, dict) else None
        if not isinstance(kind, str) or kind not in RANGES:
            message = (
                "should be a list of choices, or a mapping whose `type` is one of "
                f"{', '.join(RANGES)}; got {entry!r:.60}"
            )
            problems.append(source.problem(path, message))
            continue
        options = {name: value for name, value in entry.items() if name != "type"}
        found = _section(source, RANGES[kind], options, path, problems)
        for other in () if found is None or found.when is None else found.when:
            if other not in earlier:
                message = f"should name keys of the space that stand before {key}; got {other!r}"
                problems.append(source.problem(f"{path}.when", message))
        earlier.append(key)
        if found is not None:
            yield key, found
