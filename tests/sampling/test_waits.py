"""The one place where a step may wait for its device."""

import pytest
import torch

from ebmcore import any_left


def test_any_left_says_whether_a_chain_goes_on():
    assert any_left(torch.tensor([False, True]))
    assert not any_left(torch.tensor([False, False]))
    assert not any_left(torch.ones(3, device="meta") > 0)


@pytest.mark.plugins
def test_the_kit_lets_only_a_declared_kernel_wait_there():
    from ebmcore.testing import HostSync, no_host_sync

    going = torch.tensor([True])
    with no_host_sync("cpu", waits="it has a reason"):
        assert any_left(going)
    with pytest.raises(HostSync), no_host_sync("cpu"):
        any_left(going)
    with pytest.raises(HostSync), no_host_sync("cpu", waits="it has a reason"):
        bool(going)
