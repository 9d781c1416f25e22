"""A nested state goes through JSON and named tensors, and comes back as it was."""

import json

import pytest
import torch

from ebmcore.checkpoint.serialize import pack, unpack

ONE, TWO, THREE, FOUR = map(torch.tensor, (1.0, 2.0, 3.0, 4.0))


def test_containers_keys_and_tensors_come_back_as_they_were():
    state = {"a.b": ONE, "a": {"b": TWO}, 0: THREE, "0": FOUR, "plain": (1, [2.5, None], ("x",))}
    packed, tensors = pack(state)
    found = unpack(json.loads(json.dumps(packed)), tensors)
    assert list(found) == ["a.b", "a", 0, "0", "plain"]
    assert found["plain"] == (1, [2.5, None], ("x",))
    assert [found["a.b"], found["a"]["b"], found[0], found["0"]] == [1, 2, 3, 4]
    assert len(tensors) == 4


@pytest.mark.parametrize(
    ("state", "match"),
    [
        ({"held": torch.eye(2).to_sparse()}, "'state.held' is a tensor of layout"),
        ({"held": torch.zeros(1, dtype=torch.complex128)}, "'state.held' is of torch.complex128"),
        ({"held": {1.5: 0}}, "'state.held' has the key 1.5"),
        ({"held": {1}}, "'state.held' is set"),
    ],
)
def test_a_state_that_no_file_holds_is_refused(state, match):
    with pytest.raises(TypeError, match=match):
        pack(state)
