import importlib.metadata
import inspect
import re
import subprocess
import sys
from importlib import import_module

import pytest
from ebmcore_monitors.plugin import ebmcore_monitors

TARGETS = ebmcore_monitors()


def load(name):
    module, attribute = TARGETS[name].split(":")
    return getattr(import_module(module), attribute)


def test_is_discovered():
    points = importlib.metadata.entry_points(group="ebmcore.v1")
    assert points["monitors"].value == "ebmcore_monitors.plugin"
    assert points["monitors"].load().ebmcore_monitors() == TARGETS


def test_importing_the_plugin_imports_nothing_heavy():
    code = (
        "import sys, ebmcore_monitors.plugin; print(*({'torch', 'matplotlib'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""


def test_importing_every_monitor_leaves_matplotlib_alone():
    modules = ", ".join(target.split(":")[0] for target in TARGETS.values())
    code = f"import sys, {modules}; print('matplotlib' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_every_key_is_documented_and_keyword_only(name):
    monitor = load(name)
    described = re.findall(r"^    (\w+): \S.*$", inspect.getdoc(monitor).split("Args:\n")[1], re.M)
    parameters = inspect.signature(monitor).parameters
    assert described == list(parameters)
    for parameter in parameters.values():
        assert parameter.kind is parameter.KEYWORD_ONLY
        assert parameter.default is not parameter.empty or parameter.name == "against"
        assert parameter.annotation is not parameter.empty


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_cadence_reads_as_one(name):
    assert re.fullmatch(r"end|[1-9]\d* epochs?", load(name).every)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("landscape", (64,)),
        ("panels", (3,)),
        ("histogram_2d", (2, 1)),
        ("exact_likelihood", (4,)),
        ("exact_likelihood", (2, 2)),
        ("samples", (2, 8, 8)),
    ],
)
def test_shapes_that_do_not_apply_are_refused_by_name(name, shape):
    with pytest.raises(ValueError, match=re.escape(str(shape))) as refused:
        load(name)().check(shape)
    assert name in str(refused.value)


def test_shapes_that_apply_are_not_refused():
    for name in ("landscape", "panels", "histogram_2d", "samples", "exact_likelihood"):
        load(name)().check((2,))
    for shape in ((1,), (3,), (1, 3)):
        load("exact_likelihood")().check(shape)


def test_monitors_without_training_evaluate_a_model():
    declared = {name for name in TARGETS if getattr(load(name), "evaluates", False)}
    assert declared == {
        "convergence", "energy_histogram", "exact_likelihood", "mmd", "samples", "two_sample",
    }  # fmt: skip
