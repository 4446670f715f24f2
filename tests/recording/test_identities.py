"""Neurons followed through checkpoints, against moves that are planted."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from svr_widget.engine.errors import SVRError
from svr_widget.recording.identities import Followed
from svr_widget.svr import SVR


def frame(rng, rows, columns):
    return np.linalg.qr(rng.standard_normal((rows, columns)))[0]


def followed(weights, **keywords):
    following = Followed()
    return [following.add(SVR([weight], **keywords)) for weight in weights]


def test_neurons_keep_their_number_through_every_change_of_order_and_sign():
    rng = np.random.default_rng(0)
    U, V = frame(rng, 40, 12), frame(rng, 50, 12)
    values = np.linspace(3, 1, 12)
    orders = [np.arange(12), *(rng.permutation(12) for _ in range(4))]
    signs = [np.where(rng.random(12) < 0.5, -1, 1) for _ in orders]
    weights = [
        (U[:, order] * sign * values) @ (V[:, order] * sign).T
        for order, sign in zip(orders, signs, strict=True)
    ]
    for moment, order in zip(followed(weights), orders, strict=True):
        assert moment.numbers["0"].tolist() == [*order, *[-1] * 28]  # the last are null
        assert moment.births.empty
        assert moment.deaths.empty


def test_a_neuron_that_turns_little_by_little_stays_the_same():
    """After 90 degrees it has nothing in common with what it was, and its number still."""
    rng = np.random.default_rng(1)
    U, V = frame(rng, 40, 3), frame(rng, 50, 2)
    steps = []
    for angle in np.linspace(0, np.pi / 2, 7):
        turning = np.cos(angle) * U[:, 0] + np.sin(angle) * U[:, 2]
        steps.append(2 * np.outer(turning, V[:, 0]) + np.outer(U[:, 1], V[:, 1]))
    moments = followed(steps, rank=2)
    assert [moment.numbers["0"].tolist() for moment in moments] == [[0, 1]] * 7
    assert SVR([steps[0]], rank=2).match(SVR([steps[-1]], rank=2)).deaths["k"].tolist() == [0]


def test_a_birth_has_a_number_of_its_own_and_what_died_does_not_come_back():
    rng = np.random.default_rng(2)
    U, V = frame(rng, 60, 4), frame(rng, 60, 4)

    def of(*which):
        return sum((3 - place) * np.outer(U[:, k], V[:, k]) for place, k in enumerate(which))

    moments = followed([of(0, 1), of(0, 2), of(1, 0)], rank=2)
    assert [moment.numbers["0"].tolist() for moment in moments] == [[0, 1], [0, 2], [3, 0]]
    assert moments[1].births["other_k"].tolist() == [1]
    assert moments[1].births["new"].tolist() == [True]
    assert moments[1].deaths["k"].tolist() == [1]


def test_null_neurons_have_no_number():
    rng = np.random.default_rng(3)
    weight = frame(rng, 9, 3) @ frame(rng, 9, 3).T * 2
    weight += np.outer(weight[:, 0], weight[0])
    for moment in followed([weight, weight]):
        assert moment.numbers["0"].tolist() == [0, 1, 2, *[-1] * 6]


def test_both_sides_of_a_cross_graph_are_followed():
    torch.manual_seed(0)
    weights = {"a": torch.randn(8, 30, 3, 3), "b": torch.randn(6, 8, 3, 3)}
    later = {name: 2 * weight for name, weight in weights.items()}
    following = Followed()
    first, second = (following.add(SVR(w, method="cross")) for w in (weights, later))
    assert set(first.numbers) == set(SVR(weights, method="cross").columns)
    for name, numbers in first.numbers.items():
        assert numbers.tolist() == list(range(len(numbers)))
        assert second.numbers[name].tolist() == numbers.tolist()


def test_networks_of_other_maps_cannot_follow():
    following = Followed()
    following.add(SVR([torch.randn(5, 4)]))
    with pytest.raises(SVRError, match="cannot be compared"):
        following.add(SVR([torch.randn(6, 4)]))
