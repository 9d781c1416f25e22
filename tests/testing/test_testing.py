"""`ebmcore.testing`: without its distribution it says what to install."""

import importlib
import sys

import pytest


def test_it_says_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "ebmcore.testing", raising=False)
    monkeypatch.setitem(sys.modules, "ebmcore_testing", None)  # as if it weren't there
    with pytest.raises(ImportError, match=r"Install it with: pip install ebmcore-testing$"):
        importlib.import_module("ebmcore.testing")
