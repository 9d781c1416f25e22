"""Control characters in configs, overrides, names and paths: one message that says where."""

import json
import os
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import ebmcore
import support
from ebmcore import ConfigError, EbmError
from ebmcore.cli.main import app
from ebmcore.config import apply_overrides, parse_assignments, read_config, read_train
from ebmcore.config.yaml import parse
from ebmcore.runner.api import prepare
from ebmcore.runs.directory import RunDirectory, runs_folder
from ebmcore.runs.status import read_account
from ebmcore.terminal import is_control, named
from ebmcore.trackers.mlflow.sync import sync

PARTS = str(support.PARTS)
CONTROLS = [chr(c) for c in (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)]
CONTROLS = [c for c in CONTROLS if c not in "\t\n\r"]
ANY = st.text(st.characters(exclude_categories=()) | st.sampled_from(CONTROLS))
quick = settings(derandomize=True, max_examples=200, deadline=None, database=None)


@pytest.mark.parametrize("character", CONTROLS, ids=named)
def test_one_in_a_text_is_named_with_its_line_and_column(character):
    with pytest.raises(ConfigError) as caught:
        parse(f"a: 1\nb: [x, {character}y]\n", "c.yaml")
    told = f"c.yaml:2:8: holds the control character {named(character)}; take it out"
    assert str(caught.value) == told


@pytest.mark.parametrize("text", [r'a: "b\e[2J"', r'a: ["\x9b31m"]', r'"a\ab": 1', r'a: "b\0"',
                                  r'a: {b: "c\L"}', r'a: "\0"', r'a: "x\ud800"'])  # fmt: skip
def test_one_that_is_written_as_an_escape_is_named_too(text):
    with pytest.raises(ConfigError, match=r"c\.yaml:1:\d+: broken YAML: holds (the control|half)"):
        parse(text, "c.yaml")


def test_a_value_that_is_one_such_character_is_meant():
    assert parse(r'delimiter: "\x1f"', "c.yaml").value == {"delimiter": "\x1f"}
    assert parse('delimiter: "\\t"\ntext: "two\\nlines"', "c.yaml").value["text"] == "two\nlines"


@quick
@given(ANY)
@example("\ufeffa: 1")
@example("a: \ufffe")
@example("%YAML 9.9\n---\n\x85")
def test_any_text_is_read_or_refused_at_its_control_character(text):
    try:
        parse(text, "c.yaml")
    except ConfigError as error:
        told = str(error)
    else:
        told = ""
    first = next((i for i, c in enumerate(text) if is_control(c)), None)
    if first is not None:
        line, start = text.count("\n", 0, first) + 1, text.rfind("\n", 0, first)
        assert told.startswith(f"c.yaml:{line}:{first - start}: holds ")
        assert f"U+{ord(text[first]):04X}" in told or "surrogate" in told


@quick
@given(st.lists(ANY, max_size=2))
@example(["a\x01=b"])
@example(["a=\x00"])
@example(["train.\u2028epochs=1"])
def test_any_override_is_read_or_refused(texts):
    try:
        found = parse_assignments(texts)
        apply_overrides(read_config({"train": {"epochs": 1}, "loss": ["gap"]}), found)
    except ConfigError:
        return
    assert not any(is_control(c) for text in texts for c in text)


PATHS = [
    read_config,
    RunDirectory.open,
    lambda path: read_account(path) and None,
    lambda path: ebmcore.load(path),
    lambda path: ebmcore.resume(path),
    lambda path: ebmcore.evaluate(path),
    lambda path: ebmcore.run(path, plugins=[path]),
    lambda path: sync(path),
    lambda path: Path(runs_folder(path)),
]
if find_spec("ebmcore_sweep") is not None:
    import ebmcore_sweep

    PATHS += [ebmcore_sweep.resume_seeds, lambda path: ebmcore_sweep.run_seeds(path, 2)]


@settings(quick, max_examples=40)
@given(ANY.filter(bool))
@example("a\0b")
@example("\x1b]0;x\x07")
@example("\udcff")
def test_any_path_is_opened_or_refused(path):
    for opened in PATHS:
        try:
            opened(path)
        except EbmError:
            continue
    for mapping in ({"plugins": {"files": [path]}}, {"name": path, path: {path: [path]}}):
        with pytest.raises(EbmError):
            prepare(mapping)
    with pytest.raises(EbmError):
        read_train({"steps": 1, "keep_best": path + "\0"})


@pytest.mark.parametrize("place", ["name", "data.path", "tracking.uri", "plugins.files"])
@pytest.mark.parametrize("character", ["\0", "\x1b", "\x9b", "\u2028", "\udcff"], ids=ascii)
def test_a_mapping_is_held_to_the_same(config, place, character):
    config["tracking"] = {}
    path = [f"a{character}b"] if place == "plugins.files" else f"a{character}b"
    with pytest.raises(ConfigError, match=f"{place}.*: holds (the control character|half)"):
        ebmcore.run(config, {place: path}, progress=False)


@pytest.fixture(scope="module")
def finished(make_config, tmp_path_factory):
    """A run that has FINISHED."""
    folder = tmp_path_factory.mktemp("finished")
    return ebmcore.run(make_config(), runs_dir=folder, progress=False).dir


def refused(*words, code=2):
    done = CliRunner().invoke(app, [*words])
    assert done.exit_code == code, (words, done.output, done.exception)
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return done.stderr


READERS = [
    ["resume", "run"],
    ["sample", "run", "-p", PARTS],
    ["evaluate", "run", "-p", PARTS],
    ["runs", "diff", "run", "run"],
    ["run", "run/config.yaml"],
    pytest.param(["run", "run/config.yaml", "--seeds", "2"], marks=pytest.mark.plugins),
]


@pytest.mark.parametrize("words", READERS)
@pytest.mark.parametrize("character", ["\0", "\x1b", "\x07", "\x9b", "\u2028"], ids=named)
def test_a_recorded_config_is_refused_by_all_that_read_it(words, character, finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    file = tmp_path / "run" / "config.yaml"
    file.write_text(f"{file.read_text()}# {character}\n")
    line = file.read_bytes().count(b"\n")
    place, told = f"run/config.yaml:{line}:3", f"holds the control character {named(character)}"
    assert refused(*words) == f"{place}: {told}; take it out\n"


WORDS = """
run {} | run c.json {} | run c.json {}=1 | run c.json name={} | run c.json -p {} | resume {}
run c.json --runs-dir {} train.epochs=0 | run c.json --seeds {} | sample {} | evaluate {}
sample run -o {}.npz -n 0 | sample run --checkpoint {} | evaluate run {}=1 | components {}
show {} Adam | show loss {} | check {} | plugins new {} --kind loss | plugins new a --kind {}
plugins new a --kind loss --into {} | runs show {} | runs diff {} run | runs sync {}
runs list --runs-dir {} | sweep {} | sweep --join sqlite:///{} | runs {} | {}
""".strip().replace("\n", " | ")


@pytest.mark.parametrize("words", WORDS.split(" | "))
def test_a_word_of_any_command_is_refused_in_a_message(words, finished, tmp_path, make_config):
    shutil.copytree(finished, tmp_path / "run")
    (tmp_path / "c.json").write_text(json.dumps(make_config()))
    for evil in ("a\0b", "a\x01b", "\x1b[2J", "\udcff", "\x9b", "\u2028", "a" * 5000):
        told = refused(*(word.format(evil) for word in words.split()))
        assert told
        assert not any(is_control(c) for c in told)
    assert sorted(os.listdir()) == ["c.json", "run"]
