"""Averages in place, fused optimisers, monitors' schedule, warnings, names and threads."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from ebmcore.config import Cadence
from ebmcore.train import timing
from ebmcore.train.components import MonitorEntry, Parts, is_flat, name_of
from ebmcore.train.ema import averages_in_place
from ebmcore.train.monitor_schedule import is_due
from ebmcore.train.optim import fuse, load_state, unwrapped_step
from ebmcore.train.signals import Interrupts
from ebmcore.train.threads import choose_threads, operations, using
from ebmcore.train.timing import Evaluations, StepRate, Timing
from ebmcore.train.warnings import slow_average, slow_monitors


def test_averages_take_the_place_of_weights_for_a_while():
    network, average, alone = (nn.BatchNorm1d(2) for _ in range(3))
    with torch.no_grad():
        for number, tensor in enumerate([*average.parameters(), *average.buffers()], 5):
            tensor.fill_(number)
    held = {k: v.clone() for k, v in network.state_dict().items()}
    networks = {"one": network, "alone": alone}
    with averages_in_place(networks, {"one": average, "alone": alone, "missing": average}):
        found = network.state_dict()
        assert all(torch.equal(found[k], v) for k, v in average.state_dict().items())
    assert all(torch.equal(network.state_dict()[k], v) for k, v in held.items())
    with pytest.raises(KeyError), averages_in_place(networks, {"one": average}):
        raise KeyError
    assert all(torch.equal(network.state_dict()[k], v) for k, v in held.items())


@pytest.mark.parametrize(
    ("make", "options", "why"),
    [
        (torch.optim.Adam, {"lr": 0.1}, ""),
        (torch.optim.Adam, {"lr": torch.tensor(0.1)}, "its learning rate is a tensor"),
        (torch.optim.Adam, {"lr": 0.1, "fused": False}, "fused: false is set"),
        (torch.optim.SGD, {"lr": 0.1, "foreach": True}, "foreach is set"),
        (torch.optim.RMSprop, {"lr": 0.1}, "torch has no fused kernel of RMSprop"),
    ],
)
def test_which_optimisers_are_fused(make, options, why):
    optimizer = make([nn.Parameter(torch.ones(2))], **options)
    assert fuse(optimizer) == why
    assert bool(optimizer.param_groups[0].get("fused")) is (why == "")


def test_an_optimisers_state_keeps_its_dtype_when_it_is_loaded():
    def made():
        weight = nn.Parameter(torch.ones(2, dtype=torch.bfloat16))
        weight.grad = torch.ones_like(weight)
        return torch.optim.NAdam([weight], lr=0.01)

    one, other = made(), made()
    one.step()
    load_state(other, one.state_dict())
    held = [next(iter(o.state.values())) for o in (one, other)]
    assert held[1]["mu_product"].dtype == held[0]["mu_product"].dtype == torch.float32
    assert all(torch.equal(held[0][name], held[1][name]) for name in held[0])


def test_an_unwrapped_step_tells_schedules_it_was_taken():
    weight = nn.Parameter(torch.ones(1))
    weight.grad = torch.ones(1)
    optimizer = torch.optim.SGD([weight], lr=0.1)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    unwrapped_step(optimizer)()
    schedule.step()  # warns when it believes that no step was taken
    assert weight.item() == pytest.approx(0.9)


def test_the_rest_of_the_monitors_are_due_at_the_end_alone():
    entry = MonitorEntry("m", None, Cadence.parse("3 steps"), "monitor m")
    due = [
        [is_due(entry, step, 10, end=end, rest=rest) for step in (3, 4)]
        for end, rest in ((False, False), (True, False), (True, True))
    ]
    assert due == [[True, False], [True, True], [False, True]]


def test_a_slow_average_is_warned_of():
    assert not list(slow_average(None, 10))
    assert not list(slow_average(0.9, 29))  # 0.9^29 = 0.047
    (text,) = slow_average(0.9, 28)  # 0.052
    assert "5% of the averaged" in text
    assert "0.9 would fit" in text


def test_slow_monitors_are_warned_of():
    def slow(took, whole):
        return len(list(slow_monitors({"m": took}, whole)))

    assert [slow(5.1, 20.0), slow(4.9, 20.0), slow(19.0, 100.0), slow(21.0, 100.0)] == [1, 0, 0, 1]


def test_names_are_numbered_when_they_are_taken():
    def gap():
        pass

    assert name_of(gap, []) == "gap"
    assert name_of(gap, ["gap"]) == "gap_2"
    assert name_of(gap, ["gap", "gap_2", "gaps"]) == "gap_3"


def test_an_energy_is_flat_by_a_trained_part():
    energy = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    assert not is_flat(energy)
    energy[1].piecewise_linear = True
    assert is_flat(energy)
    energy[1].requires_grad_(False)
    assert not is_flat(energy)


def test_only_parts_that_save_and_load_are_stateful():
    both = SimpleNamespace(state_dict=dict, load_state_dict=dict)
    saves, loads = SimpleNamespace(state_dict=dict), SimpleNamespace(load_state_dict=dict)
    named = [SimpleNamespace(name=str(i), function=f) for i, f in enumerate((both, saves, loads))]
    parts = Parts(
        data=None,
        energy=None,
        losses=tuple(named),
        optimizer=None,
        device=None,
        monitors=(named[0],),
    )
    assert parts.stateful == [("loss 0", both), ("monitor 0", both)]


def test_threads_follow_the_work_and_are_put_back():
    energy = nn.Linear(100, 100)
    x = torch.zeros(1, 100)
    one = operations(energy, x)  # 20,200
    before = torch.get_num_threads()
    with using(2):
        # three times that for E and its gradient: 100 million at 1,650 events
        for events, number in ((1600, 1), (1700, 2)):
            assert choose_threads("auto", energy, x.expand(events, 100)).number == number
    assert one == 20_200
    assert torch.get_num_threads() == before
    with pytest.raises(KeyError), using(1):
        raise KeyError
    assert torch.get_num_threads() == before


def test_evaluations_are_those_of_every_step():
    energy = nn.Sequential(nn.Linear(2, 1), nn.Flatten(0))
    counts = Evaluations(energy, every=3)
    for step in range(4):
        if counts.due(step):
            with counts.counting():
                energy(torch.zeros(5, 2)).sum().backward()
        counts.add_step()
    assert counts.totals == {"energy": 20, "gradient": 20}
    assert [counts.due(step) for step in range(4)] == [True, False, False, True]
    other = Evaluations(energy, every=3)
    other.load_state_dict(counts.state_dict())
    other.add_step()
    assert other.metrics()["train/energy_evaluations"] == 25.0


def test_the_clocks_leave_out_what_is_excluded(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    rate, table = StepRate(), Timing()
    now[0] = 110.0
    rate.exclude(6.0)
    assert rate.per_second(8) == 2.0
    for spent in (2.0, 3.0):
        with table("part"):
            now[0] += spent
    assert table.table({"more": 7.0}) == {"more": 7.0, "part": 5.0}


def test_the_first_reason_to_stop_counts():
    interrupts = Interrupts()
    interrupts.stop("enough")
    interrupts.stop("too much")
    assert interrupts.stopping == "enough"
    interrupts.end("early")
    interrupts.end("late")
    assert (interrupts.number, interrupts.early) == (0, "early")
