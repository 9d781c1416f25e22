"""Each formula, perturbed, fails its test: a sign flipped, a factor 2, a term left out.

Every plugin lists perturbations of its own in `tests/perturbations.yaml`. Each is applied to a copy
of the plugin, and the test that guards the formula is run on the copy: it must fail, by itself.
EBMCORE_TEST_MORE=1 applies all of them, else the first of each test.
"""

import os
import shutil
from pathlib import Path

import pytest
import yaml

from support import MORE, ROOT

LISTS = sorted((ROOT / "plugins").glob("*/tests/perturbations.yaml"))
PERTURBATIONS = [(file.parents[1], entry) for file in LISTS for entry in yaml.safe_load(
    file.read_text(encoding="utf-8")
)]  # fmt: skip
FIRST = {(plugin, e["fails"].partition("[")[0]): (plugin, e) for plugin, e in PERTURBATIONS[::-1]}
APPLIED = PERTURBATIONS if MORE else list(FIRST.values())[::-1]


def title(value):
    return value.name if isinstance(value, Path) else value["what"].replace(" ", "-")


@pytest.mark.parametrize(("plugin", "entry"), PERTURBATIONS, ids=title)
def test_the_text_to_perturb_is_there_once(plugin, entry):
    text = (plugin / entry["file"]).read_text(encoding="utf-8")
    assert text.count(entry["was"]) == 1
    assert entry["becomes"] != entry["was"]
    test = entry["fails"].split("::")[1].partition("[")[0]
    assert f"def {test}(" in (plugin / entry["fails"].split("::")[0]).read_text(encoding="utf-8")


# no plugin of pytest's: hypothesis's alone takes longer to rewrite than most of the tests to run
OPTIONS = ("-q", "-x", "-p", "no:cacheprovider", "-c", os.devnull, "--import-mode=importlib",
           "--assert=plain", "--tb=line")  # fmt: skip


@pytest.mark.slow
@pytest.mark.plugins
@pytest.mark.parametrize(("plugin", "entry"), APPLIED, ids=title)
def test_a_perturbed_formula_fails(plugin, entry, tmp_path, forks):
    copy = tmp_path / plugin.name
    shutil.copytree(plugin, copy, ignore=shutil.ignore_patterns("__pycache__"))
    file = copy / entry["file"]
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace(entry["was"], entry["becomes"]), encoding="utf-8")
    variables = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = forks.run(
        "-m", "pytest", *OPTIONS, "--rootdir", copy, entry["fails"],
        cwd=copy, env=variables, path=[copy],
    )  # fmt: skip
    printed = done.stdout + done.stderr
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, printed[-3000:]
    assert " failed" in printed
    assert " error" not in printed.splitlines()[-1], printed[-3000:]
