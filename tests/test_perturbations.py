"""Each formula, perturbed, fails its test: a sign flipped, a factor 2, a term left out.

Every plugin lists perturbations of its own in `tests/perturbations.yaml`. Each is applied to a copy
of the plugin, and the test that guards the formula is run on the copy: it must fail, by itself.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
LISTS = sorted((ROOT / "plugins").glob("*/tests/perturbations.yaml"))
PERTURBATIONS = [(file.parents[1], entry) for file in LISTS for entry in yaml.safe_load(
    file.read_text(encoding="utf-8")
)]  # fmt: skip


def title(value):
    return value.name if isinstance(value, Path) else value["what"].replace(" ", "-")


@pytest.mark.parametrize(("plugin", "entry"), PERTURBATIONS, ids=title)
def test_the_text_to_perturb_is_there_once(plugin, entry):
    text = (plugin / entry["file"]).read_text(encoding="utf-8")
    assert text.count(entry["was"]) == 1
    assert entry["becomes"] != entry["was"]
    test = entry["fails"].split("::")[1].partition("[")[0]
    assert f"def {test}(" in (plugin / entry["fails"].split("::")[0]).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def forked():
    """Run one test on a changed copy of its plugin; return the exit code and what was printed."""
    command = [sys.executable, Path(__file__).with_name("forked_pytest.py")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:

        def run(folder, test):
            print(json.dumps({"folder": str(folder), "test": test}), file=process.stdin, flush=True)
            return json.loads(process.stdout.readline())

        yield run
        process.stdin.close()


@pytest.mark.slow
@pytest.mark.plugins
@pytest.mark.parametrize(("plugin", "entry"), PERTURBATIONS, ids=title)
def test_a_perturbed_formula_fails(plugin, entry, tmp_path, forked):
    copy = tmp_path / plugin.name
    shutil.copytree(plugin, copy, ignore=shutil.ignore_patterns("__pycache__"))
    file = copy / entry["file"]
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace(entry["was"], entry["becomes"]), encoding="utf-8")
    code, printed = forked(copy, entry["fails"])
    assert code == pytest.ExitCode.TESTS_FAILED, printed[-3000:]
    assert " failed" in printed
    assert " error" not in printed.splitlines()[-1], printed[-3000:]
