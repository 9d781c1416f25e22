"""The conformance kit as a plugin's author meets it: suites, their declarations, the command."""

import json
import re
import subprocess
import sys
from typing import ClassVar

import pytest
import torch
from ebmcore_testing.measures import statistics
from ebmcore_testing.report import SUITES, check_plugin

import ebmcore.testing
from ebmcore import Binary, Categorical, Chains, EbmError, Host, Mixed, Real, Start
from ebmcore.kinds import KINDS, TRACKER
from ebmcore.plugins import Selection
from ebmcore.testing import (
    ChainsSuite,
    CheckFailed,
    EnergySuite,
    LossSuite,
    SamplerSuite,
    Suite,
)

PLUGIN = """
import torch
from torch import nn
from ebmcore import energy, loss

@energy
class bowl(nn.Module):
    def __init__(self, event_shape, *, width: float):
        super().__init__()
        self.width = nn.Parameter(torch.full(event_shape, width))

    def forward(self, x):
        return 0.5 * (self.width * x).square().flatten(1).sum(1)

@loss
def gap(energy, x, x_neg):
    return energy(x).mean() - energy(x_neg).mean()
"""


@pytest.fixture
def plugin(tmp_path):
    def write(*changes):
        text = PLUGIN
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "my_plugin.py"
        path.write_text(text)
        return str(path)

    return write


def bowl(x):
    return x.square().flatten(1).sum(1) / 2


class TestAFunction(EnergySuite):
    component = bowl
    event_shapes: ClassVar = [(2,), (3, 4)]


def kinked(x):
    return x.abs().flatten(1).sum(1)


class TestAnExpectedFailure(EnergySuite):
    component = kinked
    expected_failures: ClassVar = {"second_derivative": "it is a cone, and says so only here"}


def langevin(energy, x, generator, *, step_size: float = 0.1):
    import torch

    from ebmcore import energy_and_score

    noise = torch.randn(x.shape, generator=generator, dtype=x.dtype)
    return x + step_size * energy_and_score(energy, x)[1] + (2 * step_size) ** 0.5 * noise


class TestAStepFunction(SamplerSuite):
    component = langevin
    params: ClassVar = {"step_size": 0.05}

    def stationary_variance(self, scale):
        share = 0.05 / (2 * scale**2)
        return scale**2 / (1 - share) if share < 1 else float("inf")


def data(x, generator):
    return x.clone()


class TestAStartFunction(ChainsSuite):
    component = data


class Strict(Chains):
    """Chains that refuse ends which lie off their lattice, and keep the others."""

    space = Categorical(3)

    def __init__(self):
        self.x = None

    def start(self, x):
        self.x = x.clone() if self.x is None else self.x.to(x.device)
        return self.x.clone()

    def keep(self, end):
        self.space.check(end.x)
        self.x = end.x.clone()

    def kept(self):
        return None if self.x is None else Start(self.x)

    def state_dict(self):
        return {"x": self.x}

    def load_state_dict(self, state):
        self.x = state["x"]


class TestChainsOfCategories(ChainsSuite):
    component = Strict
    check_space = Strict.space
    event_shapes: ClassVar = [(2,), (3, 2)]
    expected_failures: ClassVar = {"no_host_sync": "they look whether each event is of the space"}


class StrictBits(Strict):
    space = Binary()


class TestChainsOfBits(TestChainsOfCategories):
    component = StrictBits
    check_space = StrictBits.space


class StrictRows(Strict):
    space = Mixed((Binary(), Real(0, 1)))


class TestChainsOfRows(TestChainsOfCategories):
    component = StrictRows
    check_space = StrictRows.space
    event_shapes: ClassVar = [(2,)]


def gap(energy, x, x_neg):
    return energy(x).mean() - energy(x_neg).mean()


class TestALoss(LossSuite):
    component = gap


def test_every_suite_has_its_checks_and_is_public():
    assert ebmcore.testing.__all__ == sorted(ebmcore.testing.__all__)
    for name in ebmcore.testing.__all__:
        assert getattr(ebmcore.testing, name) is not None
    kinds = {suite.kind for suite in SUITES.values()}
    assert kinds == {*KINDS, TRACKER.name}
    for suite in SUITES.values():
        assert len(suite.checks()) >= 5
        for check in suite.checks():
            assert getattr(suite, f"test_{check}").__doc__, (suite, check)


