"""The contracts: the methods that the core calls on a component, and nothing more.

`run_contracts.py` has those of monitors and callbacks, `service_contracts.py` those of launchers
and trackers.

A component is a class, whose constructor's parameters are its config, or a function, whose
keyword-only parameters are. A function with positional parameters is the component; a function
without builds it. The runner passes parameters of these names, which aren't config:

    constructors, factories   event_shape, data_range (2, *event), space, generator, device; those
                              of energies and losses: training_data (n, *event), on the CPU; and
                              those of losses, samplers and chains: networks, by name
    losses, when called       energy, x, x_neg, y, y_neg, mask, mask_neg, step, sampler, chains,
                              generator, networks, and each network of the config by its own name
    `Kernel.init`             generator, n_steps, carried; beside energy and x
    `Chains.start`            y, mask, generator, space; beside x
    a sampler's own `sample`  carried; beside energy, x, n_steps and generator

A loss trains the energy, or the networks that its attribute `trains` names: "proposer", or
("energy", "proposer"). No gradient of it reaches anything else.

A kernel whose `step_size` is `auto` holds an `ebmcore.StepSize`, which the run fits: to the data by
`Kernel.step_for`, then to the energy by the curvature along the chains or, if the kernel has a
`target_acceptance`, by the field `acceptance` of its info. Its value is the same for all chains and
changes between training steps alone; checkpoints hold it.

A sampler, a loss, a monitor or a callback that remembers something from one call to the next offers
it by `state_dict` and `load_state_dict`, as tensors and JSON types, so that a resumed run restores
it.

An optimizer is a `torch.optim.Optimizer`, made of the parameters that it is to update; a schedule
has `step`, `state_dict` and `load_state_dict`, and is made of the optimizer. The other parameters
of their signatures are their config. If a schedule's `step` requires an argument, the run passes it
the value of the metric that the config names. What `state_dict` doesn't return, no run resumes.

The core calls a dataset without arguments; it returns x (n, *event), a pair (x, y), a mapping {"x":
x, "y": y, "mask": mask} of which all but x is optional, or a torch Dataset of these. The mask, (n,
T) bool for events (T, …), is true where a step counts; "lengths", (n,), in its place says that the
first ones do. The other steps are padding, which the core sets to 0.

A dataset may have `log_prob(x)`, (n, *event) on the CPU -> (n,) in nats, `entropy`, a float in
nats, and `bounds`, (2, *event), if its range is another than that of its points. Its `space`, by
default `Real()`, is the set that its events live in (`ebmcore.spaces`); kernels, losses, monitors,
transforms and energies list in `spaces` the classes of the spaces that they serve. A monitor whose
numbers leave padding out says `takes_mask = True`. If it lists the names of its numbers in
`metrics`, such as ("nll", "rhat_*"), a config that follows another one is refused before it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from ebmcore.spaces import REAL, Real, Space

if TYPE_CHECKING:
    from torch import Generator, Tensor

    Loss = Callable[..., Tensor | tuple[Tensor, Mapping[str, Tensor]]]  # scalar, and metrics to log
    Dataset = Callable[[], Any]  # -> x, (x, y) or a torch Dataset

Energy = Callable[["Tensor"], "Tensor"]  # (batch, *event) -> (batch,); usually an nn.Module

BUILD_SLOTS = (
    "event_shape", "data_range", "space", "generator", "device", "training_data", "networks",
)  # fmt: skip
LOSS_SLOTS = (
    "energy", "x", "x_neg", "y", "y_neg", "mask", "mask_neg", "step", "sampler", "chains",
    "generator", "networks",
)  # fmt: skip
KERNEL_SLOTS = ("generator", "n_steps", "carried")
CHAINS_SLOTS = ("y", "mask", "generator", "space")


class Conditions(NamedTuple):
    """The conditions of a batch of events, each with a row for each event; None: there are none."""

    y: Tensor | None = None  # (batch, …), labels
    mask: Tensor | None = None  # (batch, T), bool: the steps that count, the others are padding

    def rows(self, index: Any) -> Conditions:
        """Return those of some of the events, by their numbers or a slice."""
        return Conditions(*(None if rows is None else rows[index] for rows in self))


class Carried(NamedTuple):
    """The fields that chains carry from the last run of their sampler to this one, by name."""

    fields: Mapping[str, Tensor]  # (chains, ...) each; empty before the first run
    fresh: Tensor | None  # (chains,), bool: the chains that begin anew, so that they carry nothing;
    # None: all go on, so that nothing new is computed, or drawn

    def or_new(self, name: str, new: Tensor | Callable[[], Tensor]) -> Tensor:
        """Return each chain's row of a carried field, or of `new` where the chain begins anew.

        A kernel that draws `new` from its generator gives a function, which is called only if a
        chain may begin anew.

        Shapes: new (chains, ...) -> the same. Raises ValueError when the field has another shape.
        """
        old = self.fields.get(name)
        if old is not None and self.fresh is None:
            return old
        new = new() if callable(new) else new
        if old is None or self.fresh is None:
            return new
        if old.shape != new.shape:
            raise ValueError(
                f"the chains carry {name!r} of shape {tuple(old.shape)}; the sampler now wants "
                f"{tuple(new.shape)}"
            )
        wide = self.fresh.reshape(-1, *(1 for _ in new.shape[1:]))
        return new.where(wide, old.to(new))


class Start(NamedTuple):
    """A batch of chains where a run of the sampler begins, and likewise where it ended."""

    x: Tensor  # (chains, *event)
    y: Tensor | None = None  # (chains, ...), each chain's condition
    carried: Mapping[str, Tensor] = {}  # fields of the sampler's state, (chains, ...) each
    fresh: Tensor | None = None  # (chains,), bool: those that begin anew and carry nothing; None:
    # all of them, or none when there are carried fields
    mask: Tensor | None = None  # (chains, T), bool: the steps of each chain that count

    @property
    def conditions(self) -> Conditions:
        """The chains' conditions."""
        return Conditions(self.y, self.mask)


