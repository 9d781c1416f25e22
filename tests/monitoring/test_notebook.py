"""A run's progress in a notebook, in a real kernel."""

import nbclient
import nbformat
import pytest

from support import PARTS

CELL = f"""
import ebmcore
config = {{
    "plugins": {{"files": [{str(PARTS)!r}]}}, "data": {{"type": "parts:line", "n": 200}},
    "energy": {{"type": "parts:bowl"}}, "loss": {{"type": "parts:gap"}},
    "sampler": {{"type": "parts:walk", "step_size": 0.1, "n_steps": 3}},
    "chains": {{"type": "parts:kept", "size": 40}}, "optimizer": {{"type": "Adam", "lr": 0.05}},
    "train": {{"epochs": 2, "batch_size": 20, "log_every": 1, "ema": 0.9999}}, "tracking": "off",
}}
ebmcore.run(config)
"""


@pytest.mark.slow
def test_a_cell_has_one_bar_and_each_warning_once():
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    nbclient.NotebookClient(book, timeout=600).execute()
    outputs = book.cells[0].outputs
    (bar,) = [one for one in outputs if "<progress" in one.get("data", {}).get("text/html", "")]
    assert '<progress value="18" max="18">' in bar.data["text/html"]
    assert bar.data["text/plain"].startswith("18 of 18  loss ")
    (result,) = [one for one in outputs if one.output_type == "execute_result"]
    assert "FINISHED</b> at step 18" in result.data["text/html"]
    told = "".join(one.text for one in outputs if one.output_type == "stream")
    assert "step 18/18" not in told
    assert told.count("train.ema 0.9999 is slow") == 1
