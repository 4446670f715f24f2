"""A skeleton filled from a file shows what the model shows into which the file was loaded."""

import os
import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.ao.nn import quantized
from torch.nn.utils import parametrizations, parametrize

from svr_widget import SVR
from svr_widget.engine.errors import (
    NoMapsError,
    SVRError,
    TraceError,
    UnsupportedLayerError,
    WidthMismatchError,
)
from svr_widget.engine.maps.stored import StoredTensor
from tests.engine.support.zoo import language


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.ones(5, 1))

    def forward(self, weight):
        return weight * self.factor


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(9, 4)
        self.layer = nn.Linear(4, 4)
        self.head = nn.Linear(4, 9, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, tokens):
        return self.head(self.layer(self.embedding(tokens)).relu())


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 4, num_layers=2, batch_first=True, proj_size=2)
        self.gru = nn.GRU(2, 3, batch_first=True)
        self.head = nn.Linear(3, 2)

    def forward(self, x):
        return self.head(self.gru(self.lstm(x)[0])[0])


def convolutional():
    return nn.Sequential(
        *(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(4, 6, 3, groups=2), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten()),
        nn.Linear(6 * 5 * 5, 5),
    )


def attention():
    return nn.TransformerEncoderLayer(8, 2, 12, batch_first=True)


def reparametrised():
    scaled = nn.Linear(4, 5)
    parametrize.register_parametrization(scaled, "weight", Scaled())
    spectral = parametrizations.spectral_norm(nn.Linear(5, 4))
    return nn.Sequential(
        parametrizations.weight_norm(nn.Linear(3, 4)), nn.ReLU(), scaled, nn.ReLU(), spectral
    )


def legacy_weight_norm():
    with pytest.warns(FutureWarning):
        return nn.Sequential(nn.utils.weight_norm(nn.Linear(3, 4)), nn.ReLU(), nn.Linear(4, 2))


IMAGE, TOKENS = torch.randn(2, 3, 16, 16), torch.tensor([[0, 3, 8]])
MODELS = {
    "convolutions": (convolutional, IMAGE),
    "attention": (attention, torch.randn(2, 5, 8)),
    "parametrisations": (reparametrised, None),
    "weight norm by hooks": (legacy_weight_norm, None),
    "recurrent": (Recurrent, torch.randn(2, 5, 3)),
    "tied": (Tied, TOKENS),
}