class Kernel:
    """A sampler: one step of a Markov kernel that leaves exp(-E), or something near it, invariant.

    A state is a NamedTuple of tensors whose first field is `x`, shape (chains, *event); an info is
    a NamedTuple of tensors that a monitor may log, each of shape (chains,).

    A training step runs the kernel for n_steps, from a new state. `carries` names the fields that
    outlive it, such as a momentum: tensors (chains, ...) of any dtype, which chains that remember
    keep beside x. `init` takes them from `carried`, a `Carried`.
    """

    spaces: ClassVar[tuple[type[Space], ...]] = (Real,)  # the event spaces that it moves in
    implied_temperature: float | None = None  # T of exp(-E/T), the law sampled; None: not known
    unknown_law: str = ""  # why the law isn't known, such as "its scores are clipped"
    anneals: bool = False  # whether its law changes within a run, so chains have none to mix in
    carries: tuple[str, ...] = ()
    waits: str = ""  # why a step waits for its device, where it calls `ebmcore.any_left`
    parts: tuple[str, ...] = ()  # methods `(energy, *tensors)` of a step that can't be one graph,
    # which it calls by self, so that `sample_chain` may compile each
    takes_step_size: bool = False  # whether `step_size` may be a `StepSize`, not just a number

    def init(self, energy: Energy, x: Tensor, *args: Any, **slots: Any) -> Any:
        """Make the state at x: everything that the next step needs and should not compute twice.

        It may name `generator`, for noise of its own, `n_steps`, the steps that follow, and
        `carried`: p = carried.or_new("momentum", new), where `new` is for chains that begin anew.
        """
        raise NotImplementedError

    def check(self, energy: Energy, x: Tensor) -> None:
        """Raise ValueError for an energy that it can't move on, before a run begins.

        x are two events of the data, on which the energy was tried.
        """

    def noise(self, x: Tensor, generator: Generator | None) -> tuple[Tensor, ...]:
        """Draw all the randomness of one step, on the device and in the dtype of x."""
        raise NotImplementedError

    def step(self, energy: Energy, state: Any, noise: tuple[Tensor, ...]) -> tuple[Any, Any]:
        """Return the next state and the info: pure, so no `.item()`, in-place write or RNG."""
        raise NotImplementedError

    def step_for(self, spread: Any) -> Any:
        """Return the largest `step_size` with which chains can be as narrow as `spread`.

        That is on the Gaussian energy which makes them so; a number or a tensor, in units of x.
        None, by default, says nothing: no run warns of the step, or fits it.
        """
        return None

    def stable_step(self, curvature: Any) -> Any:
        """Return the largest `step_size` that is stable on E = ½κx², κ the curvature; None: any."""
        return None


class Sample(NamedTuple):
    """The result of a run of a sampler.

    A sampler may offer `sample(energy, x, n_steps, generator)` whole, in place of init, noise and
    step; it returns this, a pair (x, info) or x. It may name `carried`, as `Kernel.init` does.
    """

    x: Tensor  # (chains, *event), where the chains ended
    info: Any = None  # of the last step
    carried: Mapping[str, Tensor] = {}  # what the next run gets, (chains, ...) each


