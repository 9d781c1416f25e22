"""Random streams: separate, and derived from (seed, purpose, rank)."""

import itertools

import torch

from ebmcore.train.rng import Streams, derive, own_global_stream


def test_seeds_differ_by_seed_purpose_and_rank():
    seeds = [derive(s, p, r) for s, p, r in itertools.product(range(9), "abc", range(3))]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert derive(0, "chains") == 1988805480604126727  # runs of old must still repeat


def test_one_streams_draws_do_not_shift_anothers():
    one, two = Streams(0), Streams(0)
    torch.randn(100, generator=one("chains"))
    assert torch.equal(
        torch.randn(5, generator=one("sampler")), torch.randn(5, generator=two("sampler"))
    )
    assert one("chains") is one("chains")


def test_the_global_stream_is_lent_and_given_back():
    cpu = torch.device("cpu")
    state = torch.get_rng_state()
    draws = []
    for _ in range(2):
        with own_global_stream(7, cpu):
            draws.append(torch.randn(3))
    assert torch.equal(*draws)
    assert torch.equal(torch.get_rng_state(), state)