def randomised(model):
    """Every parameter and statistic another, so that what is left out shows."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            if tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.25)
    return model.eval()


def same(found, wanted):
    assert list(found.maps) == list(wanted.maps)
    assert list(found.links) == list(wanted.links)
    for name, linear in wanted.maps.items():
        mine = found.maps[name]
        assert (mine.kind, mine.groups, mine.tied_to) == (
            linear.kind,
            linear.groups,
            linear.tied_to,
        )
        assert torch.equal(mine.weight, linear.weight), name
    for key, link in wanted.links.items():
        mine = found.links[key]
        assert torch.equal(mine.producer_channels, link.producer_channels)
        assert torch.equal(mine.consumer_channels, link.consumer_channels)
        assert (mine.gains is None) == (link.gains is None)
        assert mine.gains is None or torch.equal(mine.gains, link.gains)
    key = next(iter(wanted.links))
    assert torch.equal(found.adjacency(key).dense(), wanted.adjacency(key).dense())


@pytest.fixture
def path(tmp_path):
    return tmp_path / "w.safetensors"


def written(state, path):
    """As Lightning and the like save a wrapped model, ties under one of their names."""
    if path.suffix == ".ckpt":
        torch.save(
            {"epoch": 3, "state_dict": {f"model.module.{n}": t for n, t in state.items()}}, path
        )
        return path
    once = {tensor.data_ptr(): name for name, tensor in reversed(state.items())}
    save_file({name: state[name] for name in once.values()}, path)
    return path


@pytest.mark.parametrize("suffix", [".safetensors", ".ckpt"])
@pytest.mark.parametrize("name", list(MODELS))
def test_a_skeleton_on_the_meta_device(name, suffix, tmp_path):
    make, example = MODELS[name]
    model = randomised(make())
    with torch.device("meta"):
        skeleton = make()
    file = written(model.state_dict(), tmp_path / f"w{suffix}")
    found = SVR(skeleton, example, weights=file)
    same(found, SVR(model, example))
    assert all(tensor.is_meta for tensor in skeleton.state_dict().values())
    assert not any("not in" in note for note in found.notes)


@pytest.mark.parametrize("wrap", [lambda model: model, nn.DataParallel])
def test_the_values_of_a_skeleton_do_not_matter_and_stay(wrap, path):
    model, skeleton = randomised(convolutional()), convolutional()
    before = {name: tensor.clone() for name, tensor in skeleton.state_dict().items()}
    same(SVR(wrap(skeleton), IMAGE, weights=written(model.state_dict(), path)), SVR(model, IMAGE))
    assert all(torch.equal(before[name], now) for name, now in skeleton.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_a_file_of_another_precision_counts_as_it_is_loaded(dtype, path):
    model, loaded = randomised(convolutional()), convolutional().eval()
    state = {n: t.to(dtype) if t.is_floating_point() else t for n, t in model.state_dict().items()}
    loaded.load_state_dict(state)
    with torch.device("meta"):
        skeleton = convolutional()
    for source in (state, written(state, path)):
        same(SVR(skeleton, IMAGE, weights=source), SVR(loaded, IMAGE))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_norms_are_folded_from_the_file(dtype, path):
    loaded = randomised(convolutional())
    state = {
        name: tensor.to(dtype) if tensor.is_floating_point() else tensor
        for name, tensor in loaded.state_dict().items()
    }
    loaded.load_state_dict(state)
    with torch.device("meta"):
        skeleton = convolutional()
    written(state, path)
    wanted = SVR(loaded, IMAGE, norm="fold")
    same(SVR(skeleton, IMAGE, weights=path, norm="fold"), wanted)
    same(SVR(skeleton, IMAGE, weights=path).by_norm("fold"), wanted)


@pytest.mark.parametrize("norm", ["ignore", "fold"])
@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_transformers(name, norm, path):
    """Heads as products, ties, rotary positions whose frequencies no file holds."""
    model, example = getattr(language, name)()
    model.eval()
    with torch.device("meta"):
        skeleton = type(model)(model.config)
    written(model.state_dict(), path)
    same(SVR(skeleton, example, weights=path, norm=norm), SVR(model, example, norm=norm))


def test_the_parts_of_heads_stay_in_the_file(path):
    model, example = language.gpt2()
    with torch.device("meta"):
        skeleton = type(model)(model.config).eval()
    svr = SVR(skeleton, example, weights=written(model.state_dict(), path))
    heads = [linear for linear in svr.maps.values() if linear.kind == "attention"]
    assert len(heads) == 8
    assert all(isinstance(factor, StoredTensor) for head in heads for factor in head.factors)


def test_equal_shapes_in_a_file_are_saved_each(path, tmp_path):
    """They are read one after the other, into memory that the next one may be given."""

    def make():
        return nn.Sequential(*(nn.Linear(16, 16) for _ in range(12)))

    model, example = randomised(make()), torch.zeros(1, 16)
    with torch.device("meta"):
        skeleton = make()
    svr = SVR(skeleton, example, weights=written(model.state_dict(), path))
    svr.save(tmp_path / "saved.svr", weights=True)
    wanted = SVR(model, example)
    for found in (SVR.load(tmp_path / "saved.svr"), pickle.loads(pickle.dumps(svr))):
        for name, linear in wanted.maps.items():
            assert torch.equal(found.maps[name].weight, linear.weight), name


def test_weights_stay_in_the_file(path):
    model = randomised(convolutional())
    with torch.device("meta"):
        skeleton = convolutional()
    svr = SVR(skeleton, IMAGE, weights=written(model.state_dict(), path))
    assert all(isinstance(linear.factors[0], StoredTensor) for linear in svr.maps.values())
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    os.utime(path, ns=(1, 1))
    with pytest.raises(SVRError, match=r"w\.safetensors was written to"):
        svr["0"]


def test_a_mapping_is_copied(path):
    model = randomised(convolutional())
    wanted = {name: linear.weight for name, linear in SVR(model, IMAGE).maps.items()}
    svr = SVR(convolutional(), IMAGE, weights=model.state_dict())
    randomised(nn.Sequential(model, nn.Linear(1, 1)))
    with torch.no_grad():
        model[0].weight.zero_()
    assert all(torch.equal(svr.maps[name].weight, weight) for name, weight in wanted.items())


def test_what_runs_the_model_runs_it_with_the_weights_of_the_file(path):
    model = randomised(convolutional())
    with torch.device("meta"):
        skeleton = convolutional()
    svr, wanted = SVR(skeleton, IMAGE, weights=written(model.state_dict(), path)), SVR(model, IMAGE)
    found, expected = (each.spectral_activations(IMAGE) for each in (svr, wanted))
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    pruned, _ = svr.prune(2)
    assert torch.equal(pruned.eval()(IMAGE), wanted.prune(2)[0](IMAGE))


@pytest.mark.parametrize(
    "use",
    [
        lambda svr: svr.spectral_activations(IMAGE),
        lambda svr: svr.prune(2),
        lambda svr: svr.remove_dead_channels(),
        lambda svr: svr.similarity(IMAGE),
    ],
)
def test_what_runs_a_model_without_values_is_refused_and_the_advice_works(use, path):
    state = {n: t.half() if t.ndim > 1 else t for n, t in convolutional().state_dict().items()}
    with torch.device("meta"):
        skeleton = convolutional()
    svr = SVR(skeleton, IMAGE, weights=written(state, path))
    with pytest.raises(SVRError, match=r"'0\.weight' of Sequential has no values.*load the file"):
        use(svr)
    loaded = convolutional()
    loaded.load_state_dict(state)
    use(SVR(loaded, IMAGE))


def without(state, *names):
    return {name: tensor for name, tensor in state.items() if name not in names}


class TestMissingAndLeftOver:
    def test_a_map_that_the_file_lacks_is_left_out_with_a_note(self):
        state = {
            **without(convolutional().state_dict(), "8.weight", "8.bias"),
            "extra": torch.ones(2),
        }
        svr = SVR(convolutional(), IMAGE, weights=state)
        assert (list(svr.maps), list(svr.links)) == (["0", "4"], [("0", "4")])
        told = [note for note in svr.notes if "not in" in note]
        assert told == [
            "2 tensors of the model are not in the mapping: '8.bias', '8.weight'; left out for "
            "that: '8'",
            "1 of the mapping is not in the model: 'extra'",
        ]

    def test_a_missing_bias_leaves_nothing_out(self):
        svr = SVR(convolutional(), IMAGE, weights=without(convolutional().state_dict(), "8.bias"))
        assert list(svr.maps) == ["0", "4", "8"]
        assert "1 of the model is not in the mapping: '8.bias'" in svr.notes

    def test_a_second_copy_of_a_weight_is_left_over(self):
        state = convolutional().state_dict()
        svr = SVR(convolutional(), IMAGE, weights={**state, "module.0.weight": torch.ones(2, 2)})
        assert torch.equal(svr.maps["0"].weight, state["0.weight"])
        assert "1 of the mapping is not in the model: 'module.0.weight'" in svr.notes

    def test_a_missing_buffer_is_told_as_well(self):
        state = without(convolutional().state_dict(), "1.running_mean")
        svr = SVR(convolutional(), IMAGE, weights=state)
        assert "1 of the model is not in the mapping: '1.running_mean'" in svr.notes

    @pytest.mark.filterwarnings("ignore:.*are deprecated and will be removed:UserWarning")
    @pytest.mark.filterwarnings("ignore::DeprecationWarning")
    def test_a_layer_that_only_its_library_fills(self):
        model = nn.Sequential(
            nn.Linear(3, 4), quantized.dynamic.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)
        )
        state = {n: t for n, t in model.state_dict().items() if "packed" not in n}
        with pytest.raises(SVRError, match=r"could not take the weights.*by its own library"):
            SVR(model, weights=state)

    def test_a_file_of_something_else(self):
        with pytest.raises(SVRError, match=r"Sequential and the mapping have no name in common"):
            SVR(convolutional(), IMAGE, weights={"features.0.weight": torch.ones(3, 3)})
        with pytest.raises(NoMapsError, match=r"holds the weight of no map .*'0', '4', '8'"):
            SVR(convolutional(), IMAGE, weights={"8.bias": torch.ones(5)})

    def test_all_shapes_that_differ_are_told_at_once(self):
        state = {**convolutional().state_dict(), "0.weight": torch.ones(2, 2, 1, 1)}
        state["8.bias"] = torch.ones(7)
        message = r"'0\.weight' 4x3x3x3 is 2x2x1x1 there, '8\.bias' 5 is 7 there; make the model"
        with pytest.raises(WidthMismatchError, match=message):
            SVR(convolutional(), IMAGE, weights=state)

    def test_two_that_fit(self):
        layer = {f"{side}.0.weight": torch.ones(3, 2) for side in ("encoder", "decoder")}
        with pytest.raises(SVRError, match=r"under 'encoder\.' as well as under 'decoder\.'"):
            SVR(nn.Sequential(nn.Linear(2, 3)), weights=layer)


def test_a_part_of_a_larger_file(path):
    model = randomised(convolutional())
    state = {f"clip.visual.{name}": tensor for name, tensor in model.state_dict().items()}
    state["clip.text.weight"] = torch.ones(3, 3)
    same(SVR(convolutional(), IMAGE, weights=written(state, path)), SVR(model, IMAGE))


class Computing(nn.Module):
    """Computes its weight from a parameter, as no parametrisation says."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x):
        return nn.functional.linear(self.first(x).relu(), self.second.weight.abs())


