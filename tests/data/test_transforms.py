"""Transforms in order: fitted on training rows alone, applied, undone, counted, saved."""

import pytest
import torch

import ebmcore.data.parts
from ebmcore import Binary, Categorical, Real, Transform
from ebmcore.data import TransformError, Transforms, load_data, transform_data


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


class Scale(Transform):
    """Divides by the largest size of a training row's number."""

    def fit(self, x):
        self.largest = x.abs().max()

    def __call__(self, x):
        return x / self.largest.to(x)

    def inverse(self, x):
        return x * self.largest.to(x)

    def log_abs_det(self, x):
        return -x[0].numel() * self.largest.log().to(x).expand(len(x))

    def state_dict(self):
        return {"largest": self.largest}

    def load_state_dict(self, state):
        self.largest = state["largest"]


class Spread(Transform):
    """Whole numbers to reals: adds uniform noise, new in each batch."""

    spaces = (Categorical, Binary)
    draws = True

    def space(self, space):
        return Real()

    def __call__(self, x, generator=None):
        return x + (0.5 if generator is None else torch.rand(x.shape, generator=generator))

    def inverse(self, x):
        return x.floor()

    def log_abs_det(self, x):
        return x.new_zeros(len(x))


class Exp(Transform):
    def __call__(self, x):
        return x.exp()

    def inverse(self, x):
        return x.log()

    def log_abs_det(self, x):
        return x.flatten(1).sum(1)


def jitter(x, generator):
    return x + torch.randn(x.shape, generator=generator, dtype=x.dtype)


def transformed(data, transforms, *, holdout=0.25, **options):
    found = load_data(data, holdout=holdout, generator=seeded(), dtype=torch.float32, **options)
    return found, transform_data(found, Transforms(transforms), seeded(1))


def test_they_are_fitted_on_the_training_rows_alone():
    x = torch.randn(40, 3, generator=seeded())
    plain, data = transformed(x, [Scale(), Exp()])
    largest = plain.x.abs().max()
    assert torch.equal(data.x, (plain.x / largest).exp())
    assert torch.equal(data.held_out, (plain.held_out / largest).exp())
    assert torch.equal(data.bounds, torch.stack([data.x.amin(0), data.x.amax(0)]))
    assert data.rows is None  # nothing draws, so a batch is read as it lies
    other = x.clone()
    other[~torch.isin(x[:, 0], plain.x[:, 0])] *= 100  # the held-out rows
    assert torch.equal(transformed(other, [Scale(), Exp()])[1].x, data.x)
    torch.testing.assert_close(data.transforms.inverse(data.held_out), plain.held_out)
    torch.testing.assert_close(data.transforms(plain.held_out), data.held_out)


class Few(Exp):
    """Notes how many rows it gets at most."""

    most = 0

    def __call__(self, x):
        self.most = max(self.most, len(x))
        return super().__call__(x)


class Same(Transform):
    def __call__(self, x):
        return x


class Noise(Spread):
    spaces = (Real,)


class Twice(Transform):
    def shape(self, event_shape):
        return (2 * event_shape[0],)

    def __call__(self, x):
        return torch.cat([x, x], 1)


@pytest.mark.parametrize(
    ("chain", "in_place"),
    [
        pytest.param(lambda: [Scale(), Few()], True, id="in place"),
        pytest.param(lambda: [Same(), Few()], True, id="identity"),
        pytest.param(lambda: [Few(), Twice(), Few()], False, id="shape"),
        pytest.param(lambda: [Few(), lambda x: x - x.mean(0), Few()], False, id="function"),
        pytest.param(lambda: [Few(), Noise(), Few()], False, id="draws"),
        pytest.param(lambda: [Few(), jitter, Few()], False, id="augments"),
    ],
)
def test_rows_are_mapped_a_few_at_a_time_to_the_same_bits(chain, in_place, monkeypatch):
    def load():
        x = torch.randint(5, (400, 2), generator=seeded()).float()
        return load_data(x, holdout=0.1, generator=seeded(), dtype=torch.float32)

    plain = load()
    whole = transform_data(plain, Transforms(chain()), seeded(1))
    monkeypatch.setattr(ebmcore.data.parts, "AT_ONCE", 100)
    for overwrite in (False, True):
        given = load()
        data = transform_data(given, Transforms(chain()), seeded(1), overwrite=overwrite)
        assert torch.equal(data.x, whole.x)
        assert torch.equal(data.held_out, whole.held_out)
        assert data.rows is None if whole.rows is None else torch.equal(data.rows, whole.rows)
        assert overwrite or torch.equal(given.x, plain.x)
        assert (data.x.data_ptr() == given.x.data_ptr()) == (overwrite and in_place)
        again = transform_data(load(), data.transforms, seeded(1), overwrite=overwrite)
        assert torch.equal(again.x, whole.x)
        assert all(part.most <= 50 for part in data.transforms.parts if isinstance(part, Few))


def test_numbers_that_are_lost_are_found_in_any_part(monkeypatch):
    monkeypatch.setattr(ebmcore.data.parts, "AT_ONCE", 100)
    x = torch.ones(400, 2)
    x[321, 1] = 1000.0
    for part in (Exp(), torch.exp):
        with pytest.raises(TransformError, match=r"NaN or inf of row 321, column 1"):
            transformed(x, [part], holdout=0.0)