def test_ebmcore_testing_offers_the_kits_public_names():
    import ebmcore_testing

    assert ebmcore.testing.__all__ == ebmcore_testing.__all__
    assert ebmcore.testing.EnergySuite is ebmcore_testing.EnergySuite
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = ebmcore.testing.nothing


def test_the_kits_commands_are_known_without_an_import():
    code = (
        "import sys; from ebmcore.plugins import Host\n"
        "names = [c.full_name for c in Host.discover().components('command')]\n"
        "assert {'testing:check', 'testing:plugins new', 'testing:plugins doctor'} <= {*names}\n"
        "print(*(m for m in sys.modules if m.startswith('ebmcore_testing.')))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["ebmcore_testing.plugin"]


def test_importing_the_kit_imports_nothing_heavy():
    code = "import sys, ebmcore.testing; print(*({'torch', 'pytest', 'mlflow'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""


def test_one_component_is_checked_by_its_kind_and_name(command, plugin):
    found = json.loads(command("check", "optimizer:AdamW", "--json").stdout)
    assert found["counts"] == {"passed": len(SUITES["optimizer"].checks())}
    assert {check["component"] for check in found["checks"]} == {"ebmcore:AdamW"}
    done = command("check", "optimizer:AdamWW")
    assert done.exit_code == 2
    assert "Did you mean 'AdamW'" in done.stderr
    done = command("check", "energy:bowl", "-p", plugin(("width: float", "width: float = 1.0")))
    assert done.exit_code == 0, done.stderr
    assert "loss" not in done.stdout


def test_hooks_and_commands_are_checked(tmp_path):
    file = tmp_path / "follows.py"
    file.write_text(
        "from ebmcore import hookimpl\n"
        "@hookimpl\ndef ebmcore_run_end(run):\n    pass\n"
        "@hookimpl\ndef ebmcore_commands():\n    return {'good': good, 'bad': bad}\n"
        "def good(name: str):\n    pass\n"
        "def bad(name: complex):\n    pass\n"
    )
    found = check_plugin(Host.discover(Selection(files=(str(file),))), "follows")
    results = {(o.kind, o.component, o.check): str(o.result) for o in found}
    assert results == {
        ("command", "follows:good", "load"): "passed",
        ("command", "follows:bad", "load"): "failed",
        ("hooks", "follows", "ebmcore_run_end"): "passed",
    }


@pytest.mark.slow
def test_running_the_kit_does_without_pytest():
    code = (
        "import sys; sys.modules['pytest'] = None\n"
        "from ebmcore.testing import EnergySuite\n"
        "class Bowl(EnergySuite):\n"
        "    component = lambda x: x.square().flatten(1).sum(1)\n"
        "    expected_failures = {'shape': 'nobody reads this here'}\n"
        "for check in ('shape', 'dtype', 'gradient', 'second_derivative'): Bowl().run(check)\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr


def test_an_unknown_check_cannot_be_expected_to_fail():
    with pytest.raises(EbmError, match=r"no check 'metadevice'; did you mean 'meta_device'\?"):
        type("Wrong", (EnergySuite,), {"expected_failures": {"metadevice": "?"}})


def test_the_mark_stays_with_the_suite_that_made_it():
    marks = getattr(TestAnExpectedFailure.test_second_derivative, "pytestmark", [])
    assert [mark.name for mark in marks] == ["xfail"]
    assert marks[0].kwargs == {"strict": True, "reason": "it is a cone, and says so only here"}
    assert not hasattr(EnergySuite.test_second_derivative, "pytestmark")


def test_a_suite_without_a_component_says_so():
    with pytest.raises(EbmError, match="say which component it checks"):
        Suite.target()


def test_wrong_params_are_refused_by_name():
    suite = type("Wrong", (SamplerSuite,), {"component": langevin, "params": {"step": 1}})
    with pytest.raises(EbmError, match=r"params: step: unknown key. Did you mean 'step_size'\?"):
        suite().test_shape()


def test_a_failure_says_what_was_expected_measured_and_allowed():
    suite = type("Wrong", (EnergySuite,), {"component": lambda x: x})
    with pytest.raises(CheckFailed) as caught:
        suite().run("shape")
    lines = str(caught.value).splitlines()
    assert lines[0] == "shape"
    starts = [line.split()[0] for line in lines[1:]]
    assert starts == ["expected", "measured", "allowed", "usual"]
    assert "(1, 2)" in caught.value.measured


@pytest.mark.parametrize(("name", "law"), [("Z", "norm"), ("T_63", "t")])
def test_the_quantiles_are_those_of_the_level(name, law):
    stats = pytest.importorskip("scipy.stats")
    freedom = (63,) if law == "t" else ()
    quantile = getattr(stats, law).isf(statistics.LEVEL / 2, *freedom)
    assert getattr(statistics, name) == pytest.approx(quantile, abs=2e-3)


def test_the_distance_from_a_law():
    n = 1000
    middles = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    stats = pytest.importorskip("scipy.stats")
    for x in (middles.square(), middles.flip(0) ** 1.05):
        found = statistics.from_law(x, lambda x: x)
        distance = stats.kstest(x.numpy(), "uniform").statistic
        assert found.text == f"a Kolmogorov distance of {distance:.4f}"
        # Smirnov's limit is within 1 % of the exact quantile here
        allowed = stats.kstwo.isf(statistics.LEVEL, n)
        assert found.share == pytest.approx(distance / allowed, rel=0.01)
    assert statistics.from_law(middles.square(), lambda x: x).share > 1
    assert found.share < 1


def test_the_command_checks_a_file(command, plugin):
    path = plugin(("width: float", "width: float = 1.0"))
    done = command("check", path)
    assert done.exit_code == 0, done.stderr
    assert re.search(r"loss my_plugin:gap\s+zero_at_truth\s+passed", done.stdout)
    assert done.stdout.strip().splitlines()[-1] == "18 passed, 1 not applicable"


def test_the_command_says_what_it_could_not_check(command, plugin):
    done = command("check", plugin(), "--json")
    assert done.exit_code == 0, done.stderr
    document = json.loads(done.stdout)
    (skipped,) = [c for c in document["checks"] if c["result"] == "not checked"]
    assert skipped["component"] == "my_plugin:bowl"
    assert "needs params: width has no default" in skipped["reason"]
    assert document["counts"] == {"not checked": 1, "passed": 8}


def test_the_command_reads_check_params_and_expected_failures(command, plugin):
    facts = (
        "    check_params = [{'width': 1.0}, {'width': 2.0}]\n"
        "    expected_failures = {'dtype': 'kept in float32 on purpose'}\n"
    )
    path = plugin(("(nn.Module):\n", "(nn.Module):\n" + facts), ("sum(1)\n", "sum(1).float()\n"))
    done = command("check", path, "--json")
    document = json.loads(done.stdout)
    expected = [c for c in document["checks"] if c["result"] == "expected failure"]
    assert [c["params"] for c in expected] == [{"width": 1.0}, {"width": 2.0}]
    assert {c["reason"] for c in expected} == {"kept in float32 on purpose"}


def test_the_command_exits_1_when_a_check_fails_or_should_have(command, plugin):
    facts = "    expected_failures = {'shape': 'mended long ago'}\n"
    path = plugin(
        ("width: float", "width: float = 1.0"),
        ("(nn.Module):\n", "(nn.Module):\n" + facts),
        ("energy(x).mean() - energy(x_neg).mean()", "energy(x_neg).mean() - energy(x).mean()"),
    )
    done = command("check", path)
    assert done.exit_code == 1
    assert "loss my_plugin:gap: leads_to_data" in done.stdout
    assert "usual cause  the whole loss has the wrong sign" in done.stdout
    assert "take it out of expected_failures" in done.stdout


@pytest.mark.parametrize("name", ["nothing_of_this_name", "./nowhere.py"])
def test_the_command_refuses_what_is_not_there(command, name):
    done = command("check", name, "--json")
    assert done.exit_code == 2
    assert name.removeprefix("./").removesuffix(".py") in json.loads(done.stdout)["error"]
    assert "Traceback" not in done.stderr


@pytest.mark.plugins
def test_a_plugin_is_found_by_its_name_and_its_distribution(command):
    for name in ("chains", "ebmcore-chains"):
        document = json.loads(command("check", name, "--json").stdout)
        assert document["counts"] == {"passed": 35, "not applicable": 1}


@pytest.mark.slow
def test_the_command_in_a_process_of_its_own(plugin):
    def process(*words):
        command = [sys.executable, "-m", "ebmcore", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    path = plugin(("width: float", "width: float = 1.0"))
    assert process("check", path).returncode == 0
    refused = process("check", "nothing")
    assert refused.returncode == 2
    assert "no plugin 'nothing' is installed" in refused.stderr
