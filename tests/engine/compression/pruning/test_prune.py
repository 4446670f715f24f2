"""Which neurons are kept, and the weights of low rank, against NumPy's own decomposition."""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from svr_widget.engine.errors import SVRError
from svr_widget.svr import SVR


def truncated(matrix, kept):
    """The matrix of the kept singular triplets, by NumPy."""
    U, S, Vt = np.linalg.svd(matrix, full_matrices=False)
    return (U[:, kept] * S[kept]) @ Vt[kept]


def perceptron(seed=0):
    torch.manual_seed(seed)
    layers = [nn.Linear(12, 9), nn.ReLU(), nn.Linear(9, 8), nn.Tanh(), nn.Linear(8, 5)]
    return nn.Sequential(*layers).double()


def weights_of(model):
    return [layer.weight.detach().numpy() for layer in model if isinstance(layer, nn.Linear)]


@pytest.mark.parametrize(
    ("rank", "kept"),
    [
        (3, [0, 1, 2]),
        (np.int64(2), [0, 1]),
        (slice(2, None), range(2, 5)),
        (slice(None, None, -2), [0, 2, 4]),
        ([4, 0], [0, 4]),
        (np.array([1]), [1]),
        (99, range(5)),
    ],
    ids=str,
)
def test_a_rank_keeps_these_neurons(rank, kept):
    model = perceptron()
    pruned, report = SVR(model).prune({"4": rank})
    expected = truncated(model[4].weight.detach().numpy(), list(kept))
    np.testing.assert_allclose(pruned[4].weight.detach().numpy(), expected, atol=1e-14)
    assert report.maps.kept.tolist() == [9, 8, len(list(kept))]
    assert torch.equal(pruned[0].weight, model[0].weight)
    assert torch.equal(pruned[4].bias, model[4].bias)


def spoil(model):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    return 0.0


def test_the_model_itself_is_never_changed():
    model = perceptron()
    before, hidden = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    pruned, _ = SVR(model).prune(2, factored=True, evaluate=spoil)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(hidden, torch.get_rng_state())
    assert all(parameter.count_nonzero() for parameter in pruned.parameters())
    spoil(pruned)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_full_rank_is_the_same_model_to_the_bit():
    model = perceptron()
    for options in ({"ranks": 99}, {"energy": 1.0}, {"budget": 1.0}, {"ranks": slice(None)}):
        pruned, report = SVR(model).prune(**options, factored=True)
        assert set(report.maps.form) == {"whole"}, options
        assert all(
            np.array_equal(*pair)
            for pair in zip(weights_of(pruned), weights_of(model), strict=True)
        )


def test_internal_dimensions_are_the_larger_of_both_sides_and_the_last_map_stays_whole():
    svr = SVR(perceptron())
    first, second = (svr.internal_dimensions(link) for link in svr.links)
    _, report = svr.prune()
    assert report.rule == "internal dimensions"
    assert report.maps.kept.tolist() == [first.d_in, max(first.d_out, second.d_in), 5]
    unclear = [
        name for name, said in zip(report.maps["map"], report.maps.remark, strict=True) if said
    ]
    assert unclear == ["0", "2"]  # random weights have no block
    named = svr.prune({"2": "internal"})[1].maps
    assert named.kept.tolist() == [9, report.maps.kept[1], 5]


