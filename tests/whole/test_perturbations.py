"""Each formula and each line that matters, perturbed, fails its test: a sign flipped, a factor 2.

Every plugin lists perturbations of its own in `tests/perturbations.yaml`, the core in one list for
each of its rooms. `support.plugins.perturbing` applies each in a fork, and the test that guards the
line must fail, by itself. EBMCORE_TEST_MORE=1 applies all of them; else a plugin's first of every
second test, and one of four of the core's.
"""

import os

import pytest
import yaml

from support import MORE, ROOT

PLUGINS = sorted((ROOT / "plugins").glob("*/tests/perturbations.yaml"))
CORE = sorted((ROOT / "tests").glob("*/perturbations.yaml"))
ENTRIES = {file: yaml.safe_load(file.read_text(encoding="utf-8")) for file in (*CORE, *PLUGINS)}


def owner_of(file):
    return file.parents[1] if file in PLUGINS else ROOT


def title(file):
    return file.parents[1].name if file in PLUGINS else f"core-{file.parent.name}"


@pytest.mark.parametrize("file", ENTRIES, ids=title)
def test_the_texts_to_perturb_are_there_once(file):
    for entry in ENTRIES[file]:
        text = (owner_of(file) / entry["file"]).read_text(encoding="utf-8")
        assert text.count(entry["was"]) == 1, entry["what"]
        assert entry["becomes"] != entry["was"], entry["what"]
        tests, _, test = entry["fails"].partition("[")[0].partition("::")
        assert f"def {test}(" in (owner_of(file) / tests).read_text("utf-8"), entry["what"]


# no plugin of pytest's: hypothesis's alone takes longer to rewrite than most of the tests to run
OPTIONS = ("-q", "-p", "no:cacheprovider", "-c", os.devnull, "--import-mode=importlib",
           "--assert=plain", "-p", "support.plugins.perturbing")  # fmt: skip


def applied(file):
    """Return which perturbations of a list to apply."""
    if MORE:
        return ENTRIES[file]
    if file in CORE:
        return ENTRIES[file][::4]
    first = {e["fails"].partition("[")[0]: e for e in ENTRIES[file][::-1]}
    return list(first.values())[::-2]


@pytest.mark.slow
@pytest.mark.plugins
@pytest.mark.parametrize("file", ENTRIES, ids=title)
def test_a_perturbed_line_fails(file, tmp_path, forks):
    owner, entries = owner_of(file), applied(file)
    chosen = tmp_path / "chosen.yaml"
    chosen.write_text(yaml.safe_dump(entries), encoding="utf-8")
    done = forks.run(
        "-m", "pytest", *OPTIONS, "--rootdir", owner, "--perturb", chosen, "--owner", owner,
        *sorted({owner / e["fails"].partition("[")[0] for e in entries}),
        cwd=tmp_path, env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        path=[ROOT / "tests"], timeout=1500,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    missed = [e["what"] for e in entries if f"caught: {e['what']}" not in lines]
    assert missed == [], (done.stdout + done.stderr)[-3000:]
