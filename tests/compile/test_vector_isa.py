"""The instruction sets are those that torch finds itself, and are tried once on a machine."""

import json

import pytest
import torch

from ebmcore.compile.graph import unavailable
from ebmcore.compile.vector_isa import cache_file, describe_machine, find_sets

sets = pytest.importorskip("torch._inductor.cpu_vec_isa")
linux = pytest.importorskip("platform").system() == "Linux" and sets.platform.machine() == "x86_64"
pytestmark = pytest.mark.skipif(
    not linux or unavailable(torch.device("cpu")) is not None, reason="torch does it there"
)


@pytest.fixture(autouse=True)
def forgotten(monkeypatch, tmp_path):
    """Let torch know nothing of the sets, before and after."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    forget()
    yield
    forget()


def forget():
    sets.valid_vec_isa_list.cache_clear()
    sets.VecISA._VecISA__bool__impl.cache_clear()
    for kind in (sets.VecAVX512, sets.VecAVX512VNNI, sets.VecAMX):
        kind.__bool__.cache_clear()


def found():
    return [(str(isa), isa.build_arch_flags(), bool(isa)) for isa in sets.valid_vec_isa_list()]


@pytest.fixture
def trials(monkeypatch):
    """The codes that torch compiles."""
    codes, real = [], sets.VecISA.check_build

    def check(isa, code):
        codes.append(code)
        return real(isa, code)

    monkeypatch.setattr(sets.VecISA, "check_build", check)
    return codes


@pytest.mark.slow
def test_the_sets_are_those_that_torch_finds(trials):
    find_sets(sets, describe_machine())
    ours = found()
    assert sets.VecISA._avx_code not in trials
    forget()
    assert ours == found()
    assert sets.VecISA._avx_code in trials or not ours


def test_sets_are_tried_once_on_a_machine(trials):
    machine = describe_machine()
    find_sets(sets, machine)
    first, tried = found(), len(trials)
    forget()
    find_sets(sets, machine)
    assert (found(), len(trials)) == (first, tried)
    forget()
    find_sets(sets, {**machine, "compiler": ["another"]})
    assert (found(), len(trials)) == (first, 2 * tried)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda kept: "{",
        lambda kept: json.dumps([kept]),
        lambda kept: json.dumps({**kept, "machine": {}}),
        lambda kept: json.dumps({**kept, "answers": dict.fromkeys(kept["answers"], "no")}),
    ],
    ids=["torn", "a-list", "another-machine", "no-answers"],
)
def test_a_file_that_is_not_as_written_is_not_read(trials, spoil):
    machine = describe_machine()
    find_sets(sets, machine)
    first, tried = found(), len(trials)
    file = cache_file(machine)
    file.write_text(spoil(json.loads(file.read_text())))
    forget()
    find_sets(sets, machine)
    assert (found(), len(trials)) == (first, 2 * tried)


def test_a_compiler_that_knows_no_set_leaves_none(trials, tmp_path):
    compiler = tmp_path / "g++"
    compiler.write_text('#!/bin/sh\ncase "$1" in -v|--version) echo 9;; *) exit 1;; esac\n')
    compiler.chmod(0o755)
    with torch._inductor.config.patch({"cpp.cxx": (str(compiler),)}):
        find_sets(sets, describe_machine())
    assert found() == []
    assert trials
