"""The checks of the fields that a kernel `carries` from one run to the next, beside x."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ebmcore import Carried
from ebmcore_testing.failures import NotApplicable, require
from ebmcore_testing.measures.observed import same_bits, seeded
from ebmcore_testing.measures.sampler.calls import SamplerCalls

_CHAINS = 5


class CarriedChecks(SamplerCalls):
    """Checks of a kernel that carries fields of its state."""

    def test_carried_fields(self) -> None:
        """Each carried field is a tensor of the state with a row for each chain."""
        self._carried_fields()

    def test_carried_is_used(self) -> None:
        """A chain that goes on begins with what it carried; one that begins anew does not."""
        fields = self._carried_fields()
        anew = self._begin(fields, fresh=True)
        for name, value in fields.items():
            other = ~value if value.dtype == torch.bool else value + 1
            changed = {**fields, name: other}
            on = [self._begin(carried, fresh=False) for carried in (fields, changed)]
            require(
                not _same(*on),
                "carried_is_used",
                expected=f"chains that go on begin with the {name!r} that they carried",
                measured=f"the same state for two values of {name!r}",
                allowed="a state that depends on it",
                cause=f"init that draws or computes the field anew: carried.or_new({name!r}, new)",
            )
            begun = self._begin(changed, fresh=True)
            require(
                _same(begun, anew),
                "carried_is_used",
                expected=f"chains that begin anew take no {name!r} of other chains",
                measured="another state for another value",
                allowed="the same bits",
                cause=f"carried.fields[{name!r}] without a look at carried.fresh: "
                f"carried.or_new({name!r}, new)",
            )

    def _carried_fields(self) -> dict[str, Tensor]:
        kernel = self.sampler()
        carries = tuple(getattr(kernel, "carries", None) or ())
        if not carries or hasattr(kernel, "sample"):
            raise NotApplicable("it carries no field of its state")
        energy, x = self.moved(_CHAINS)
        state = self.begin(kernel, energy, x)
        state = kernel.step(energy, state, kernel.noise(state.x, seeded(1)))[0]
        for name in carries:
            value = getattr(state, name, None)
            shape = tuple(value.shape) if isinstance(value, Tensor) else None
            require(
                shape is not None and shape[:1] == (_CHAINS,),
                "carried_fields",
                expected=f"state.{name}: a tensor with a row for each of {_CHAINS} chains",
                measured=f"shape {shape}" if shape is not None else f"{value!r:.60}",
                allowed="(chains, …)",
                cause="a field that the state lacks, or one value that all chains share",
            )
        return {name: getattr(state, name).detach().clone() for name in carries}

    def _begin(self, fields: dict[str, Tensor], fresh: bool) -> Any:
        kernel = self.sampler()
        energy, x = self.moved(_CHAINS)
        carried = Carried(fields, torch.full((_CHAINS,), fresh))
        return self.begin(kernel, energy, x, seeded(2), carried=carried)


def _same(a: Any, b: Any) -> bool:
    return all(same_bits(one, other) for one, other in zip(a, b, strict=True))
