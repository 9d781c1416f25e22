"""`ebmcore new`: configs without data, like examples, and everything that it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest

import ebmcore
from ebmcore.config import parse_config
from ebmcore.runner import prepare_source


def test_without_data_it_writes_the_first_config(command, tmp_path):
    done = command("new", "mine_1.yaml", "--json")
    assert json.loads(done.stdout) == {
        "config": "mine_1.yaml",
        "files": ["mine_1.yaml"],
        "decide": [],
        "next": "ebmcore run mine_1.yaml",
    }
    text = (tmp_path / "mine_1.yaml").read_text()
    record = prepare_source(parse_config(text, "mine_1.yaml")).config.record
    assert (record["name"], record["energy"]["type"]) == ("mine-1", "mlp")
    tree = parse_config(text, "mine_1.yaml").tree
    assert {"data", "energy", "sampler", "chains", "loss", "optimizer", "train"} < tree.keys()


def test_an_example_is_copied_with_what_it_reads(command, tmp_path):
    (tmp_path / "own").mkdir()
    done = command("new", "own/mine.yaml", "--like", "houses")
    assert done.stdout.splitlines()[-1].strip() == "ebmcore run own/mine.yaml"
    assert sorted(p.name for p in Path("own").iterdir()) == [
        *("houses.csv", "mine.yaml", "odd_houses.csv"),
    ]
    text = Path("own/mine.yaml").read_text()
    assert "examples/" not in text
    assert "# ebmcore evaluate RUN_DIR --against own/odd_houses.csv" in text.replace("#   ", "# ")
    tree = parse_config(text, "mine.yaml").tree
    assert (tree["name"], tree["data"]["path"]) == ("mine", "own/houses.csv")
    again = command("new", "own/other.yaml", "--like", "tables/houses")
    assert again.exit_code == 0, again.output  # the same files stay
    Path("own/houses.csv").write_text("mine\n1\n")
    refused = command("new", "own/third.yaml", "--like", "tables/houses")
    assert "'own/houses.csv' exists already and is another file" in refused.stderr
    assert Path("own/houses.csv").read_text() == "mine\n1\n"
    assert not Path("own/third.yaml").exists()


def test_a_copied_sweep_is_begun_as_one(command):
    done = command("new", "tune.yaml", "--like", "sweeps/gaussian")
    assert done.stdout.splitlines()[-1].strip() == "ebmcore sweep tune.yaml"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["there.yaml"], "'there.yaml' exists already; choose another name"),
        (["mine.txt"], "'mine.txt' should be a new file that ends in .yaml"),
        (["no/mine.yaml"], "there is no folder 'no' to write 'mine.yaml' into"),
        (
            ["mine.yaml", "--data", "thre.csv"],
            "no such file or folder: thre.csv. Did you mean three",
        ),
        (["mine.yaml", "--data", "three.csv"], "three.csv has 3 rows; a model needs at least 10"),
        (
            ["mine.yaml", "--data", "three.xls"],
            "the ending '.xls' is not known. ebmcore reads .csv",
        ),
        (["mine.yaml", "--data", "empty.csv"], "empty.csv is empty: 0 bytes"),
        (["mine.yaml", "--data", "words.csv"], "no column of numbers is left to train on: "),
        (["mine.yaml", "--data", "typo.csv"], "should be a number; got 'l0'"),
        (["mine.yaml", "--data", "two.npz"], "holds the arrays a (20, 3) and b (20, 4): which one"),
        (["mine.yaml", "--data", "last.npy"], "colours last, (8, 8, 3); save them as"),
        (["mine.yaml", "--data", "four.npy"], "events of shape (4, 4, 4, 4) are no rows, images"),
        (["mine.yaml", "--data", "flat.npy"], "every row is the same"),
        (["mine.yaml", "--data", "bad.npz"], "bad.npz is not a .npz file"),
        (["mine.yaml", "--data", "."], "holds no files that end in .png"),
        (["mine.yaml", "--like", "digit"], "no example 'digit'. Did you mean 'digits'"),
        (
            ["mine.yaml", "--like", "digits", "--data", "three.csv"],
            "give --data or --like, not both",
        ),
    ],
)
def test_it_refuses_in_one_line(words, message, command, tmp_path):
    files = {
        "there.yaml": "name: mine\n",
        "three.csv": "a,b\n1,2\n3,4\n5,7\n",
        "three.xls": "x",
        "empty.csv": "",
        "words.csv": "a,when\n" + "".join(f"w{i % 3},2020-01-{i + 1:02}\n" for i in range(12)),
        "typo.csv": "a,b\n" + "".join(f"{i * i},{i * 7 % 5}\n" for i in range(12)) + "3,l0\n",
        "bad.npz": "not an archive",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    np.savez("two.npz", a=np.ones((20, 3)), b=np.ones((20, 4)))
    np.save("last.npy", np.random.default_rng(0).normal(size=(12, 8, 8, 3)))
    np.save("four.npy", np.random.default_rng(0).normal(size=(12, 4, 4, 4, 4)))
    np.save("flat.npy", np.full((12, 5), 2.5))
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    done = command("new", *words)
    assert done.exit_code == 2, done.output
    (line,) = done.stderr.splitlines()
    assert message in line
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_examples_are_listed_and_printed(command):
    listed = json.loads(command("examples", "--json").stdout)
    found = {example["name"]: example for example in listed}
    assert {"digits", "tables/houses", "sweeps/gaussian"} < found.keys()
    assert found["digits"]["about"].startswith("Trains on the real 8×8 handwritten digits")
    assert found["sines_lstm"]["distributions"] == [
        *("ebmcore-analytic", "ebmcore-chains", "ebmcore-datasets", "ebmcore-langevin"),
        *("ebmcore-losses", "ebmcore-monitors", "ebmcore-sequence"),
    ]
    assert "ebmcore-sweep" in found["sweeps/gaussian"]["distributions"]
    assert all(e["about"] and e["distributions"] for e in listed)
    assert all("example-plugin" not in e["file"] for e in listed)
    printed = command("examples", "from-disk").stdout
    assert printed == Path(found["images/from_disk"]["file"]).read_text()
    refused = command("examples", "sines")
    assert "no example 'sines'. Did you mean 'sines_lstm'" in refused.stderr
    assert refused.exit_code == 2


def test_the_plugin_is_discovered():
    commands = ebmcore.Host.discover().components("command")
    ours = {c.name for c in commands if c.plugin.distribution == "ebmcore-new"}
    assert ours == {"examples", "new"}