class Trace(NamedTuple):
    """The states of chains along their way, as `sample_chain(trace=True)` returns them."""

    x: Tensor  # (kept, chains, *event)
    info: Any  # the kernel's info with each field stacked, (kept, chains); None if it has none


class Chains:
    """The starting points of each batch of chains, and the memory of its end.

    Samples that judge a model begin without the data: at kept chains where `begins_at_data` is
    False, else as `ebmcore/monitoring/model_samples.py` says.
    """

    begins_at_data: bool = True  # whether a chain may begin, or have begun, at events of the data

    def start(self, x: Tensor, *args: Any, **slots: Any) -> Tensor | Start:
        """Return starting points of x's shape, dtype and device; x is the batch of data.

        It may name `generator`, `y`, the batch's labels if the energy requires labels, `mask`, and
        `space`. A `Start` also gives each chain's conditions and what `keep` kept of the sampler's
        state; without a y or a mask of its own, a chain has that of the event at its place.
        """
        raise NotImplementedError

    def keep(self, end: Start) -> None:
        """Remember the ends of the chains of the last `start`; by default, forget them."""

    def kept(self) -> Start | None:
        """All remembered chains, or None when there are none."""
        return None

    def state_dict(self) -> dict[str, Any]:
        """Return the state, as tensors and JSON types for `load_state_dict`."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state that `state_dict` returned."""

    def share(self, rank: int, ranks: int) -> None:
        """Reduce these chains, before the first start, to one rank's share of one process's.

        By default nothing changes, so each rank keeps as many as one process would. Raises
        ValueError when there are no equal shares.
        """

    def deal(self, states: Sequence[Mapping[str, Any]], rank: int, ranks: int) -> None:
        """Restore one rank's share of the states that another number of ranks saved.

        By default each rank restores the state of the earlier rank of its number, and further
        ranks start afresh.
        """
        if rank < len(states):
            self.load_state_dict(states[rank])


class Transform:
    """A map of events, x' = T(x), fitted on the training rows and kept with the model.

    `data.transform` lists a run's transforms: each gets the events that the one before it gives, in
    the run's float type, whole numbers too. The energy, the chains and the monitors see x'. The run
    saves the state, maps new data the same way and undoes it in samples. Likelihoods count it:

        log p(x) = log p'(T(x)) + log |det dT/dx|

    A function `(x) -> x'` is a transform, too, without inverse and determinant, and a function
    `(x, generator) -> x'` an augmentation; both keep the shape and the space of events.
    """

    spaces: ClassVar[tuple[type[Space], ...]] = (Real,)  # the event spaces that it takes
    draws: bool = False  # whether a call needs a generator, so that each batch is mapped anew
    augments: bool = False  # whether it draws for training batches alone; held-out data, monitors
    # and later transforms get the call without a generator

    def fit(self, x: Tensor, *args: Any, **slots: Any) -> None:
        """Learn from the training rows, (n, *event), on the CPU; it may name `space`, theirs.

        If it names `mask`, (n, T) or None, which says the steps that count, it takes sequences of
        different length: padding is 0 before and after each call, whatever the map makes of it.
        Raises ValueError for data that it can't take. `warnings.warn` reaches the run.
        """

    def shape(self, event_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of x' for one of x; by default the same."""
        return event_shape

    def columns(self, names: tuple[str, ...]) -> tuple[str, ...] | None:
        """Return the names of the numbers of x' for those of a flat x; None when they have none.

        By default the same. The run leaves out names that are more or fewer than the numbers of x'.
        """
        return names

    def space(self, space: Space) -> Space:
        """Return the space of x' for that of x; by default the same, real ones without bounds."""
        return REAL if isinstance(space, Real) else space

    def __call__(self, x: Tensor, *args: Any, **slots: Any) -> Tensor:
        """Return x' of x's type and device, (n, *event) -> (n, *event'); pure.

        It names `generator` if it draws: None then means the map without randomness.
        """
        raise NotImplementedError

    def inverse(self, x: Tensor) -> Tensor:
        """Return x for x', (n, *event') -> (n, *event): T(inverse(x')) = x' for an image x'."""
        raise NotImplementedError(f"{type(self).__name__} has no inverse")

    def log_abs_det(self, x: Tensor) -> Tensor:
        """Return log |det dT/dx| at x, (n, *event) -> (n,), in nats."""
        raise NotImplementedError(f"{type(self).__name__} has no log |det|")

    def state_dict(self) -> dict[str, Any]:
        """Return what was fitted, as tensors and JSON types for `load_state_dict`."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state that `state_dict` returned; a call then maps as it did."""
