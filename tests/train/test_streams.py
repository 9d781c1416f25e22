"""The random streams of ranks, of rollbacks and of resumed runs."""

import pytest
import torch

from ebmcore.distributed.rank import RankInfo
from ebmcore.train.device import Placement, choose_device
from ebmcore.train.rng import DATA_ORDER, Streams, own_global_stream

OWN = ("chains", "sampler", "loss gap", "data noise", "global", "build chains x", "build sampler x")
SHARED = (DATA_ORDER, "transform", "build energy x", "build loss gap")


def draw(generator):
    return torch.randint(2**40, (4,), generator=generator).tolist()


@pytest.mark.parametrize("purpose", [*OWN, *SHARED])
def test_ranks_share_streams_but_for_their_own(purpose):
    first, second = (draw(Streams(3, rank=rank)(purpose)) for rank in (0, 1))
    assert (first == second) is (purpose in SHARED)


def test_a_placement_has_the_streams_of_its_rank():
    made = Placement.choose("cpu", 3, RankInfo(1, 2))
    assert draw(made.streams("chains")) == draw(Streams(3, rank=1)("chains"))
    assert choose_device("meta", RankInfo(1, 2)).type == "meta"


def test_streams_are_renewed_but_for_the_datas_order():
    streams, plain = Streams(3), Streams(3)
    for each in (streams, plain):
        for purpose in (DATA_ORDER, "chains"):
            draw(each(purpose))
    held = streams("chains")
    streams.renew("rollback 1")
    assert draw(streams(DATA_ORDER)) == draw(plain(DATA_ORDER))
    assert streams("chains") is held
    again = draw(held)
    assert again not in (draw(plain("chains")), draw(Streams(3)("chains")))
    other = Streams(3)
    other.renew("rollback 1")
    assert draw(other("chains")) == again  # made after it, it is the same
    other.renew("rollback 2")
    assert draw(other("chains")) != again
    assert draw(other("sampler")) != draw(Streams(3)("sampler"))


def test_a_state_is_restored_in_place():
    streams = Streams(3)
    streams.renew("rollback 1")
    draw(streams("chains"))
    draw(streams(DATA_ORDER, on_cpu=True))
    with own_global_stream(11, streams.device):
        torch.rand(5)
        state = streams.state_dict()
        expected = [draw(streams("chains")), draw(streams(DATA_ORDER)), torch.rand(3)]
        later = draw(streams("sampler"))
    other = Streams(3)
    held = other("chains")
    other.load_state_dict(state)
    with own_global_stream(12, other.device):
        other.restore_global()
        found = [draw(held), draw(other(DATA_ORDER)), torch.rand(3)]
    assert found[:2] == expected[:2]
    assert torch.equal(found[2], expected[2])
    assert draw(other("sampler")) == later  # it knows that it was reseeded


def test_a_rewind_undoes_draws_and_drops_streams_made_since():
    streams = Streams(3)
    with own_global_stream(11, streams.device):
        draw(streams("chains"))
        positions = streams.positions()
        expected = draw(streams("chains")), torch.rand(2).tolist()
        draw(streams("sampler"))
        streams.rewind(positions)
        assert list(streams.items()) == ["chains"]
        assert (draw(streams("chains")), torch.rand(2).tolist()) == expected
    assert draw(streams("sampler")) == draw(Streams(3)("sampler"))


def test_the_global_stream_inside_is_of_its_seed():
    with own_global_stream(7, torch.device("cpu")):
        found = torch.rand(3)
    assert torch.equal(found, torch.rand(3, generator=torch.Generator().manual_seed(7)))
