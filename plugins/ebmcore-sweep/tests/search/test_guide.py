"""The guide to sweeps and the example: what they show is taken, and does what it says."""

import json
import re

import pytest
import yaml
from ebmcore_sweep import check_sweep
from ebmcore_sweep.search.definition import Keys
from ebmcore_sweep.search.space import RANGES

from ebmcore.config.values.signature import parameters
from support import ROOT

pytestmark = pytest.mark.plugins

GUIDE = (ROOT / "docs" / "sweeps.md").read_text()
EXAMPLES = sorted((ROOT / "examples" / "sweeps").glob("*.yaml"))


def test_what_the_guide_shows_is_taken(tmp_path):
    whole, space = map(yaml.safe_load, re.findall(r"^```yaml\n(.*?)^```$", GUIDE, re.S | re.M))
    base = (ROOT / "examples" / "sweeps" / whole["base"]).resolve()
    assert base.is_file()
    for number, shown in enumerate((whole, {**whole, **space})):
        (file := tmp_path / f"{number}.yaml").write_text(
            yaml.safe_dump({**shown, "base": str(base)}, sort_keys=False)
        )
        assert list(check_sweep(file).sweep.space.ranges) == list(shown["space"])


def test_the_guide_names_every_key_with_its_default():
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]*?) ?\|", GUIDE, re.M))
    for key in parameters(Keys):
        if key.name in ("base", "space"):  # told of before the tables
            continue
        default = "" if not isinstance(key.default, int | str) else str(key.default)
        assert default in rows[key.name], key.name
    for name, range_ in RANGES.items():
        assert rows[name] == ", ".join(f"`{key.name}`" for key in parameters(range_))


@pytest.mark.slow
@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_the_example_runs(file, tmp_path, ebmcore_command, monkeypatch):
    short = yaml.safe_load(file.read_text()) | {"budget": {"trials": 3}, "workers": 1}
    short["base"]["tracking"] = "off"
    (tmp_path / file.name).write_text(yaml.safe_dump(short, sort_keys=False))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    done = ebmcore_command("sweep", file.name, "--json")
    assert done.returncode == 0, done.stderr
    swept = json.loads(done.stdout)
    assert (swept["complete"], swept["failed"]) == (3, 0)
    assert (
        swept["best"]["value"] < 4.0
    )  # where the energy begins: its mean is 2√2 off, σ is ½ and 1
