"""Reports of runs, made of run directories that these tests write by hand."""

import base64
import itertools
import json
import re
from html.parser import HTMLParser

import pytest
from ebmcore_report import write_report
from ebmcore_report.command import command
from ebmcore_report.pictures import Series, choose
from ebmcore_report.record import Picture

import ebmcore
from ebmcore import EbmError

EVIL = "<script>alert(1)</script>\"'&"
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
EMPTY = {"img", "input", "meta"}


class Page(HTMLParser):
    """A page's elements; raises AssertionError when an end tag doesn't fit."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.text = [], [], ""
        self.feed(text)
        assert not self.open

    def handle_starttag(self, name, attributes):
        self.elements.append((name, dict(attributes)))
        if name not in EMPTY:
            self.open.append(name)

    def handle_endtag(self, name):
        assert self.open.pop() == name

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.text += data

    def all(self, name):
        return [attributes for found, attributes in self.elements if found == name]


def make_run(folder, *, steps=(10, 20, 30), name="demo", figures=("landscape",), **facts):
    folder.mkdir(parents=True)
    record = {
        "name": name, "status": "FINISHED", "seed": 3, "started": 1e9, "seconds": 61.0, "steps": 30,
        "warnings": [], "from_config": True, "seconds_by_part": {"sampler": 50.0, "loss": 11.0},
        "command": ["/bin/ebmcore", "run", "demo.yaml", "train.epochs=3"],
        "versions": {"ebmcore": "0.1.0"}, "git": {"commit": "abc123", "changed": True},
        "data": {"rows": 50, "hash": "f00d", "event_shape": [2], "dtype": "float32", "held_out": 5},
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps({**record, **facts}))
    (folder / "config.yaml").write_text(f"name: {name!r}\ntrain:\n  epochs: 3\n  ema: 0.5\n")
    with (folder / "metrics.jsonl").open("w") as file:
        for step in steps:
            line = {"step": step, "epoch": 1, "time": 1e9, "loss": 100.0 / step**5}
            line |= {"loss/gap": -step, "sampler_health/rhat_energy": 3.2, "odd": "nan"}
            file.write(json.dumps(line) + "\n")
    for monitor in figures:
        (folder / "figures" / monitor).mkdir(parents=True)
        for step in steps:
            (folder / "figures" / monitor / f"step-{step:08d}.png").write_bytes(PNG)
    return folder


def report(tmp_path, *run_dirs):
    path = write_report(run_dirs, tmp_path / "page.html", force=True).path
    return Page(path.read_text(encoding="utf-8"))


def test_a_page_shows_one_run(tmp_path):
    warned = ["exact_likelihood: the grid cuts mass off"]
    found = report(tmp_path, make_run(tmp_path / "run", warnings=warned))
    for text in (
        "FINISHED", "30 of 30", "1 min 1 s", *warned, "logarithmic", "not mixed", "Sampler health",
        "sampler", "50.0 s", "git commit", "abc123", "with changes", "sha256 f00d", "ebmcore 0.1.0",
        "ebmcore run demo.yaml train.epochs=3", f"ebmcore run {tmp_path}/run/config.yaml",
    ):  # fmt: skip
        assert text in found.text, text
    frames = found.all("img")
    assert [frame["data-step"] for frame in frames] == ["10", "20", "30"]
    assert ["hidden" in frame for frame in frames] == [True, True, False]
    uri = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    assert {frame["src"] for frame in frames} == {uri}
    (slider,) = found.all("input")
    assert slider["data-steps"] == "10,20,30"
    charts = [svg["aria-label"] for svg in found.all("svg")]
    assert charts == [
        "loss, steps 10 to 30: 4.1152e-06",
        "loss/gap, steps 10 to 30: -30",
        "sampler_health/rhat_energy, steps 10 to 30: 3.2",
    ]
    assert "No value is finite" in found.text  # of `odd`


def test_config_marks_what_the_command_line_set(tmp_path):
    make_run(tmp_path / "run")
    page = write_report([tmp_path / "run"], tmp_path / "page.html").path.read_text()
    assert re.findall("<mark>(.*)</mark>", page) == ["  epochs: 3"]


def test_texts_of_a_run_stay_texts(tmp_path):
    run = make_run(
        tmp_path / "run", name=EVIL, figures=("<b>",), warnings=[EVIL], error=EVIL,
        seconds_by_part={EVIL: 1.0}, git={"commit": EVIL}, host=EVIL, versions={EVIL: EVIL},
        command=[EVIL, "run", f"a.b={EVIL}"], plugins=[{"name": EVIL, "file": EVIL}],
    )  # fmt: skip
    (run / "metrics.jsonl").write_text(
        "".join(json.dumps({"step": k, "time": 1, EVIL: k, "a/" + EVIL: 1}) + "\n" for k in (1, 2))
    )
    found = report(tmp_path, run, make_run(tmp_path / "other", figures=()))
    assert found.text.count("<script>alert(1)") > 8
    assert len(found.all("script")) == 1
    allowed = {"href", "src", "content", "data-lines", "data-axis", "aria-label", "alt"}
    for name, attributes in found.elements:
        assert not [key for key in attributes if key.startswith("on")], name
        strange = {k for k, v in attributes.items() if v and "alert" in v}
        assert strange <= allowed
        for key in ("src", "href"):
            assert attributes.get(key, "#").startswith(("#", "data:image/png;base64,"))


def test_the_page_needs_no_network(tmp_path):
    make_run(tmp_path / "run")
    text = write_report([tmp_path / "run"], tmp_path / "page.html").path.read_text()
    assert "default-src 'none'; img-src data:" in text
    assert "//" not in re.sub(r"// .*|base64,\S*", "", text)  # a comment of the script, or base64
    assert "@import" not in text
    assert "url(" not in text


def test_several_runs_stand_side_by_side(tmp_path):
    one = make_run(tmp_path / "one", name="one")
    other = make_run(tmp_path / "other", name="two", steps=(10, 30))
    (other / "config.yaml").write_text("name: 'two'\ntrain:\n  epochs: 7\n  ema: 0.5\n")
    found = report(tmp_path, one, other, one)
    assert "2 runs" in found.text
    assert "train.epochs" in found.text  # the key in which they differ
    svg = found.all("svg")[1]
    assert svg["aria-label"] == "loss/gap, steps 10 to 30: -30 [-30, -30]"
    (median, *lines) = json.loads(svg["data-lines"])
    assert median[:2] == ["median", 0]
    assert median[3] == [-10, -20, -30]  # at 20 the other one counts with the line between
    assert [line[0] for line in lines] == ["one", "two"]
    assert len(found.all("polygon")) == 3
    assert len(found.all("input")) == 1  # one slider moves both


def test_a_group_is_shown_by_its_children(tmp_path):
    group = make_run(tmp_path / "group", group="seeds", figures=("loss",))
    (group / "children").mkdir()
    for seed in (10, 9):
        child = make_run(
            tmp_path / f"child-{seed}",
            parent={"name": "group", "run_dir": str(group), "key": f"seed-{seed}"},
        )
        note = {"run_dir": str(child), "key": f"seed-{seed}"}
        (group / "children" / f"child-{seed}.json").write_text(json.dumps(note))
    found = report(tmp_path, group)
    assert "2 runs" in found.text
    assert found.text.index("seed-9") < found.text.index("seed-10")
    alone = report(tmp_path, group, tmp_path / "child-9")
    assert "2 runs" in alone.text  # it stands there already


def test_pictures_are_thinned_to_the_room():
    def series(sizes):
        return Series(None, "a", [Picture(k, f"{k}", size) for k, size in enumerate(sizes)])

    found = choose([series([10] * 100), series([10] * 4)], room=200)
    long, short = found.series
    assert [picture.step for picture in short.pictures] == [0, 1, 2, 3]
    steps = [picture.step for picture in long.pictures]
    assert len(steps) == 16
    assert (steps[0], steps[-1]) == (0, 99)
    assert max(b - a for a, b in itertools.pairwise(steps)) <= 8
    assert "shows 20 of 104 pictures" in found.note
    assert choose([series([10, 300])], room=200).series == []
    assert choose([series([10] * 5)], room=50).note == ""


def test_a_page_is_never_replaced_unasked(tmp_path):
    run, path = make_run(tmp_path / "run"), tmp_path / "page.html"
    path.write_text("mine")
    with pytest.raises(EbmError, match=r"page\.html: is there already; .* --force"):
        write_report([run], path)
    assert path.read_text() == "mine"
    write_report([run], path, force=True)
    assert path.read_text().startswith("<!DOCTYPE html>")
    for bad, why in (("page.txt", r"should end in \.html"), ("no/p.html", "no such folder")):
        with pytest.raises(EbmError, match=why):
            write_report([run], tmp_path / bad)
    with pytest.raises(EbmError, match=r"there is no run\.json"):
        write_report([tmp_path], tmp_path / "other.html")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["page.html", "run"]


def test_a_strange_directory_is_shown_as_far_as_it_goes(tmp_path):
    run = make_run(tmp_path / "run", status="FAILED", versions=3, plugins="x", warnings={"a": 1},
                   seconds_by_part={"a": "b"}, data=[], command=[1], components=7)  # fmt: skip
    (run / "config.yaml").write_bytes(b"\xff: [")
    (run / "metrics.jsonl").write_text('{"step": 1, "a": 1}\nno\n{"step": 2, "a": 1e999}\n')
    (run / "figures" / "landscape" / "step-00000030.png").write_text("no picture")
    (run / "figures" / "link").symlink_to(tmp_path)
    (run / "profile.json").write_text("[]")
    found = report(tmp_path, run)
    assert "FAILED" in found.text
    frames = found.all("img")
    assert ["hidden" in frame for frame in frames] == [True, False]  # of those that are pictures


def test_the_command_answers(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    make_run(tmp_path / "run")
    answer = command(["run"], "report.html")
    size = (tmp_path / "report.html").stat().st_size
    assert answer.document == {"output": "report.html", "run_dirs": ["run"], "bytes": size}
    answer.show()
    assert capsys.readouterr().out == "1 run in report.html (0.0 MB)\n"
    with pytest.raises(EbmError, match="is there already"):
        command(["run"], "report.html")


def test_it_is_discovered():
    (command,) = [c for c in ebmcore.Host.discover().components("command") if c.name == "report"]
    assert command.plugin.distribution == "ebmcore-report"
