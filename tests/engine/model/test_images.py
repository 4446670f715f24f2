"""Images as people have them, wherever inputs are taken, against the tensor that they mean."""

import functools
import re

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from svr_widget import SVRWidget
from svr_widget.engine.analysis.activations.activations import form_of_inputs
from svr_widget.engine.errors import SVRError
from svr_widget.engine.maps.layer_kinds import parts_of
from svr_widget.engine.model.example_inputs import taken_example
from svr_widget.engine.model.find_maps import find_parts
from svr_widget.engine.model.images import Form, form_of, taken
from svr_widget.svr import SVR
from svr_widget.widget.answers.gallery import Gallery


def pixels(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def network(channels=3):
    torch.manual_seed(0)
    layers = [nn.Conv2d(channels, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(1), nn.Linear(2, 5)).eval()


def meant(array):
    """``[n, c, h, w]`` in [0, 1] of bytes ``[n, h, w, c]``."""
    return torch.from_numpy(array).movedim(-1, 1).float() / 255


RGB, GREY = pixels(2, 10, 12, 3), pixels(2, 10, 12, 1)
COLOUR = {
    "bytes last": (RGB, meant(RGB)),
    "bytes first": (np.moveaxis(RGB, -1, 1), meant(RGB)),
    "bytes last tensor": (torch.from_numpy(RGB), meant(RGB)),
    "floats last": (RGB.astype(np.float32) / 255, meant(RGB)),
    "doubles last": (RGB / 255, meant(RGB)),
    "one last": (RGB[0], meant(RGB[:1])),
    "one first": (torch.from_numpy(RGB[0]).movedim(-1, 0), meant(RGB[:1])),
    "one of floats": (meant(RGB)[0], meant(RGB[:1])),
    "arrays": (list(RGB), meant(RGB)),
    "tensors": (list(meant(RGB)), meant(RGB)),
    "mirrored": (RGB[:, :, ::-1], meant(np.ascontiguousarray(RGB[:, :, ::-1]))),
    "picture": (Image.fromarray(RGB[0]), meant(RGB[:1])),
    "pictures": ([Image.fromarray(each) for each in RGB], meant(RGB)),
    "grey picture": (
        Image.fromarray(GREY[0, :, :, 0]),
        meant(np.repeat(GREY[:1], 3, axis=-1)),
    ),
    "with transparency": (
        Image.fromarray(RGB[0]).convert("RGBA"),
        meant(RGB[:1]),
    ),
    "grey with transparency": (
        Image.fromarray(GREY[0, :, :, 0]).convert("LA"),
        meant(np.repeat(GREY[:1], 3, axis=-1)),
    ),
    "as it is": (meant(RGB), meant(RGB)),
}
MONO = {
    "bytes": (GREY[..., 0], meant(GREY)),
    "bytes last": (GREY, meant(GREY)),
    "one": (GREY[0, :, :, 0], meant(GREY[:1])),
    "one first": (GREY[0].transpose(2, 0, 1), meant(GREY[:1])),
    "list": (list(GREY[..., 0]), meant(GREY)),
    "picture": (Image.fromarray(GREY[0, :, :, 0]), meant(GREY[:1])),
    "bits": (GREY[..., 0] > 127, (meant(GREY) > 0.5).float()),
}
CASES = [(3, *case) for case in COLOUR.items()] + [(1, *case) for case in MONO.items()]


@pytest.mark.parametrize(
    ("channels", "given", "expected"),
    [(channels, *pair) for channels, _, pair in CASES],
    ids=[f"{channels} {name}" for channels, name, _ in CASES],
)
class TestTaken:
    def test_to_read_off_the_links(self, channels, given, expected):
        model = known(channels).model
        example = taken_example(model, find_parts(model).parts, given)
        assert torch.allclose(example.first(), expected, atol=1e-7)
        scaled = not torch.is_tensor(given) or not given.is_floating_point()
        scaled &= not str(getattr(given, "dtype", "uint8")).startswith(("float", "bool"))
        scaled &= not (isinstance(given, list) and torch.is_tensor(given[0]))
        assert ("scaled to [0, 1]" in example.origin) == scaled

    def test_to_run(self, channels, given, expected):
        svr = known(channels)
        found, wanted = (svr.spectral_activations(each) for each in (given, expected))
        for name in svr.maps:
            assert torch.allclose(found[name], wanted[name], atol=1e-5)
        tables = [svr.similarity(each, maps=["0"]) for each in (given, expected)]
        assert tables[0]["n"].tolist() == [len(expected)] * 4
        np.testing.assert_allclose(tables[0]["mean"], tables[1]["mean"], rtol=1e-4)

    def test_to_look_at(self, channels, given, expected):
        svr = known(channels)
        gallery = Gallery(svr.model, form=form_of_inputs(svr))
        gallery.give(given)
        assert len(gallery.describe()["labels"]) == len(expected)
        batch = gallery._sources[0].batch(range(len(expected)))
        assert torch.allclose(batch.float(), expected, atol=1e-7)


@functools.cache
def known(channels):
    return SVR(network(channels), torch.rand(1, channels, 8, 8))


@pytest.mark.parametrize("name", ["bytes last", "one last", "pictures"])
def test_to_measure_a_removal_and_to_show_in_a_widget(name):
    given, expected = COLOUR[name]
    model = network()
    model[3] = nn.Conv2d(4, 2, 3, padding=1)
    with torch.no_grad():
        model[0].weight[1], model[1].bias[1] = 0, 2
    svr = SVR(model, given)
    assert list(svr.links) == [("0", "3"), ("3", "6")]
    assert sum("scaled to [0, 1]" in note for note in svr.notes) == 1
    changes = [svr.remove_dead_channels(1.0, check_inputs=x)[1] for x in (given, expected)]
    assert changes[0].checked == "the given inputs"
    assert changes[0].change == pytest.approx(changes[1].change, rel=1e-3)
    assert changes[0].change > 1e-3
    widget = SVRWidget(svr, inputs=given)
    assert widget._inputs["labels"] == [str(k) for k in range(len(expected))]
    assert any("scaled to [0, 1]" in note for note in widget.svr.notes)
    assert svr.plot("images", "0", inputs=given, neurons=[0]) is not None
    widget.close()


def test_bytes_are_said_to_be_scaled_once_and_only_then():
    svr = SVR(network(), torch.rand(1, 3, 8, 8))
    svr.spectral_activations(meant(RGB))
    assert svr.notes == ()
    for _ in range(2):
        svr.similarity(RGB)
    [note] = svr.notes
    assert "uint8 images are scaled to [0, 1]" in note


@pytest.mark.parametrize("batches", ["list", "loader", "generator"])
def test_batches_of_images(batches):
    svr = SVR(network(), torch.rand(1, 3, 8, 8))
    tensor, labels = torch.from_numpy(RGB), torch.zeros(2)
    given = {
        "list": [RGB, RGB],
        "loader": torch.utils.data.DataLoader(
            torch.utils.data.TensorDataset(tensor, labels), batch_size=1
        ),
        "generator": ((each[None], 0) for each in tensor),
    }[batches]
    found = [each["0"] for each in svr.spectral_activations(given)]
    assert len(found) == 2
    wanted = svr.spectral_activations(meant(RGB))["0"]
    assert torch.allclose(found[-1][-1], wanted[-1], atol=1e-6)


class Own(nn.Module):
    """A model that takes bytes with channels last."""

    def __init__(self):
        super().__init__()
        self.inner = network()

    def forward(self, x):
        return self.inner(x.permute(0, 3, 1, 2).float() / 255)


def test_what_a_model_takes_as_it_is_is_taken_as_it_is():
    svr = SVR(Own(), RGB)
    assert torch.equal(svr.example.first(), torch.from_numpy(RGB))
    assert svr.notes == ()
    plain = SVR(network(), meant(RGB)).spectral_activations(meant(RGB))
    for given in (RGB, np.moveaxis(RGB, -1, 1), list(RGB), [Image.fromarray(each) for each in RGB]):
        found = svr.spectral_activations(given)
        assert torch.allclose(found["inner.0"], plain["0"], atol=1e-6)
    assert svr.notes == ()


def test_what_stands_before_the_first_map_may_make_them_fit():
    class Folded(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = network(12)

        def forward(self, x):
            return self.inner(nn.functional.pixel_unshuffle(x, 2))

    given = torch.from_numpy(np.moveaxis(RGB, -1, 1))
    svr = SVR(Folded(), given)
    assert torch.allclose(svr.example.first(), meant(RGB))
    assert any("scaled to [0, 1]" in note for note in svr.notes)
    assert SVR(Folded(), meant(RGB)).notes == ()


def test_flattened_images():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(1), nn.Linear(120, 7), nn.ReLU(), nn.Linear(7, 3))
    wanted = meant(GREY)[:, 0]
    svr = SVR(model)
    for given, expected in (
        (GREY[..., 0], wanted),
        (GREY[0, ..., 0], wanted[:1]),
        (list(GREY[..., 0]), wanted),
        (Image.fromarray(GREY[0, ..., 0]), wanted[:1]),
        (wanted[0], wanted[:1]),
    ):
        found = svr.spectral_activations(given)["1"]
        assert torch.allclose(found, svr.spectral_activations(expected)["1"], atol=1e-6)
        assert SVR(model, given).example.first().shape[0] == len(expected)


def test_ids_tuples_and_mappings_pass():
    class Text(nn.Module):
        def __init__(self):
            super().__init__()
            self.head, self.words = nn.Linear(4, 3), nn.Embedding(9, 4)

        def forward(self, ids, scale=1.0):
            return self.head(self.words(ids) * scale)

    ids = torch.tensor([[1, 2, 3]], dtype=torch.int64)
    for given in (ids, (ids,), {"ids": ids}, ids.int(), (ids, torch.tensor(2.0))):
        svr = SVR(Text(), given)
        assert list(svr.links) == [("words", "head")]
        assert svr.spectral_activations(given)["head"].shape == (1, 3, 3)
        assert svr.notes == ()


REFUSED = {
    "alpha": (3, pixels(2, 8, 9, 4)),
    "alpha tensor": (3, torch.from_numpy(pixels(2, 8, 9, 4))),
    "grey for colour": (3, pixels(8, 9)),
    "grey batch for colour": (3, torch.from_numpy(pixels(2, 8, 9))),
    "one grey for colour": (3, pixels(2, 8, 9, 1)),
    "colour for grey": (1, pixels(2, 8, 9, 3)),
    "colour first for grey": (1, torch.rand(2, 3, 8, 9)),
    "both ways": (3, pixels(3, 8, 3)),
    "integers": (3, pixels(2, 8, 9, 3).astype(np.int64)),
    "16 bit": (1, pixels(2, 8, 9).astype(np.uint16)),
    "other": (3, torch.rand(2, 5, 8, 9)),
    "video": (3, torch.rand(2, 5, 3, 8, 9)),
    "sizes": (3, [Image.fromarray(pixels(8, 9, 3)), Image.fromarray(pixels(9, 9, 3))]),
    "16 bit picture": (1, Image.fromarray(pixels(8, 9).astype(np.uint16))),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused_when_given_and_the_line_leads_on(case):
    channels, given = REFUSED[case]
    svr = known(channels)
    words = []
    for give in (
        lambda: SVR(network(channels), given),
        lambda: svr.spectral_activations(given),
        lambda: svr.similarity(given),
        lambda: Gallery(svr.model, form=form_of_inputs(svr)).give(given),
    ):
        with pytest.raises(SVRError) as raised:
            give()
        words.append(str(raised.value))
    assert len(set(words)) == 1
    line = re.search(r"give (?:what has the form of )?(.*?)(?: where|, where|, if|;|$)", words[0])
    if case == "sizes":
        assert "different sizes, 3x8x9 and 3x9x9" in words[0]
        line = re.search(r"as (\[.*\]) does", words[0])
    elif "picture" not in case:
        shape = str(list(given.shape))
        assert shape in words[0] or "integers" in words[0]
    names = {"x": given, "image": given, "images": given, "np": np, "torch": torch}
    mended = eval(line[1], names)  # the line is the subject of the test
    assert svr.spectral_activations(mended)["0"].shape[1] == 4
    assert runs(network(channels), mended)


def runs(model, given):
    """Whether it is taken to read off links, without reading them off."""
    parts = find_parts(model).parts
    example = taken_example(model, parts, given)
    return model(*example.args) is not None


def test_a_removal_and_a_widget_refuse_as_well():
    svr, given = known(3), REFUSED["alpha"][1]
    for give in (
        lambda: svr.remove_dead_channels(check_inputs=given),
        lambda: SVRWidget(svr, inputs=given),
        lambda: svr.plot("images", "0", inputs=given),
    ):
        with pytest.raises(SVRError, match=r"give x\[..., :3\]"):
            give()


def test_pictures_for_what_takes_none():
    text = SVR(nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 2)))
    for given in (Image.fromarray(RGB[0]), [Image.fromarray(RGB[0])]):
        with pytest.raises(SVRError, match="not to be seen in its first map"):
            text.spectral_activations(given)
    with pytest.raises(SVRError, match=r"reads 5 channels .* torch.rand\(1, 5, 32, 32\)"):
        SVR(network(5)).spectral_activations(Image.fromarray(RGB[0]))
    line = nn.Sequential(nn.Conv1d(3, 4, 3), nn.Conv1d(4, 2, 3))
    with pytest.raises(SVRError, match=r"in 1 dimensions, .* such as torch.rand\(1, 3, 32\)"):
        SVR(line, torch.rand(1, 3, 9)).spectral_activations(Image.fromarray(RGB[0]))


def test_positional_arguments_in_a_list_stay_so():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Conv2d(3, 2, 3)

        def forward(self, x, shift):
            return self.inner(x + shift)

    image, shift = meant(RGB), torch.ones(1)
    assert len(SVR(Two(), [image, shift]).example.args) == 2
    assert len(SVR(Two(), [image[0], image[0]]).example.args) == 2
    svr = SVR(nn.Sequential(nn.Linear(20, 3)), [torch.rand(1, 20)])
    assert svr.example.first().shape == (1, 20)
    assert len(list(svr.spectral_activations([torch.rand(1, 20), torch.rand(4, 20)]))) == 2


def test_channels_last_of_series_and_volumes():
    for dims, layer in ((1, nn.Conv1d), (3, nn.Conv3d)):
        model = nn.Sequential(layer(2, 4, 3), nn.ReLU(), layer(4, 3, 1)).eval()
        wanted = torch.rand(2, 2, *[5] * dims)
        svr = SVR(model)
        expected = svr.spectral_activations(wanted)["2"]
        for given in (wanted.movedim(1, -1), wanted.movedim(1, -1).numpy(), list(wanted)):
            assert torch.allclose(svr.spectral_activations(given)["2"], expected, atol=1e-6)


def test_integers_for_a_matrix():
    svr = SVR(nn.Sequential(nn.Linear(20, 3)))
    for given, line in (
        (pixels(4, 20), 'x.astype("float32")'),
        (torch.arange(20)[None], "x.float()"),
    ):
        with pytest.raises(SVRError, match=re.escape(f"with x the inputs, give {line}")):
            svr.spectral_activations(given)
        assert len(svr.spectral_activations(eval(line, {"x": given}))["0"]) == len(given)


def test_the_models_device_and_precision():
    svr = SVR(network().double(), RGB)
    assert svr.example.first().dtype == torch.float64
    assert SVR(network().double(), RGB[0] / 255).example.first().shape == (1, 3, 10, 12)


GREYS, COLOURS = Form("first", 1, 2), Form("first", 3, 2)


class TestImagesOfModelsThatBeginWithAMatrix:
    """The example tells that such a model takes images, of which it makes features itself."""

    @pytest.mark.parametrize("patches", [False, True])
    def test_whatever_has_the_channels_elsewhere_is_moved(self, patches):
        batch = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
        form = form_of(parts_of(nn.Linear(3 if patches else 48, 5), "first"), batch)
        assert form.pictures == Form("first", 3, 2)
        last = batch.movedim(1, -1)
        for given, count in (
            (batch, 2), (last, 2), (last.numpy(), 2), (batch[0], 1), (last[0], 1),
            ([last[0], batch[1]], 2),
        ):  # fmt: skip
            assert torch.equal(taken(given, form).batch, batch[:count])
        assert torch.equal(taken((last * 255).byte(), form).batch, (batch * 255).byte() / 255)

    def test_pictures_too(self):
        image = Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3))
        form = form_of(parts_of(nn.Linear(48, 5), "first"), torch.rand(1, 3, 4, 4))
        whole = torch.arange(48).reshape(1, 4, 4, 3).movedim(-1, 1) / 255
        assert torch.equal(taken(image, form).batch, whole)

    def test_rows_of_features_stay_what_they_are(self):
        form = form_of(parts_of(nn.Linear(48, 5), "first"), torch.rand(1, 3, 4, 4))
        rows = torch.rand(2, 48)
        assert taken(rows, form).batch is rows


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("shape", [(8, 10, 3), (8, 10, 4), (3, 8, 10)])
def test_colour_for_a_model_of_grey_images_is_refused_with_lines_that_work(shape, scaled):
    x = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    x = x / 255 if scaled else x
    with pytest.raises(SVRError, match="with x the inputs, give") as caught:
        taken(x, GREYS)
    line = str(caught.value).partition(", give ")[2]
    if shape[0] == 3:
        grey, line = line.split(" where they are several in grey, ")
        assert taken(eval(grey), GREYS).batch.shape == (3, 1, 8, 10)
    assert taken(eval(line.partition(" where")[0]), GREYS).batch.shape == (1, 1, 8, 10)


