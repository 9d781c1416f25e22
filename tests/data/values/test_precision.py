"""Numbers that a run's dtype can't hold are refused: no digit is lost in silence."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import TensorDataset

import ebmcore
from ebmcore import ConfigError, DataError, refuse_lost_digits
from ebmcore.data.load import load_data

FLOATS = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
quick = settings(derandomize=True, max_examples=300, deadline=None, database=None)
KINDS = ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"]


def load(source, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    return load_data(source, holdout=0.0, generator=generator, dtype=dtype).x


@st.composite
def whole_numbers(draw):
    kind = np.dtype(draw(st.sampled_from(KINDS)))
    limits = np.iinfo(kind)
    near = [n for p in (2, 8, 11, 24, 53, 62, 63, 64) for n in range(2**p - 2, 2**p + 3)]
    near = [n for n in (*near, *(-n for n in near)) if limits.min <= n <= limits.max]
    values = st.sampled_from(near) | st.integers(limits.min, limits.max)
    return np.array(draw(st.lists(values, min_size=1, max_size=5)), kind)[:, None]


@quick
@given(whole_numbers(), st.sampled_from(FLOATS))
def test_whole_numbers_are_held_exactly_or_refused(found, dtype):
    exact = [int(n) for n in found[:, 0]]
    held = torch.from_numpy(found).to(dtype).double()[:, 0].tolist()
    can = all(np.isfinite(h) and int(h) == n for h, n in zip(held, exact, strict=True))
    given_as = [found, torch.from_numpy(found), lambda: found]
    if all(-(2**63) <= n < 2**63 for n in exact):
        given_as += [[[n] for n in exact], TensorDataset(torch.tensor(exact)[:, None])]
    for source in given_as:
        if can:
            assert [int(n) for n in load(source, dtype)[:, 0].double()] == exact
        else:
            with pytest.raises(
                DataError, match=r"row \d, column 0 .* is -?\d+, which .* can't hold"
            ):
                load(source, dtype)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (torch.tensor([[7, 0], [1, 2**60 + 1]]), r"row 1, column 1 \(counted from 0\) is "
         r"1152921504606846977, which float32 can't hold: it would become 1152921504606846976\. "
         r"Subtract an offset or divide the column first, so that .* at most 16,777,216"),
        (torch.arange(2**25, 2**25 + 400), r"row 1, column 0 .* is 33554433, .* 33554432\. Set "
         r"dtype: float64, which holds it, or subtract an offset"),
        ([[2**60 + 1, 0.5]], r"row 0, column 0 .* is 1152921504606846977, beyond what a float"),
        ([[2**63 + 1]], "whole numbers of more than 64 bits"),
        ([[10**400, 0.5]], "whole numbers of more than 64 bits"),
        (torch.zeros(2, 3, 4, dtype=torch.int64).index_fill(2, torch.tensor([1]), 2**24 + 1),
         r"row 0, element \[0, 1\] \(counted from 0\) is 16777217"),
        (torch.tensor([[1e60]], dtype=torch.float64), "row 0 .* numbers too large for float32"),
    ],
    ids=["large", "arange", "mixed list", "64 bits", "400 digits", "image", "overflow"],
)  # fmt: skip
def test_the_message_names_the_place_the_value_and_the_way_out(source, message):
    with pytest.raises(DataError, match=message):
        load(source)


def test_the_runs_that_finished_with_other_data_are_refused(config, tmp_path):
    (tmp_path / "mine.py").write_text(
        "import torch\nfrom ebmcore import dataset\n"
        "@dataset\ndef wide(*, n: int = 60):\n"
        "    return torch.tensor([[2**n + i % 2, i] for i in range(200)])\n"
    )
    config["plugins"]["files"].append("mine.py")
    config["data"] = "mine:wide"
    with pytest.raises(
        ConfigError, match=r"data: the data's row 1, column 0 .* 115292150460684697"
    ):
        ebmcore.run(config, progress=False)
    with pytest.raises(ConfigError, match="float64 can't hold"):
        ebmcore.run(config, {"dtype": "float64"}, progress=False)
    config["data"] = {"type": "mine:wide", "n": 40}
    with pytest.raises(ConfigError, match="Set dtype: float64, which holds it"):
        ebmcore.run(config, progress=False)
    assert ebmcore.run(config, {"dtype": "float64"}, progress=False).status == "FINISHED"


def test_labels_keep_every_digit():
    x = torch.rand(3, 1)
    for labels in (torch.tensor([2**60 + 1, 5, 6]), [2**60 + 1, 5, 6]):
        data = load_data((x, labels), holdout=0.0, generator=None, dtype=torch.float32)
        assert data.y.tolist() == [2**60 + 1, 5, 6]
    floats = load_data((x, [0.1, 0.2, 0.3]), holdout=0.0, generator=None, dtype=torch.float32)
    assert floats.y.dtype == torch.float32


RANDOM = np.random.default_rng(0)
DAY = 1.7e9 + 86400 * RANDOM.random(2000)


ORDINARY = {
    "normal": RANDOM.normal(size=5000),
    "cauchy": RANDOM.standard_cauchy(5000),
    "log-normal": RANDOM.lognormal(sigma=5, size=5000),
    "exponential": RANDOM.exponential(1e-6, 5000),
    "constant": np.full(100, 0.1),
    "constant but for float64's noise": 0.1 + 0.2 - 0.3 * RANDOM.permutation([1, 1 + 2e-16] * 50),
    "sums to one": RANDOM.dirichlet(np.ones(9), 500).sum(1),
    "one value": np.array([1.7e9 + 0.1]),
    "few values": RANDOM.choice([0.1, 0.2, 0.7], 300),
    "mostly one value": np.where(RANDOM.random(1000) < 0.9, 0.1, RANDOM.normal(size=1000)),
    "pixels": RANDOM.integers(0, 256, 1000) / 255,
    "degrees": 52.5 + 0.01 * RANDOM.normal(size=1000),
    "pressure in pascal": 101_325 + 500 * RANDOM.normal(size=1000),
    "kelvin": 300 + 0.05 * RANDOM.normal(size=1000),
    "years": 2000 + RANDOM.integers(0, 25, 1000).astype(float),
    "Julian dates of a decade": 2.46e6 + 3650 * RANDOM.random(1000),
    "seconds of a year since 1970": 1.7e9 + 3e7 * RANDOM.random(1000),
    "prices": np.round(RANDOM.lognormal(3, 2, 1000), 2),
    "outliers": np.append(RANDOM.normal(size=1000), [1e12, -1e12]),
    "very small": 1e-30 * RANDOM.normal(size=500),
    "whole numbers that fit": RANDOM.integers(-(2**24), 2**24, 1000).astype(float),
}


@pytest.mark.parametrize("column", ORDINARY.values(), ids=ORDINARY)
def test_ordinary_data_are_rounded_as_ever(column):
    x = torch.from_numpy(column.astype(np.float64))[:, None]
    for source in (x, x.numpy(), x.tolist(), torch.cat([x, x.flip(0)], 1), lambda: x):
        found = load(source)
        assert torch.equal(found[:, :1], x.float())
    if np.abs(column).max() < 1e4:
        refuse_lost_digits(torch.rand(100, 1, dtype=torch.float64), torch.bfloat16)


COLLAPSED = {
    "seconds of a day since 1970": DAY,
    "the same, some unknown and 0": np.where(RANDOM.random(2000) < 0.1, 0.0, DAY),
    "milliseconds of a day": 1000 * DAY,
    "counted on from 2^25": 2.0**25 + np.arange(400),
    "metres from far away": 5e6 + 10 * RANDOM.normal(size=100),
    "below what float32 has": 1e-50 * RANDOM.normal(size=100),
    "two values": np.array([1.7e9, 1.7e9 + 1]),
}


@pytest.mark.parametrize("column", COLLAPSED.values(), ids=COLLAPSED)
def test_a_column_that_rounding_leaves_little_of_is_refused(column):
    for x in (column[:, None], np.stack([RANDOM.normal(size=len(column)), column], 1)):
        place = rf"row \d+, column {x.shape[1] - 1} \(counted from 0\) is [-\d.e+]+ and would be"
        way = r"of \d+ different values in \d+ rows \d+ would be left\. Set dtype: float64, or"
        for source in (x, torch.from_numpy(x), x.tolist()):
            with pytest.raises(DataError, match=f"{place} .* {way}"):
                load(source)
        assert torch.equal(load(x, torch.float64), torch.from_numpy(x))


def test_images_of_bytes_are_looked_at_no_further():
    images = torch.randint(0, 256, (50, 8, 8), dtype=torch.uint8)
    assert torch.equal(load(images), images.float())
    assert torch.equal(load(images > 128), (images > 128).float())


def test_one_bad_row_or_column_of_many_is_found():
    whole = torch.zeros(3_000_000, 1, dtype=torch.int64)
    whole[2_345_678] = 2**24 + 1
    with pytest.raises(DataError, match=r"row 2345678, column 0 .* is 16777217"):
        load(whole)
    wide = torch.rand(40, 70_000, dtype=torch.float64)
    wide[:, 65_432] += 1e12
    with pytest.raises(DataError, match="column 65432 "):
        load(wide)
