"""The pages' tables and figures: those of benchmarks/results, and no other."""

import json
import math
import re
import sys

import pytest

from support import ROOT

BENCHMARKS = ROOT / "benchmarks"
MODULES = (
    *("speed", "grid", "methods", "toys", "planes", "jem", "anomaly", "discrete", "pages"),
    "startup",
)
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/*.md")])
DISCRETE = ROOT / "docs" / "guides" / "discrete.md"
MEASURED = re.compile(r"(?<![\w.])\d+\.\d+ ?(?:nats|ms|µs|s|%|×|MB|GB/s)(?!\w)|= ?\d*\.\d+")


@pytest.fixture(scope="module", autouse=True)
def benchmarks():
    sys.path.insert(0, str(BENCHMARKS))
    yield
    sys.path.remove(str(BENCHMARKS))
    for name in [n for n in sys.modules if n.split(".")[0] in MODULES]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def content(benchmarks):
    import pages

    return pages.Content.read()


@pytest.mark.parametrize("page", [*PAGES, DISCRETE], ids=lambda page: page.stem)
def test_a_page_says_what_the_results_say(page, content):
    import pages

    text = page.read_text()
    assert pages.fill(text, content, page.name) == text, "run `python benchmarks/pages.py`"
    marks = re.findall(r"<!-- (table|figure|end)", text)
    assert marks.count("end") == marks.count("table") + marks.count("figure")


def test_every_table_has_a_page(content):
    shown = {
        name
        for page in [*PAGES, DISCRETE]
        for name in re.findall("<!-- table (.+?) -->", page.read_text())
    }
    assert shown == set(content.tables)


# limits that tests assert, and probabilities that ebmcore-sweep's tests compare with their formula
OTHERS = ("reliability", "seeds")


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.stem not in OTHERS], ids=lambda page: page.stem
)
def test_no_measured_figure_is_written_by_hand(page):
    import pages

    assert MEASURED.findall(pages.unmarked(page.read_text())) == []


def test_the_model_of_many_ranks_is_as_by_hand():
    from speed.ranks_tables import PARAMETERS, Model

    model = Model(start=0.01, event=1e-5, latency=1e-4, bandwidth=4e3 * PARAMETERS)
    # all numbers take 1 ms to send: a ring of 4 sends 6 quarters, and by halves 2 (1/2 + 1/4)
    assert model.ring(4) == pytest.approx(6 * (1e-4 + 0.25e-3))
    assert model.halving(4) == pytest.approx(2 * (2 * 1e-4 + 0.75e-3))
    assert model.step(800, 4, model.ring) == pytest.approx(0.01 + 1e-5 * 200 + 2.1e-3)


@pytest.mark.parametrize("name", ["methods", "toys", "planes", "discrete"])
def test_results_are_those_of_the_configs(name):
    import grid

    module = __import__(name)
    keys = {grid.key(job) for job in module.jobs()}
    entries = grid.read_results(BENCHMARKS / "results" / f"{name}.jsonl")
    assert entries.keys() <= keys, "a config changed: run its benchmark again"


def test_an_unknown_name_is_refused():
    import pages

    content = pages.Content({}, {"KL": "0.1"})
    assert pages.fill("<!-- figure KL -->?<!-- end -->", content, "x.md") == (
        "<!-- figure KL -->0.1<!-- end -->"
    )
    with pytest.raises(SystemExit, match=r"x\.md: no figure 'LK' is measured; there are:\n  KL"):
        pages.fill("<!-- figure LK -->?<!-- end -->", content, "x.md")


def test_equal_runs_have_equal_keys():
    import grid
    import methods

    row = "energy discrepancy"  # its own config is that of the shared protocol
    assert grid.key(methods.shared(row, 1)) == grid.key(methods.own(row, 1))
    assert grid.key(methods.own(row, 1)) != grid.key(methods.own(row, 2))
    assert grid.key(methods.shared("PCD", 1)) != grid.key(methods.own("PCD", 1))


def test_a_row_is_the_median_over_seeds(monkeypatch, tmp_path):
    import grid
    import methods

    monkeypatch.setattr(grid, "RESULTS", tmp_path)
    kls = {0: 0.5, 1: 0.1, 2: 0.2}

    def write(seeds, **more):
        entries = [
            {"key": grid.key(methods.shared("CD-1", seed)), "status": "FINISHED", "steps": 10,
             "gradients": 25, "metrics": {methods.KL: kls[seed]}, **more}
            for seed in seeds
        ]  # fmt: skip
        (tmp_path / "x.jsonl").write_text("".join(json.dumps(e) + "\n" for e in entries))
        found = grid.Found("x.jsonl")
        (row,) = [line for line in methods.tables(found)["methods, one network"] if "CD-1" in line]
        return row, methods.figures(found)

    row, named = write(kls, earlier=True)
    assert row == "| CD-1 † | 0.200 (0.100 to 0.500) | 2 | 20 |"
    assert named["CD-1, one network"] == "0.200"
    assert named["CD-1, one network, range"] == "0.100 to 0.500"
    row, named = write([0, 2])
    assert row == "| CD-1 | 0.500, 0.200 (2 of 3 seeds) | 2 | 20 |"
    assert named["CD-1, one network"] == "0.500, 0.200 (2 of 3 seeds)"
    assert "CD-1, one network, range" not in named
    assert write([])[0] == "| CD-1 | not measured |  |  |"
    named = write(kls, before={methods.KL: 0.15})[1]
    assert (named["methods, runs again"], named["methods, change"]) == ("3", "3.5e-01")


def test_the_price_of_a_kernels_bias():
    """The chains' variance on the energy that they teach is that of the data."""
    import toys

    std, step = 0.15, 0.01
    v = 0.015  # v² = s² (v - h / 2): 0.000225 both
    assert v**2 == pytest.approx(std**2 * (v - step / 2))
    assert v / (1 - step / (2 * v)) == pytest.approx(std**2)  # the law of Langevin on N(0, v)
    expected = (std**2 / v - 1) / 2 + math.log(v / std**2) / 2  # KL of N(0, s²) to N(0, v)
    assert toys.price_of_bias(std, step) == pytest.approx(expected)
    assert toys.price_of_width(std**2, v) == pytest.approx(expected)


def test_a_start_up_measured_apart_takes_the_place_of_the_old(tmp_path):
    import startup
    from speed.results import Results
    from speed.tables import tables

    facts = {"section": "facts", "python": "3", "versions": {"torch": "2"}, "architecture": "x",
             "cores": 2, "load": 3.0, "quick": False, "scale": 1.0}  # fmt: skip
    old = {"section": "startup", "command": "ebmcore --help", "rounds": [0.5]}
    file = tmp_path / "speed.jsonl"
    file.write_text(f"{json.dumps(facts)}\n{json.dumps(old)}\n")
    startup.record(file, {"ebmcore --help": [0.2, 0.3, 0.4]}, load=0.04)
    lines = tables(Results.read(file))
    assert "| `ebmcore --help` | 0.300 (0.250 to 0.350) |" in lines
    assert not any("0.500" in line for line in lines)
    assert re.fullmatch(
        r"Measured apart, 3 rounds: \d+ plugins, load 0\.0 when it began\.", lines[-1]
    )
