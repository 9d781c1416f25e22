"""The sender: each kind of data has its turn, however much there is of another."""

import pytest

from ebmcore.runs.jsonl import PIECE
from ebmcore.trackers import MLflow, tracked_run
from ebmcore.trackers.sender import Sender


@pytest.mark.slow
def test_figures_arrive_while_metrics_never_end(directory, store):
    """Each pass finds more lines than it sends, as in a run that logs faster than MLflow takes."""
    tracker = MLflow()
    run = tracked_run(directory, directory.read(), config={"a": 1})
    tracker.begin(run)
    sender = Sender(run, tracker)
    for step in range(49):
        directory.write(f"figures/looks/step-{step:08d}.png", b"a picture")
    directory.append_event(0, "rollback")
    for _ in range(3):
        before = size = directory.metrics_file.stat().st_size if sender.sent else 0
        while size < before + 2 * PIECE:  # long lines of few values, so that the test is quick
            directory.append_metrics(size, 0.0, {"loss": 0.5, "x" * 20_000: 0.1})
            size = directory.metrics_file.stat().st_size
        assert sender.catch_up()
        assert sender.sent < size - PIECE // 2
    shown = store.list_artifacts(tracker.remote.run_id, "figures/looks")
    assert len(shown) == 49
    assert "rollback" in store.get_run(tracker.remote.run_id).data.tags["ebmcore.event.001"]

    while sender.sent < size:
        sender.catch_up()
    directory.append_metrics(size, 0.0, {"loss": 0.5})
    assert not sender.catch_up()  # no more is left, however long the file is
