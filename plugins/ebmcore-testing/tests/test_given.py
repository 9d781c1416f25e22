"""The model, the data and the event space that an author gives to check a component with."""

import json
import re
import sys
from importlib import import_module
from pathlib import Path

import pytest
import torch
from torch import nn

from ebmcore.testing import CheckFailed, EnergySuite, LossSuite, NotApplicable, SamplerSuite

GUIDE = Path(__file__).parents[3] / "docs" / "plugins" / "testing.md"


def passed(suite):
    """Run all checks of a suite; return those that apply."""
    names = []
    for check in suite.checks():
        try:
            suite().run(check)
        except NotApplicable:
            continue
        names.append(check)
    return names


@pytest.fixture
def guide(tmp_path, monkeypatch):
    """Write the guide's `labels.py` here, and return the test file beside it."""
    if not GUIDE.exists():
        pytest.skip("the guide is no part of this distribution")
    blocks = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text(), re.DOTALL | re.MULTILINE)
    (labels,) = [block for block in blocks if block.startswith("# labels.py\n")]
    (test,) = [block for block in blocks if "from labels import" in block]
    (tmp_path / "labels.py").write_text(labels)
    monkeypatch.syspath_prepend(tmp_path)
    yield test
    sys.modules.pop("labels", None)


def test_the_guides_losses_pass(guide, command):
    done = command("check", "./labels.py", "--json")
    assert done.exit_code == 0, done.stdout
    found = json.loads(done.stdout)
    assert found["counts"] == {"passed": 12, "not applicable": 4}
    reasons = {c["reason"] for c in found["checks"] if c["result"] == "not applicable"}
    assert reasons == {"it is checked with its own check_energy: no best fit is known"}


def test_the_guides_suite_passes(guide):
    here = {"__name__": "guide"}
    exec(compile(guide, "guide", "exec"), here)
    suite = here["TestCrossEntropy"]
    assert passed(suite) == [
        "scalar",
        "finite",
        "shift_invariant",
        "gradient",
        "no_host_sync",
        "inputs_untouched",
    ]
    assert suite.component is import_module("labels").cross_entropy
    y = suite().rows(9, (2,))["y"]
    assert y.tolist() == (suite().rows(9, (2,))["x"].sum(1) > 0).long().tolist()


def logistic(energy, x, y):
    return (y * energy(x) + 0 * x.sum(1)).mean()


def rows(n, generator):
    return {"x": torch.randn(n, 3, generator=generator), "y": torch.arange(n) % 2}


def net(event_shape):
    return nn.Sequential(nn.Linear(*event_shape, 1), nn.Flatten(0))


@pytest.mark.parametrize("energy", [net, staticmethod(net), net((3,))])
def test_a_suite_holds_functions_and_modules(energy):
    facts = {"component": logistic, "check_energy": energy, "check_batch": rows}
    suite = type("Given", (LossSuite,), {**facts, "shift_invariant": False})
    assert suite().shapes() == ((3,),)  # those of check_batch
    assert "gradient" in passed(suite)
    assert suite().energy((3,)) is not energy  # a module is copied


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"check_energy": 3}, "check_energy should be callable; got 3"),
        ({"check_energy": lambda shape: abs}, "check_energy should be an nn.Module, or a callable"),
        ({"check_energy": lambda depth, width: None}, "needs depth, width, which the suite"),
        ({"check_batch": lambda n: [1, 2, 3]}, "check_batch should return x, (x, y) or a mapping"),
        ({"check_batch": lambda n: {"y": 3}}, "check_batch should return x, (x, y) or a mapping"),
        ({"check_batch": lambda: torch.ones(3, 2)}, "should return 8 events of shape (2,); got"),
    ],
)
def test_a_wrong_gift_is_named(facts, message):
    suite = type("Wrong", (LossSuite,), {"component": logistic, **facts})
    with pytest.raises(CheckFailed) as caught:
        suite().run("scalar")
    assert message in caught.value.measured


class Codes:
    """Whole numbers from 0 to 3."""

    def sizes(self, shape):
        return (4,) * torch.Size(shape).numel()

    def dtype_in(self, dtype):
        return torch.int64

    def sample(self, shape, generator=None, device=None, dtype=None):
        return torch.randint(4, shape, generator=generator)


class Uniform:
    """A sampler that forgets the energy."""

    def sample(self, energy, x, n_steps, generator):
        return torch.randint(4, x.shape, generator=generator)


def test_a_sampler_of_whole_numbers_is_held_to_the_enumerated_law():
    suite = type("OnCodes", (SamplerSuite,), {"component": Uniform, "check_space": Codes()})
    for check in ("shape", "chains_independent", "reproducible", "remembers_nothing"):
        suite().run(check)
    with pytest.raises(CheckFailed, match=r"the law exp\(-E\) of 16 events"):
        suite().run("stationary")


def test_an_energy_of_whole_numbers_has_no_gradient():
    class Table(nn.Module):
        check_space = Codes()

        def __init__(self, event_shape):
            super().__init__()
            self.rows = nn.Parameter(torch.linspace(-1, 1, 4))

        def forward(self, x):
            return self.rows[x].flatten(1).sum(1)

    suite = type("OnCodes", (EnergySuite,), {"component": Table})
    missing = set(suite.checks()) - {*passed(suite)}
    assert missing == {"gradient", "one_hot", "second_derivative"}
