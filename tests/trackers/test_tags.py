"""The titles and tags of a run in a list of runs."""

import pytest

from ebmcore.trackers.tags import run_tags, run_title

PARENT = {"name": "rings-2026", "run_dir": "runs/rings-2026", "key": "seed-3", "token": None}


@pytest.mark.parametrize(
    ("parent", "title"),
    [
        (None, "rings-2026-ab12"),
        ({**PARENT, "key": None}, "rings-2026-ab12"),
        (PARENT, "seed-3 · rings"),
        ({**PARENT, "key": "trial-7", "label": "lr=0.01 n_steps=20"}, "lr=0.01 n_steps=20 · rings"),
        ({**PARENT, "label": "x" * 400}, "x" * 59 + "… · rings"),
        ({**PARENT, "label": ["no", "text"]}, "seed-3 · rings"),
    ],
)
def test_a_child_says_its_seed_or_its_values_first(tmp_path, parent, title):
    facts = {"name": "rings", "seed": 3, "parent": parent}
    assert run_title(tmp_path / "rings-2026-ab12", facts) == title


def test_tags_group_the_children_of_a_parent(tmp_path):
    child = run_tags(tmp_path, {"name": "rings", "seed": 3, "parent": PARENT})
    assert (child["ebmcore.group"], child["ebmcore.seed"]) == ("rings-2026", "3")
    parent = run_tags(tmp_path, {"name": "rings", "seed": 3, "group": "seeds", "parent": None})
    assert parent["ebmcore.group"] == "seeds"
    assert "ebmcore.seed" not in parent
    assert not {"ebmcore.group", "ebmcore.seed"} & set(run_tags(tmp_path, {"name": "rings"}))


def test_a_source_has_no_folder_in_it(tmp_path):
    words = "/a/__main__.py run /a/c.yaml data.path=../b/d.csv --uri db:///a/x http://a:secret@b"
    found = run_tags(tmp_path, {"command": words.split()})["mlflow.source.name"]
    assert found == "ebmcore run c.yaml data.path=d.csv --uri db:x http:***@b"
