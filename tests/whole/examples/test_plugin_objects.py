"""Objects of the installed plugins, as a script makes them, are made again of their record."""

import inspect
from types import SimpleNamespace

import pytest
import torch

from ebmcore import ConfigError
from ebmcore.config.values.signature import is_part
from ebmcore.data.load import load_data
from ebmcore.runner.objects import _Writer

AT_LEAST = {
    "energy": 10, "sampler": 5, "chains": 3, "loss": 10, "monitor": 10, "dataset": 8,
    "transform": 5,
}  # fmt: skip


@pytest.fixture(scope="module")
def writer():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(40, 2, generator=generator)
    data = load_data(x, holdout=0.1, generator=generator, dtype=torch.float32)
    parts, device = SimpleNamespace(data=data), torch.device("cpu")
    return _Writer(SimpleNamespace(parts=parts, seed=0, device=device))


@pytest.mark.parametrize("kind", AT_LEAST)
def test_parts_are_made_again(writer, kind):
    found = []
    for component in writer.host.components(kind):
        target = component.load()
        named = inspect.signature(target).parameters
        needed = [name for name, parameter in named.items() if parameter.default is parameter.empty]
        if is_part(target):
            part = target
        elif not inspect.isclass(target) or "training_data" in named:
            continue  # it returns a part of another name, or is given rows by a run alone
        elif set(needed) <= {"event_shape"}:
            try:
                part = target(**dict.fromkeys(needed, (2,)))
            except ValueError:  # its defaults are of other events
                continue
        else:
            continue
        try:
            record, _ = writer.write(kind, component.name, (part, {}))
        except ConfigError:  # an attribute that means something else than the argument
            continue
        assert record["type"] == component.full_name
        found.append(component.name)
    assert len(found) >= AT_LEAST[kind]
