"""A file that stops a run."""

import pytest
from ebmcore_callbacks import StopFile


@pytest.mark.parametrize("kind", ["file", "folder", "dangling link"])
def test_a_file_in_the_run_directory_stops_it(run, kind):
    callback = StopFile(every=0.0)
    callback.on_metrics(run, 1, {})
    assert run.reasons == []
    place = run.dir / "stop"
    if kind == "file":
        place.touch()
    elif kind == "folder":
        place.mkdir()
    else:
        place.symlink_to("nowhere")
    callback.on_metrics(run, 2, {})
    assert run.reasons == [f"the file {place} is there"]


def test_it_looks_no_more_often_than_it_is_told(run, monkeypatch):
    clock = iter([0.0, 4.9, 5.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    callback = StopFile(file=str(run.dir / "else"), every=5.0)
    callback.on_metrics(run, 1, {})
    (run.dir / "else").touch()
    callback.on_metrics(run, 2, {})
    assert run.reasons == []
    callback.on_metrics(run, 3, {})
    assert len(run.reasons) == 1


def test_no_name_is_refused():
    with pytest.raises(ValueError, match="should name a file"):
        StopFile(file="")