def test_log_det_is_that_of_all_of_them():
    x = torch.randn(20, 2, generator=seeded())
    plain, data = transformed(x, [Scale(), Exp(), Scale()])

    def whole(row):
        one = row[None]
        for part in data.transforms.parts:
            one = part(one)
        return one[0]

    rows = plain.held_out.double()
    jacobians = [torch.autograd.functional.jacobian(whole, row) for row in rows]
    expected = torch.stack([torch.linalg.slogdet(j).logabsdet for j in jacobians])
    torch.testing.assert_close(data.held_out_log_det, expected, rtol=1e-5, atol=1e-5)
    event, log_det, held = data.transforms.preimage(data.held_out)
    torch.testing.assert_close(event, plain.held_out, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(log_det, expected, rtol=1e-5, atol=1e-5)
    assert held.all()


def test_whole_numbers_are_drawn_anew_for_each_batch():
    x = torch.randint(5, (40, 2), generator=seeded())
    plain, data = transformed(x, [Spread(), Scale()], space=Categorical(5))
    assert data.space == Real()
    assert data.x.dtype == torch.float32
    assert torch.equal(data.rows, plain.x.float())  # what comes before the first that draws
    largest = data.transforms.parts[1].largest
    assert largest == (data.x * largest).max()  # fitted on one draw
    stream = seeded(5)
    first, second = (data.transforms.draw(data.rows, stream) for _ in range(2))
    assert not torch.equal(first, second)
    assert torch.equal(first, data.transforms.draw(data.rows, seeded(5)))
    for one in (first, second, data.x):
        back = data.transforms.inverse(one)
        assert back.dtype == torch.int64
        assert torch.equal(back, plain.x)
    assert torch.equal(data.transforms(plain.x), (plain.x + 0.5) / largest)  # without a generator


def test_augmentations_change_training_batches_alone():
    x = torch.randn(40, 2, generator=seeded())
    plain, data = transformed(x, [jitter, Scale()])
    largest = plain.x.abs().max()
    assert torch.equal(data.x, plain.x / largest)
    assert torch.equal(data.held_out, plain.held_out / largest)
    assert not torch.equal(data.transforms.draw(data.rows, seeded()), data.x)
    assert data.transforms.undone(data.x).stopped_at == ""
    assert torch.isfinite(data.held_out_log_det).all()


def test_a_map_without_inverse_is_where_undoing_stops():
    x = torch.rand(20, 2, generator=seeded())
    _, data = transformed(x, [torch.square, Scale()])
    found, stopped_at = data.transforms.undone(data.held_out)
    assert stopped_at == "square"
    torch.testing.assert_close(found, data.held_out * data.transforms.parts[1].largest)
    assert data.held_out_log_det is None
    assert data.transforms.without_log_det == "square"


def test_the_state_makes_the_same_map_of_other_transforms():
    x = torch.randint(2, (20, 2), generator=seeded())
    _, data = transformed(x, [Spread(), Scale()], space=Binary())
    other = Transforms([Spread(), Scale()])
    state = data.transforms.state_dict()
    other.load_state_dict(state)
    assert torch.equal(other(x), data.transforms(x))
    assert other.space == data.space
    other.compare(state)
    other.parts[1].largest = other.parts[1].largest * 1.01
    with pytest.raises(ValueError, match="fitted on other training rows"):
        other.compare(state)
    with pytest.raises(ValueError, match="state is of the transforms Spread, Scale; here are Exp"):
        Transforms([Exp()]).load_state_dict(state)


class Known:
    """Exponential numbers, whose density is exp(-x)."""

    entropy = 1.0

    def __call__(self):
        return -torch.rand(64, 1, generator=seeded()).log()

    def log_prob(self, x):
        return torch.where(x[:, 0] < 0, -torch.inf, -x[:, 0])


class Log(Exp):
    __call__, inverse = Exp.inverse, Exp.__call__

    def log_abs_det(self, x):
        return -x.log().flatten(1).sum(1)


def test_a_known_density_is_that_of_the_transformed_events():
    _, data = transformed(Known(), [Log()])  # of y = log x it is exp(y - exp(y))
    y = torch.linspace(-30, 10, 20001, dtype=torch.float64)[:, None]
    expected = (y - y.exp())[:, 0]
    torch.testing.assert_close(data.source.log_prob(y), expected)
    assert data.source.original.entropy == 1.0
    assert not hasattr(data.source, "entropy")  # of y it is another
    _, unknown = transformed(Known(), [torch.square])
    assert not hasattr(unknown.source, "log_prob")


class Wrong(Transform):
    def __init__(self, result, shape=None):
        self.result, self.wanted = result, shape

    def shape(self, event_shape):
        return self.wanted or event_shape

    def __call__(self, x):
        return self.result(x)


@pytest.mark.parametrize(
    ("one", "message"),
    [
        (Spread(), "takes categorical and binary events, and those that it gets are real"),
        (Wrong(lambda x: x[:, :1]), r"of shape \(15, 2\), as its `shape` says; got torch.float32"),
        (Wrong(lambda x: x.double()), "should give torch.float32 .* got torch.float64"),
        (Wrong(lambda x: x / 0), r"makes NaN or inf of row 0, column 0"),
        (Wrong(lambda x: {}["there"]), r"can't map the data: KeyError: 'there' \(.*test_transf"),
        (Wrong(lambda x: x.no), "can't map the data: AttributeError"),
    ],
)
def test_misuse_is_refused_with_its_place(one, message):
    with pytest.raises(TransformError, match=message) as caught:
        transformed(torch.randn(20, 2, generator=seeded()), [Exp(), one])
    assert caught.value.index == 1
