"""The step of an optimiser without what surrounds it."""

import pytest
import torch

from ebmcore.train.optim import unwrapped_step, without_compiler


@pytest.mark.parametrize("make", [torch.optim.Adam, torch.optim.SGD, torch.optim.RMSprop])
def test_a_unwrapped_step_is_the_step(make):
    def moved(step_of):
        weight = torch.nn.Parameter(torch.linspace(-1, 1, 7))
        optimizer = make([weight], lr=0.1)
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        step = step_of(optimizer)
        for _ in range(3):
            optimizer.zero_grad()
            weight.square().sum().backward()
            step()
            schedule.step()  # warns when it believes that no step was taken
        return weight.detach()

    with without_compiler():
        bare = moved(unwrapped_step)
    assert torch.equal(bare, moved(lambda optimizer: optimizer.step))


def test_hooks_and_other_steps_are_called():
    class Own(torch.optim.SGD):
        def step(self, closure=None):
            heard.append("own")

    heard = []
    weight = torch.nn.Parameter(torch.ones(1))
    weight.grad = torch.ones(1)
    unwrapped_step(Own([weight], lr=0.1))()
    hooked = torch.optim.SGD([weight], lr=0.1)
    hooked.register_step_post_hook(lambda *arguments: heard.append("hook"))
    unwrapped_step(hooked)()
    patched = torch.optim.SGD([weight], lr=0.1)
    patched.step = lambda: heard.append("patched")
    unwrapped_step(patched)()
    assert heard == ["own", "hook", "patched"]
