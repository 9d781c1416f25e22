"""The base of the sweeps that these tests make."""

import pytest

from support import sweeping


@pytest.fixture
def base(config):
    """A base of a few steps without samples."""
    return sweeping.plain(config)