def test_signals_have_no_colours():
    batch = torch.rand(3, 16)
    assert torch.equal(taken(batch, Form("first", 1, 1)).batch, batch[:, None])


@pytest.mark.parametrize("shape", [(4, 8, 10), (2, 4, 8, 10), (2, 1, 8, 10), (8, 10, 4)])
def test_other_channels_than_three_are_refused_with_a_line_that_works(shape):
    x = np.zeros(shape)
    with pytest.raises(SVRError, match="with x the inputs, give") as caught:
        taken(x, COLOURS)
    assert taken(eval(str(caught.value).partition(", give ")[2]), COLOURS).batch.shape[1] == 3


def test_images_of_both_kinds_in_a_list_and_the_line_for_each():
    pixels = np.arange(240, dtype=np.uint8).reshape(8, 10, 3)
    both = taken([Image.fromarray(pixels), pixels], COLOURS).batch
    assert torch.equal(both[0], both[1])
    given = [pixels.astype(np.int64)] * 2
    with pytest.raises(SVRError, match="with x each of the inputs, give x / 255"):
        taken(given, COLOURS)
    assert torch.equal(taken([x / 255 for x in given], COLOURS).batch.float(), both)


def test_what_a_model_does_not_run_on_is_refused_by_its_own_words():
    svr = SVR(network(), torch.rand(1, 3, 9, 9))
    with pytest.raises(SVRError, match=r"Sequential does not run on these inputs \(\[1, 3, 1, 1\]"):
        svr.spectral_activations(torch.rand(1, 3, 1, 1))
    batches = [{"image": torch.rand(2, 3, 9, 9), "label": torch.zeros(2)}]
    with pytest.raises(SVRError, match=r"\(batch\['image'\] for batch in loader\)"):
        list(svr.spectral_activations(batches))
    (found,) = svr.spectral_activations(batch["image"] for batch in batches)
    assert len(found["0"]) == 2