@pytest.mark.parametrize("share", [0.3, 0.8, 0.999])
def test_energy_is_the_share_of_squares_and_no_neuron_more_than_needed(share):
    model = perceptron()
    _, report = SVR(model).prune(energy=share)
    for row, weight in zip(report.maps.itertuples(), weights_of(model), strict=True):
        squares = np.linalg.svd(weight, compute_uv=False) ** 2
        enough = squares[: row.kept].sum() / squares.sum()
        assert enough >= share > squares[: row.kept - 1].sum() / squares.sum()
        assert row.energy == pytest.approx(enough, rel=1e-12)
        assert row.error == pytest.approx(np.sqrt(1 - enough), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("method", ["svr", "cosvr"])
@pytest.mark.parametrize("groups", [1, 2])
def test_convolutions_are_cut_as_their_flattening_says(method, groups):
    torch.manual_seed(1)
    model = nn.Sequential(nn.Conv2d(4, 6, 3, groups=groups)).double()
    pruned, report = SVR(model, method=method).prune(4)
    weight = model[0].weight.detach().numpy().reshape(groups, 6 // groups, 4 // groups, 9)
    if method == "cosvr":
        weight = weight.swapaxes(2, 3).reshape(groups, -1, 4 // groups)
    else:
        weight = weight.reshape(groups, 6 // groups, -1)
    values = np.concatenate([np.linalg.svd(each, compute_uv=False) for each in weight])
    if len(values) <= 4:
        assert report.maps.form[0] == "whole"
        return
    least = np.sort(values)[::-1][3]
    blocks = [
        truncated(each, np.flatnonzero(np.linalg.svd(each, compute_uv=False) >= least))
        for each in weight
    ]
    if method == "cosvr":
        blocks = [each.reshape(-1, 9, 4 // groups).swapaxes(1, 2) for each in blocks]
    expected = np.concatenate([each.reshape(6 // groups, -1) for each in blocks])
    found = pruned[0].weight.detach().numpy().reshape(6, -1)
    np.testing.assert_allclose(found, expected, atol=1e-14)


def test_what_a_choice_of_neurons_rests_on_is_said():
    equal = torch.diag(torch.tensor([3.0, 2.0, 2.0, 2.0, 0.0]))
    model = nn.Sequential(nn.Linear(5, 5, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(equal)
    remarks = [SVR(model).prune(rank)[1].maps.remark[0] for rank in (1, 2, 4, [0, 4])]
    assert remarks[0] == remarks[2] == ""
    assert remarks[1] == "cuts through the equal singular values of neurons 1 to 3"
    assert remarks[3] == "1 null neurons kept"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ranks": 3, "energy": 0.5}, "ranks and energy are two rules"),
        ({"energy": 0.0}, "energy = 0.0 is out of range"),
        ({"energy": 1.1}, "energy = 1.1 is out of range"),
        ({"budget": 1.5}, "a share .* of the 220 parameters"),
        ({"budget": True}, "budget = True is out of range"),
        ({"ranks": -1}, "'0': -1 is less than no neuron"),
        ({"ranks": "interal"}, "'interal' is no rank"),
        ({"ranks": {"4": True}}, "'4': True is no rank"),
        ({"ranks": {"4": [5]}}, "its neurons are 0 to 4"),
        ({"ranks": {"4": [0.5]}}, "its neurons are 0 to 4"),
        ({"ranks": {"5": 3}}, "'5' matches no map"),
    ],
    ids=str,
)
def test_rules_that_cannot_be_followed(options, message):
    with pytest.raises(SVRError, match=message):
        SVR(perceptron()).prune(**options)


@pytest.mark.parametrize(
    ("cut", "kept"),
    [
        (slice(3), [3, 4]),
        (slice(-2, None), [0, 1, 2]),
        ([4, 0], [1, 2, 3]),
        (np.array([1]), [0, 2, 3, 4]),
        ([], range(5)),
        (0, range(5)),
    ],
    ids=str,
)
def test_cut_says_what_goes(cut, kept):
    model = perceptron()
    pruned, report = SVR(model).prune(cut={"4": cut})
    expected = truncated(model[4].weight.detach().numpy(), list(kept))
    np.testing.assert_allclose(pruned[4].weight.detach().numpy(), expected, atol=1e-14)
    assert report.maps.kept.tolist() == [9, 8, len(list(kept))]
    assert report.rule == "cuts by map"


def test_a_cut_of_every_map_and_messages_that_lead_on():
    svr = SVR(perceptron())
    assert svr.prune(cut=slice(-2, None))[1].maps.kept.tolist() == [7, 6, 3]
    with pytest.raises(SVRError, match="could be the first or the last 2") as raised:
        svr.prune(cut={"2": 2})
    assert "slice(2) cuts the first" in str(raised.value)
    assert "slice(-2, None) the last" in str(raised.value)
    energies = [
        svr.prune(cut={"2": each})[1].maps.energy[1] for each in (slice(2), slice(-2, None))
    ]
    assert energies[0] < energies[1]
    for options, message in (
        ({"cut": [0], "ranks": 2}, "ranks and cut are two rules"),
        ({"cut": {"7": [0]}}, "cut: '7' matches no map"),
        ({"cut": {"4": [9]}}, "cut for '4': its neurons are 0 to 4"),
        ({"cut": -1}, "cut for '0': -1 is less than no neuron"),
        ({"cut": "internal"}, "give a slice or a list of the neurons to cut"),
    ):
        with pytest.raises(SVRError, match=message):
            svr.prune(**options)


class Classes:
    """Several scores, one a class, that any change of the weights changes."""

    def __init__(self, kind):
        self.kind, self.inputs = kind, torch.randn(20, 12, dtype=torch.float64)

    def plain(self, model):
        with torch.no_grad():
            return model(self.inputs).square().mean(0)

    def __call__(self, model):
        found = self.plain(model)
        if self.kind == "mapping":
            return dict(zip("abcde", found, strict=True))
        return {"tensor": found, "array": found.numpy(), "list": found.tolist()}[self.kind]


@pytest.mark.parametrize("kind", ["mapping", "tensor", "array", "list"])
def test_several_scores_are_told_one_by_one(kind):
    svr, evaluate = SVR(perceptron()), Classes(kind)
    pruned, report = svr.prune(2, evaluate=evaluate)
    labels = list("abcde") if kind == "mapping" else [0, 1, 2, 3, 4]
    for found, model in ((report.scores.before, perceptron()), (report.scores.after, pruned)):
        assert found.index.tolist() == labels
        np.testing.assert_allclose(found.to_numpy(), evaluate.plain(model))
    assert "as many cut from the top instead" in repr(report)
    assert all(f"\n{label} " in repr(report) for label in labels)
    curve = svr.pruning_curve(evaluate, [1, 3])
    assert curve["neurons"].tolist() == [1, 3]
    assert curve["kept"].columns.tolist() == curve["cut"].columns.tolist() == labels
    ranks = dict.fromkeys(("0", "2"), 3)
    expected = evaluate.plain(svr.prune(ranks)[0])
    np.testing.assert_allclose(curve["kept"].iloc[1].to_numpy(), expected)
    assert curve.set_index("neurons")["cut"].index.tolist() == [1, 3]


def test_scores_of_other_names_for_another_model():
    given = iter([{"a": 1.0}, {"b": 1.0}])
    with pytest.raises(SVRError, match=r"gave 1 scores \(a\) for one model and 1 scores \(b\)"):
        SVR(perceptron()).prune(2, evaluate=lambda _: next(given))


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"ranks": 99}, "nothing but null neurons is cut"),
        ({"ranks": {"0": slice(4, None), "2": slice(7, None)}}, "null neurons aside, those"),
        ({"cut": slice(2)}, "null neurons aside, those that are kept are the ones at the bottom"),
        ({"ranks": 0}, "no neuron is kept"),
    ],
    ids=str,
)
def test_a_control_that_is_the_treatment_is_none(options, why):
    seen = []
    _, report = SVR(perceptron()).prune(**options, evaluate=lambda model: seen.append(model) or 0.5)
    assert report.scores.control is None
    assert len(seen) == 2
    assert f"score 0.5 -> 0.5; no negative control: {why}" in repr(report)


def test_null_neurons_make_no_control():
    model = perceptron()
    with torch.no_grad():  # of rank one: what else is kept of it does not matter
        model[2].weight.copy_(torch.outer(torch.arange(1.0, 9), torch.arange(1.0, 10)))
    svr = SVR(model)
    _, report = svr.prune({"2": 3}, evaluate=lambda _: 0.5)
    assert report.scores.control is not None  # the first neuron is kept, and lost in the control
    _, report = svr.prune({"2": slice(1, 4)}, evaluate=lambda _: 0.5)
    assert report.scores.control is None
    assert report.control.endswith(
        "null neurons aside, those that are kept are the ones at the bottom"
    )


@pytest.mark.parametrize("given", [None, "good", {}, [[1.0]], ["good", "bad"], {"a": None}])
def test_a_score_is_a_number(given):
    svr = SVR(perceptron())
    with pytest.raises(SVRError, match="evaluate has to return a number"):
        svr.prune(2, evaluate=lambda model: given)
    with pytest.raises(SVRError, match="evaluate has to return a number"):
        svr.pruning_curve(lambda model: given)
    scores = svr.prune(2, evaluate=lambda model: torch.tensor(0.5))[1].scores
    assert all(type(each) is float for each in scores)


def test_a_report_stays_readable_where_many_links_leave_a_map():
    torch.manual_seed(0)
    readers = {str(k): nn.Linear(6, 6) for k in range(12)}
    model = nn.ModuleDict({"first": nn.Linear(6, 6), **readers})
    _, report = SVR(model, links=[("first", name) for name in readers]).prune()
    remarks = report.maps.set_index("map").remark
    assert remarks["first"].count("no clear block on first -> ") > 2
    lines = repr(report).splitlines()
    assert max(map(len, lines)) < 240
    assert f"{remarks['first'].count('; ')} more in .maps" in repr(report)


def test_graphs_that_cannot_be_pruned():
    model = perceptron()
    with pytest.raises(SVRError, match="bare weights"):
        SVR([torch.eye(3)]).prune(2)
    with pytest.raises(SVRError, match="without rank"):
        SVR(model, rank=3).prune(2)
    with pytest.raises(SVRError, match="norm='ignore'"):
        SVR(model, norm="fold").prune(2)
    with pytest.raises(SVRError, match="by_method"):
        SVR(model, method="cross").prune()
    svr = SVR(model)
    with torch.no_grad():
        model[2].weight.mul_(2)
    with pytest.raises(SVRError, match="'2' does not hold the weight"):
        svr.prune(3)
    assert svr.prune({"0": 3})[1].maps.kept[0] == 3


class Trained:
    """The paper's network in small, and how well it reads digits that it was not trained on."""

    def __init__(self):
        digits = load_digits()
        self.images = torch.tensor(digits.data, dtype=torch.float32) / 16
        self.labels = torch.tensor(digits.target)
        torch.manual_seed(0)
        widths = (64, 40, 40, 40, 10)
        self.model = nn.Sequential()
        for width, following in itertools.pairwise(widths):
            self.model.extend([nn.Linear(width, following, bias=False), nn.ReLU()])
        self.model.pop(-1)
        optimizer = torch.optim.Adam(self.model.parameters(), lr=3e-3)
        for _ in range(30):
            for batch in torch.randperm(1500).split(64):
                optimizer.zero_grad()
                loss = nn.functional.cross_entropy(
                    self.model(self.images[batch]), self.labels[batch]
                )
                loss.backward()
                optimizer.step()

    def accuracy(self, model):
        with torch.no_grad():
            return float((model(self.images[1500:]).argmax(1) == self.labels[1500:]).float().mean())


@pytest.fixture(scope="module")
def trained():
    return Trained()


def test_cutting_outside_the_internal_dimensions_leaves_accuracy_and_the_top_destroys_it(trained):
    svr = SVR(trained.model)
    pruned, report = svr.prune(evaluate=trained.accuracy)
    maps = report.maps
    assert maps.kept.iloc[:-1].max() <= 20  # of 40: half of the neurons and more are cut
    assert report.scores.before > 0.9
    assert report.scores.after > report.scores.before - 0.02
    assert report.scores.after == trained.accuracy(pruned)
    # The negative control: as many neurons cut in every map, the top ones instead.
    top = {name: slice(40 - kept, None) for name, kept in zip(maps["map"], maps.kept, strict=True)}
    other, control = svr.prune({name: top[name] for name in list(top)[:-1]})
    assert control.maps.kept.tolist() == maps.kept.tolist()
    assert report.scores.control == trained.accuracy(other) < 0.4
    # Even the block alone, a quarter of the neurons, is what the network cannot do without.
    block = {name: slice(kept, None) for name, kept in zip(maps["map"], maps.kept, strict=True)}
    without = svr.prune({name: block[name] for name in list(block)[:-1]})[0]
    assert trained.accuracy(without) < 0.4
    assert "as many cut from the top instead" in repr(report)


def test_the_curve_is_that_of_pruned_models(trained):
    svr = SVR(trained.model)
    curve = svr.pruning_curve(trained.accuracy, [0, 8, 40])
    assert curve.neurons.tolist() == [0, 8, 40]
    hidden = list(svr.maps)[:-1]
    kept = trained.accuracy(svr.prune(dict.fromkeys(hidden, 8))[0])
    cut = trained.accuracy(svr.prune(dict.fromkeys(hidden, slice(8, None)))[0])
    assert (curve.kept[1], curve.cut[1]) == (kept, cut)
    whole = trained.accuracy(trained.model)
    assert curve.kept[2] == curve.cut[0] == whole
    assert curve.kept[0] == curve.cut[2]
    with pytest.raises(SVRError, match="no link") as raised:
        SVR(nn.Sequential(nn.Linear(3, 3))).pruning_curve(trained.accuracy)
    assert str(raised.value).endswith("name them, maps='0'")
    assert len(SVR(nn.Sequential(nn.Linear(3, 3))).pruning_curve(lambda _: 1.0, maps="0")) == 4


def test_a_curve_of_some_maps_leaves_the_others_whole(trained):
    svr = SVR(trained.model)
    curve = svr.pruning_curve(trained.accuracy, [8], maps=["2"])
    assert curve.kept[0] == trained.accuracy(svr.prune({"2": 8})[0])
    assert curve.cut[0] == trained.accuracy(svr.prune({"2": slice(8, None)})[0])
    last = svr.pruning_curve(trained.accuracy, maps="6")
    assert last.neurons.tolist() == list(range(11))
    with pytest.raises(SVRError, match="maps: 'fc' matches no map"):
        svr.pruning_curve(trained.accuracy, maps=["fc"])
    with pytest.raises(SVRError, match="names no map"):
        svr.pruning_curve(trained.accuracy, maps=[])


def test_a_map_of_zeros_keeps_no_neuron_and_tells_nothing_of_its_neighbours():
    torch.manual_seed(0)
    model = nn.Sequential(
        *(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 14), nn.ReLU()),
        *(nn.Linear(14, 10), nn.ReLU(), nn.Linear(10, 4)),
    )
    nn.init.zeros_(model[2].weight)
    for factored in (False, True):
        smaller, report = SVR(model).prune(factored=factored)
        kept = report.maps.set_index("map")["kept"]
        alone = SVR({"4": model[4].weight, "6": model[6].weight}, links="chain")
        d_in = alone.internal_dimensions(("4", "6")).d_in
        assert kept.to_dict() == {"0": 12, "2": 0, "4": d_in, "6": 4}
        said = report.maps.set_index("map")["remark"]
        assert "0 -> 2 tells nothing: '2' is zero" in said["0"]
        assert "it is zero" in said["2"]
        inputs = torch.randn(5, 12)
        torch.testing.assert_close(smaller[:3](inputs), model[:3](inputs))


def test_a_map_of_rank_one_keeps_one_neuron_at_most():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 14), nn.Linear(14, 4))
    with torch.no_grad():
        model[2].weight.copy_(torch.outer(torch.randn(14), torch.randn(16)))
    _, report = SVR(model).prune()
    assert report.maps.set_index("map")["kept"]["2"] == 1
    assert report.maps.set_index("map")["error"]["2"] < 1e-6
