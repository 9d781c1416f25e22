"""The suite of transforms: round trip, log |det|, what they learn from, their state.

What only some have is checked where it is there: an `inverse` and a `log_abs_det`, which raise
NotImplementedError where there is none. Facts of the suite, or else of the component:

    tolerance    of the round trip in float32, relative to the larger of 1 and the largest value
"""

from __future__ import annotations

import copy
import inspect
from typing import Any

import torch
from torch import Generator, Tensor

from ebmcore import Real, Space
from ebmcore.data import Transforms
from ebmcore_testing.failures import CheckFailed, NotApplicable, require, require_close
from ebmcore_testing.measures.observed import (
    require_plain,
    same_state,
    seeded,
    streams_untouched,
    tensors_untouched,
)
from ebmcore_testing.suites.suite import Suite

_ROWS = 64
_TOLERANCE = 1e-6
_DET = 1e-6  # of log |det| in float64


class TransformSuite(Suite):
    """The checks of a transform, fitted on 64 rows of data."""

    kind = "transform"

    def space(self) -> Any:
        """Return the space of the rows: `check_space`, or one that the transform takes."""
        found = (
            Real() if self.given("check_space") is None and self._takes_real() else super().space()
        )
        return found if isinstance(found, Space) else Real()

    def _takes_real(self) -> bool:
        served = getattr(type(self).target(), "spaces", (Space,))
        return any(issubclass(Real, cls) for cls in served)

    def fitted(
        self,
        shape: tuple[int, ...] | None = None,
        *,
        dtype: torch.dtype = torch.float64,
        seed: int = 0,
    ) -> tuple[Transforms, Tensor]:
        """Return the transform, fitted alone as a run fits it, and the rows, (n, *event)."""
        shape = shape or self.shapes()[0]
        x = self.events(_ROWS, shape, seed=seed, dtype=dtype)
        transforms = Transforms([self.build(event_shape=shape, dtype=dtype)], dtype=dtype)
        transforms.fit(x, self.space(), seeded(1))
        return transforms, x.to(dtype)

    def test_shape(self) -> None:
        """Events of the shape and the space that it says, finite, in the run's float type."""
        for shape in self.shapes():
            for dtype in (torch.float32, torch.float64):
                transforms, x = self.fitted(shape, dtype=dtype)
                mapped = transforms(x, seeded(2))
                try:
                    transforms.space.check(mapped)
                except ValueError as error:
                    raise CheckFailed(
                        "shape",
                        expected=f"events of the space that it says, {transforms.space}",
                        measured=str(error),
                        allowed="none outside",
                        cause="`space` that is left out: by default the space stays the same",
                    ) from error

    def test_device(self) -> None:
        """Events come out where they are; tried on the meta device, as by --dry-run."""
        transforms, x = self.fitted()
        mapped = _map(transforms, x.to("meta"))
        require(
            mapped.device.type == "meta",
            "device",
            expected="x' on the device of x, meta",
            measured=str(mapped.device),
            allowed="the device of x",
            cause="a fitted tensor without .to(x), or one made without device=x.device",
        )

    def test_round_trip(self) -> None:
        """The inverse gives the events back, to 1e-6 in float32."""
        for shape in self.shapes():
            transforms, x = self.fitted(shape, dtype=torch.float32)
            (part,) = transforms.parts
            mapped = _map(transforms, x, None if part.augments else seeded(2))
            try:
                back = part.inverse(mapped)
            except NotImplementedError as error:
                raise NotApplicable(str(error)) from error
            require(
                back.shape == x.shape and back.dtype == x.dtype,
                "round_trip",
                expected=f"events of shape {tuple(x.shape)}, {x.dtype}",
                measured=f"{tuple(back.shape)}, {back.dtype}",
                allowed="nothing else",
                cause="a fitted tensor of another type",
            )
            require_close(
                "round_trip",
                back,
                x,
                expected="inverse(T(x)) = x",
                cause="an inverse of another scale, or a map that loses digits or merges values",
                tolerance=self.declared("tolerance", _TOLERANCE),
            )

    def test_log_abs_det(self) -> None:
        """log_abs_det is log |det| of the Jacobian, by autograd in float64, and one value a row.

        Of a map to other spaces than the real one it is 0: it counts events, not volumes.
        """
        for shape in self.shapes():
            transforms, x = self.fitted(shape)
            (part,) = transforms.parts
            x = x[:4]
            try:
                own = part.log_abs_det(x)
            except NotImplementedError as error:
                raise NotApplicable(str(error)) from error
            require(
                tuple(own.shape) == (len(x),),
                "log_abs_det",
                expected=f"one value a row, shape ({len(x)},)",
                measured=f"shape {tuple(own.shape)}",
                allowed="nothing else",
                cause="a sum over the event's dimensions left out, or one number for all rows",
            )
            if isinstance(transforms.space, Real):
                wanted = torch.stack([_by_autograd(transforms, row) for row in x])
            else:
                wanted = torch.zeros_like(own)
            require_close(
                "log_abs_det",
                own,
                wanted,
                expected="log |det dT/dx| in nats, by autograd",
                cause="a sign, a factor of the dimension, log base 10, or the inverse map's",
                tolerance=_DET,
            )

    def test_fits_training_rows_alone(self) -> None:
        """Mapping other rows changes nothing of what was fitted."""
        transforms, x = self.fitted()
        before = copy.deepcopy(transforms.state_dict())
        mapped = _map(transforms, x, seeded(2))
        _map(transforms, x[: len(x) // 2].flip(0), seeded(3))
        again = _map(transforms, x, seeded(2))
        require(
            same_state(before, transforms.state_dict()) and torch.equal(mapped, again),
            "fits_training_rows_alone",
            expected="the same map and the same state after other rows were mapped",
            measured="they changed",
            allowed="no change",
            cause="running statistics in the call: what is learnt belongs in `fit`",
        )

    def test_rows_apart(self) -> None:
        """Each row is mapped alone: the rows beside it change nothing."""
        transforms, x = self.fitted()
        apart = torch.cat([_map(transforms, x[:1]), _map(transforms, x[1:])])
        require_close(
            "rows_apart",
            apart,
            _map(transforms, x),
            expected="the same x' for a row alone as in a batch",
            cause="a mean, a maximum or a sort over the batch at hand",
            tolerance=1e-12,
        )

    def test_state_round_trip(self) -> None:
        """Another transform maps the same after load_state_dict(state_dict())."""
        transforms, x = self.fitted()
        state = copy.deepcopy(transforms.state_dict())
        require_plain("state_round_trip", state, keys=(str, int))
        part = self.build(event_shape=tuple(x.shape[1:]))
        other = Transforms([part], transforms.names, torch.float64)
        other.load_state_dict(state)
        same = other.shapes == transforms.shapes and other.space == transforms.space
        require(
            same and torch.equal(_map(other, x, seeded(2)), _map(transforms, x, seeded(2))),
            "state_round_trip",
            expected="the same shape, space and map after load_state_dict(state_dict())",
            measured="they differ",
            allowed="no difference",
            cause="something that `fit` set and state_dict leaves out",
        )

    def test_pure(self) -> None:
        """X is left as it was, and no global random stream moves, with and without a generator."""
        transforms, x = self.fitted()
        with streams_untouched("pure"), tensors_untouched("pure", {"x": x}):
            transforms.fit(x, self.space(), seeded(1))
            _map(transforms, x, seeded(2))
            _map(transforms, x)

    def test_generator(self) -> None:
        """It draws if and only if `draws` says so, from the generator, and without one never."""
        transforms, x = self.fitted()
        (part,) = transforms.parts
        named = "generator" in inspect.signature(part.__call__).parameters
        if not named and not part.draws:
            return
        drawn = [part(x, generator=seeded(seed)) for seed in (2, 2, 3)] if named else [x, x, x]
        moves = not torch.equal(drawn[0], drawn[2])
        require(
            named and moves and part.draws,
            "generator",
            expected="`draws` true of a call that names `generator` and uses it",
            measured=f"draws = {part.draws}; "
            + ("the generator changes x'" if moves else "it doesn't"),
            allowed="nothing else",
            cause="`draws` left out, so that a run never hands a generator over",
        )
        require(
            torch.equal(drawn[0], drawn[1]) and torch.equal(part(x), part(x)),
            "generator",
            expected="the same x' from the same seed, and twice the same without a generator",
            measured="they differ",
            allowed="no difference",
            cause="torch.rand without generator=generator, or with generator=None",
        )


def _map(transforms: Transforms, x: Tensor, generator: Generator | None = None) -> Tensor:
    """Call the transform itself, without the checks of a run."""
    (part,) = transforms.parts
    return part(x, generator=generator) if part.draws and generator is not None else part(x)


def _by_autograd(transforms: Transforms, row: Tensor) -> Tensor:
    """Return log |det| of the Jacobian at one row, (*event) -> ()."""
    draws = not transforms.parts[0].augments

    def one(flat: Tensor) -> Tensor:
        return _map(transforms, flat.reshape(1, *row.shape), seeded(3) if draws else None).flatten()

    jacobian = torch.autograd.functional.jacobian(one, row.flatten())  # type: ignore[no-untyped-call] # torch's own
    found: Tensor = torch.linalg.slogdet(jacobian).logabsdet
    return found
