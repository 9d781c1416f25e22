"""Seals: only this user's installation makes one, and one changed letter breaks it."""

import multiprocessing
import os
import stat

import pytest

from ebmcore.runs.seal import config_folder, is_sealed, seal


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("EBMCORE_CONFIG_DIR", str(tmp_path / "settings" / "ebmcore"))


def test_what_was_sealed_is_known_again_and_nothing_else_is():
    found = seal("http://mine", "token")
    assert is_sealed(found, "http://mine", "token")
    for words in (("http://mine", "tokeN"), ("http://mine",), ("http://minetoken",), ("token",)):
        assert not is_sealed(found, *words)
    for other in (None, "", found[:-1], found.upper(), "ü" * 64, 7, b"", ["x"], "0" * 10_000):
        assert not is_sealed(other, "http://mine", "token")
    assert not is_sealed(seal("a", None), "a", "null")


def test_the_key_is_read_by_its_owner_alone():
    assert seal("x")
    key = config_folder() / "key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert list(config_folder().iterdir()) == [key]
    before = key.read_bytes()
    assert seal("x") == seal("x")
    assert key.read_bytes() == before


def spoil_mode(key):
    key.chmod(0o640)


def spoil_link(key):
    key.rename(key.with_name("elsewhere"))
    key.symlink_to(key.with_name("elsewhere"))


def spoil_size(key):
    key.write_bytes(b"short")


def spoil_fifo(key):
    key.unlink()
    os.mkfifo(key, 0o600)


@pytest.mark.parametrize("spoil", [spoil_mode, spoil_link, spoil_size, spoil_fifo])
def test_a_key_that_others_could_have_made_seals_nothing(spoil):
    found = seal("x")
    spoil(config_folder() / "key")
    assert not is_sealed(found, "x")
    assert seal("x") is None


def test_another_installation_makes_other_seals(tmp_path, monkeypatch):
    found = seal("x")
    monkeypatch.setenv("EBMCORE_CONFIG_DIR", str(tmp_path / "theirs"))
    assert not is_sealed(found, "x")
    assert seal("x") != found


def test_without_a_folder_to_write_in_nothing_is_sealed(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EBMCORE_CONFIG_DIR", str(tmp_path / "file" / "below"))
    assert seal("x") is None
    assert not is_sealed("0" * 64, "x")


def _seal(_):
    return seal("x")


def test_processes_that_make_the_key_at_once_share_one():
    with multiprocessing.get_context("fork").Pool(8) as pool:
        assert len(set(pool.map(_seal, range(64)))) == 1