def test_a_weight_that_is_computed_as_it_runs_needs_its_values(path):
    model = Computing()
    written(model.state_dict(), path)
    with torch.device("meta"):
        skeleton = Computing()
    same(SVR(skeleton, weights=path), SVR(model))
    halves = {name: tensor.half() for name, tensor in model.state_dict().items()}
    with pytest.raises(TraceError, match=r"'second'.*load the file into the model"):
        SVR(skeleton, weights=halves)


def test_weights_belong_to_a_model():
    with pytest.raises(TypeError, match=r"weights= fills an nn\.Module, and the source is a dict"):
        SVR({"a": torch.ones(2, 2)}, weights="w.safetensors")
    with pytest.raises(TypeError, match=r"weights= takes the path .* not list"):
        SVR(nn.Linear(2, 2), weights=[torch.ones(2, 2)])
    with pytest.raises(FileNotFoundError):
        SVR(nn.Linear(2, 2), weights="nowhere.safetensors")


@pytest.mark.parametrize("links", [[("0", "2")], []])
def test_links_by_hand(links, path):
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    with torch.device("meta"):
        skeleton = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    written(model.state_dict(), path)
    svr = SVR(skeleton, weights=path, links=links)
    assert list(svr.links) == links
    assert torch.equal(svr.maps["2"].weight, model[2].weight)


