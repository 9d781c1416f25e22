"""Seals: only this user's installation makes one, and one changed letter breaks it."""

import multiprocessing
import os
import stat

import pytest

from ebmcore.runs.user_signature import config_folder, is_signed, sign


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("EBMCORE_CONFIG_DIR", str(tmp_path / "settings" / "ebmcore"))


def test_what_was_sealed_is_known_again_and_nothing_else_is():
    found = sign("http://mine", "token")
    assert is_signed(found, "http://mine", "token")
    for words in (("http://mine", "tokeN"), ("http://mine",), ("http://minetoken",), ("token",)):
        assert not is_signed(found, *words)
    for other in (None, "", found[:-1], found.upper(), "ü" * 64, 7, b"", ["x"], "0" * 10_000):
        assert not is_signed(other, "http://mine", "token")
    assert not is_signed(sign("a", None), "a", "null")


def test_the_key_is_read_by_its_owner_alone():
    assert sign("x")
    key = config_folder() / "key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert list(config_folder().iterdir()) == [key]
    before = key.read_bytes()
    assert sign("x") == sign("x")
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
    found = sign("x")
    spoil(config_folder() / "key")
    assert not is_signed(found, "x")
    assert sign("x") is None


def test_another_installation_makes_other_seals(tmp_path, monkeypatch):
    found = sign("x")
    monkeypatch.setenv("EBMCORE_CONFIG_DIR", str(tmp_path / "theirs"))
    assert not is_signed(found, "x")
    assert sign("x") != found


def test_without_a_folder_to_write_in_nothing_is_sealed(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EBMCORE_CONFIG_DIR", str(tmp_path / "file" / "below"))
    assert sign("x") is None
    assert not is_signed("0" * 64, "x")


def _seal(_):
    return sign("x")


def test_processes_that_make_the_key_at_once_share_one():
    with multiprocessing.get_context("fork").Pool(8) as pool:
        assert len(set(pool.map(_seal, range(64)))) == 1