def test_damaged_weights_in_the_file(path):
    state = convolutional().state_dict()
    state["4.weight"][0, 0, 0, 0] = torch.nan
    written(state, path)
    with pytest.raises(SVRError, match="'4' has 1 NaN"):
        SVR(convolutional(), IMAGE, weights=path)
    svr = SVR(convolutional(), IMAGE, weights=path, non_finite="leave out")
    assert (list(svr.maps), list(svr.damaged)) == (["0", "8"], ["4"])


def two():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4))


@pytest.mark.filterwarnings("ignore:.*quantize_per_tensor|TypedStorage")  # torch's own
@pytest.mark.parametrize("form", ["sparse", "quantised"])
def test_sparse_and_quantised_weights_are_filled_in_as_numbers(form, tmp_path):
    model = two()
    state = model.state_dict()
    if form == "sparse":
        state["0.weight"] = state["0.weight"].to_sparse()
    else:
        state["0.weight"] = torch.quantize_per_tensor(state["0.weight"], 0.01, 0, torch.qint8)
    torch.save(state, tmp_path / "w.pt")
    svr = SVR(model.to("meta"), weights=tmp_path / "w.pt")
    numbers = state["0.weight"].to_dense() if form == "sparse" else state["0.weight"].dequantize()
    torch.testing.assert_close(svr.maps["0"].weight, numbers)
    assert list(svr.links) == [("0", "2")]


def test_complex_weights_are_no_real_ones():
    state = {**two().state_dict(), "0.weight": torch.ones(5, 6) * 1j}
    with pytest.raises(UnsupportedLayerError, match=r"'0\.weight' .*complex.*exclude='0'"):
        SVR(two(), weights=state)
    assert list(SVR(two(), weights=state, exclude="0").maps) == ["2"]


def test_what_the_model_ties_and_the_file_does_not_stays_as_in_the_file():
    model = Tied()
    state = {**model.state_dict(), "head.weight": torch.randn(9, 4)}
    svr = SVR(model, torch.zeros(1, 3, dtype=torch.long), weights=state)
    torch.testing.assert_close(svr.maps["embedding"].weight, state["embedding.weight"].T)
    torch.testing.assert_close(svr.maps["head"].weight, state["head.weight"])
    (note,) = (each for each in svr.notes if "one tensor in the model" in each)
    assert "'embedding.weight', 'head.weight'" in note
    copied = {**model.state_dict(), "head.weight": model.head.weight.detach().clone()}
    svr = SVR(model, torch.zeros(1, 3, dtype=torch.long), weights=copied)
    assert not any("one tensor in the model" in each for each in svr.notes)


def test_what_is_of_another_size_can_be_left_out_as_is_advised():
    state = {**two().state_dict(), "2.weight": torch.ones(9, 5), "2.bias": torch.ones(9)}
    with pytest.raises(WidthMismatchError, match=r"exclude=\['2'\]$"):
        SVR(two(), weights=state)
    assert list(SVR(two(), weights=state, exclude=["2"]).maps) == ["0"]


def test_names_that_fit_twice_can_be_chosen_as_is_advised():
    mapping = {f"{who}.{name}": each for who in "ab" for name, each in two().state_dict().items()}
    model = two()
    with pytest.raises(SVRError, match="as well as under") as refused:
        SVR(model, weights=mapping)
    advice = str(refused.value).partition("give SVR")[2]
    assert list(eval(f"SVR{advice}", {"SVR": SVR}, locals()).maps) == ["0", "2"]


def test_a_model_without_its_first_map_is_run_all_the_same():
    state = {name: each for name, each in two().state_dict().items() if name.startswith("2")}
    assert list(SVR(two().to("meta"), weights=state).maps) == ["2"]
    assert list(SVR(two(), exclude="0").maps) == ["2"]
