"""Folded norms: the network with the folded weights and without the norms does the same."""

import copy
import fnmatch

import pytest
import torch
import transformers
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from svr_widget.engine.errors import SVRError
from svr_widget.svr import SVR
from tests.engine.support.gaussian import gaussian
from tests.engine.support.trained_norms import (
    BATCH_NORMS,
    IMAGE,
    Joined,
    PreActivation,
    conv_chain,
    is_rms_norm,
    trained,
)
from tests.engine.support.zoo import chains, convolutional, language


class Sign(nn.Module):
    def __init__(self, norm):
        super().__init__()
        self.sign = norm.weight.detach().sign().view(-1, 1, 1)

    def forward(self, x):
        return x * self.sign


class OneNumber(nn.Module):
    """What is left of a layer norm or RMS norm: division by one number a position."""

    def __init__(self, norm):
        super().__init__()
        eps = getattr(norm, "variance_epsilon", getattr(norm, "eps", None))
        self.eps = torch.finfo(torch.float64).eps if eps is None else eps
        self.centred = isinstance(norm, nn.LayerNorm)

    def forward(self, x):
        square = x.var(-1, False, keepdim=True) if self.centred else x.pow(2).mean(-1, keepdim=True)
        return x / (square + self.eps).sqrt()


def as_parameter(module, weight):
    """A canonical weight as the module keeps it."""
    if isinstance(module, nn.modules.conv._ConvTransposeNd):
        weight = weight.transpose(0, 1)
    elif isinstance(module, nn.Embedding) or type(module).__name__ == "Conv1D":
        weight = weight.T
    elif isinstance(module, nn.Linear) and weight.ndim > 2:
        flattens = module.out_features == weight.shape[0]
        weight = weight.flatten(1) if flattens else weight.movedim(1, -1).flatten(0, -2)
    return nn.Parameter(weight.clone().contiguous())


def without_norms(model, svr, signs=()):
    """The model with the folded weights; norms that match ``signs`` leave their signs behind."""
    model = copy.deepcopy(model)
    for name, linear in svr.maps.items():
        module = model.get_submodule(name)
        module.weight = as_parameter(module, linear.weight)
    for name, module in list(model.named_modules()):
        new = None
        if isinstance(module, BATCH_NORMS):
            signed = any(fnmatch.fnmatchcase(name, glob) for glob in signs)
            new = Sign(module) if signed else nn.Identity()
        elif name.endswith(("q_norm", "k_norm")):
            continue  # they stand on no link
        elif isinstance(module, nn.LayerNorm) or is_rms_norm(module):
            new = OneNumber(module)
        if new is not None:
            model.set_submodule(name, new)
    return model


NETWORKS = {
    "VGG": (chains.vgg, (3, 16, 16), ()),
    "autoencoder": (chains.Autoencoder, (1, 6, 6), ()),
    "ResNet": (convolutional.resnet, (3, 16, 16), ()),
    "ResNet, bottleneck": (lambda: convolutional.resnet(bottleneck=True), (3, 16, 16), ()),
    "pre-activation ResNet": (lambda: PreActivation(nn.ReLU), IMAGE, ("norm", "blocks.?.0")),
    "pre-activation, leaky": (lambda: PreActivation(nn.LeakyReLU), IMAGE, ("norm", "blocks.?.0")),
    "DenseNet": (convolutional.DenseNet, IMAGE, ("block?.?.0", "transition.0")),
    "MobileNet v2": (convolutional.MobileNet, IMAGE, ()),
    "MobileNet v3": (lambda: convolutional.MobileNet(version=3), IMAGE, ()),
    "ConvNeXt": (lambda: convolutional.ConvNeXt(width=6), (3, 16, 16), ()),
    "norm before groups": (
        lambda: nn.Sequential(
            *(nn.Conv2d(3, 6, 3), nn.Tanh(), nn.BatchNorm2d(6)),
            *(nn.Conv2d(6, 4, 3, groups=2), nn.Tanh(), nn.Conv2d(4, 2, 1)),
        ),
        IMAGE,
        (),
    ),
    "norm between pools": (
        lambda: nn.Sequential(
            *(nn.Conv2d(3, 5, 3), nn.MaxPool2d(2), nn.BatchNorm2d(5), nn.Tanh()),
            *(nn.Conv2d(5, 4, 1), nn.ReLU(), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 3)),
        ),
        IMAGE,
        ("2",),
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_compute_the_same(name):
    torch.manual_seed(0)
    build, shape, signs = NETWORKS[name]
    model = trained(build())
    if name == "ConvNeXt":
        nn.init.normal_(model.scale)
    inputs = gaussian(2, *shape, dtype=torch.float64)
    svr = SVR(model, inputs, norm="fold")
    assert any(linear.norms for linear in svr.maps.values())
    bare = without_norms(model, svr, signs)
    if name == "ConvNeXt":
        nn.init.ones_(bare.scale)
    torch.testing.assert_close(bare(inputs), model(inputs))


def test_norms_behind_linear_maps_leave_one_number_a_position():
    torch.manual_seed(0)
    layers = nn.Linear(8, 6), nn.LayerNorm(6), nn.ReLU(), nn.Linear(6, 5), nn.RMSNorm(5), nn.ReLU()
    model = trained(nn.Sequential(*layers, nn.Linear(5, 3)))
    inputs = gaussian(4, 8, dtype=torch.float64)
    svr = SVR(model, inputs, norm="fold")
    assert [linear.norms for linear in svr.maps.values()] == [
        ("layer_norm (1)",),
        ("rms_norm (4)",),
        (),
    ]
    bare = without_norms(model, svr)
    bare[1] = bare[4] = nn.Identity()
    cosine = torch.cosine_similarity(bare(inputs), model(inputs))
    torch.testing.assert_close(cosine, torch.ones(4, dtype=torch.float64))


@pytest.mark.parametrize("name", ["gpt2", "llama", "qwen3", "t5", "vit", "gemma"])
def test_transformers_compute_the_same(name):
    torch.manual_seed(0)
    model, inputs = gemma() if name == "gemma" else getattr(language, name)()
    model = trained(model)
    inputs = {k: v.double() if v.is_floating_point() else v for k, v in inputs.items()}
    svr = SVR(model, inputs, norm="fold", attention="plain")
    bare = without_norms(model, svr)
    ours, theirs = bare(**inputs)[0], model(**inputs)[0]
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_products_of_heads_are_those_of_the_folded_matrices():
    model, inputs = language.gpt2()
    plain = SVR(trained(model), inputs, norm="fold", attention="plain")
    svr = SVR(model, inputs, norm="fold")
    ones = torch.ones(8, dtype=torch.float64)
    for head in range(2):
        at = slice(4 * head, 4 * head + 4)
        q, k, v = plain.maps["transformer.h.1.attn.c_attn"].weight.split(8)
        o = plain.maps["transformer.h.1.attn.c_proj"].weight
        names = [f"transformer.h.1.attn[{kind}.{head}]" for kind in ("OV", "QK")]
        for name, product in zip(names, (o[:, at] @ v[at], q[at].T @ k[at]), strict=True):
            torch.testing.assert_close(svr.maps[name].weight, product)
            found = svr[name]
            torch.testing.assert_close((found.U * found.S) @ found.V.T, product)
            assert torch.stack([ones @ found.U, ones @ found.V]).abs().max() < 1e-12
    laws = {svr.adjacency(key).law.shared for key in svr.links if key[0].startswith("transformer")}
    assert laws == {(7, 7), (32, 32)}


def gemma():
    """Its RMS norm multiplies by 1 + weight."""
    config = transformers.GemmaConfig(**language.GROUPED, max_position_embeddings=16, head_dim=4)
    return transformers.GemmaForCausalLM(config), {"input_ids": torch.tensor([[1, 5, 2]])}


def composed(svr):
    """The product of a chain's matrices as a sum over its edges, float64 ``[out, in]``."""
    first, *others = svr.maps
    total = svr[first].S[:, None] * svr[first].V.T
    for link in svr.links:
        total = svr[link[1]].S[:, None] * (svr.adjacency(link).signed() @ total)
    return svr[others[-1]].U @ total


class Frozen(nn.Module):
    """Batch norm as a product with buffers."""

    def __init__(self, width):
        super().__init__()
        self.register_buffer("weight", torch.randn(width))
        self.register_buffer("var", torch.rand(width) + 0.5)

    def forward(self, x):
        return x / torch.sqrt(self.var + 1e-5) * self.weight + 0.5


def test_batch_norms_compose_to_the_affine_map():
    torch.manual_seed(1)
    model = nn.Sequential(
        *(nn.BatchNorm1d(7), nn.Linear(7, 6), nn.BatchNorm1d(6), nn.Linear(6, 9), nn.Linear(9, 8)),
        *(Frozen(8), nn.BatchNorm1d(8, affine=False), nn.Linear(8, 5), nn.BatchNorm1d(5)),
    )
    model = trained(model)
    inputs = gaussian(1, 7, dtype=torch.float64)
    svr = SVR(model, inputs, norm="fold")
    assert [linear.norms for linear in svr.maps.values()] == [
        ("batch_norm (0)", "batch_norm (2)"),
        (),
        ("Frozen (5)", "Frozen (5)", "batch_norm (6)"),
        ("batch_norm (8)",),
    ]
    jacobian = torch.autograd.functional.jacobian(model, inputs)[0, :, 0]
    torch.testing.assert_close(composed(svr), jacobian)


def test_layer_norms_compose_to_the_affine_map():
    torch.manual_seed(2)
    model = nn.Sequential(
        *(nn.LayerNorm(7), nn.Linear(7, 6), nn.LayerNorm(6), nn.Linear(6, 9), nn.Linear(9, 8)),
        *(nn.BatchNorm1d(8, eps=0), nn.LayerNorm(8, elementwise_affine=False), nn.Linear(8, 6)),
        *(nn.LayerNorm(6), nn.BatchNorm1d(6, eps=0), nn.Linear(6, 5), nn.RMSNorm(5)),
    )
    model = trained(model)
    for module in model:
        if isinstance(module, nn.BatchNorm1d):
            nn.init.ones_(module.running_var)
    svr = SVR(model, gaussian(1, 7, dtype=torch.float64), norm="fold")
    product = torch.eye(7, dtype=torch.float64)
    for module in model:
        if isinstance(module, nn.Linear):
            product = module.weight @ product
        else:
            if isinstance(module, nn.LayerNorm):
                product = product - product.mean(0)
            product = product if module.weight is None else module.weight[:, None] * product
    torch.testing.assert_close(composed(svr), product)
    for name, rank in {"1": 5, "4": 7, "7": 5}.items():
        assert len(svr[name]) == rank == svr.maps[name].neurons()
        torch.testing.assert_close(svr[name].U.sum(0), torch.zeros(len(svr[name])).double())


@pytest.mark.parametrize("groups", [1, 2])
def test_a_fused_convolution_has_the_same_svr(groups):
    torch.manual_seed(3)
    convolutions = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 8, 3, groups=groups)
    norms = nn.BatchNorm2d(6), nn.BatchNorm2d(8)
    head = nn.Conv2d(8, 4, 1)
    trained(nn.ModuleList([*convolutions, *norms, head])).float()
    pairs = list(zip(convolutions, norms, strict=True))
    apart = nn.Sequential(*pairs[0], nn.ReLU(), *pairs[1], nn.ReLU(), head)
    fused = [fuse_conv_bn_eval(*pair) for pair in pairs]
    joined = nn.Sequential(fused[0], nn.ReLU(), fused[1], nn.ReLU(), head)
    image = torch.zeros(1, 3, 9, 9)
    ours, theirs = SVR(apart.eval(), image, norm="fold"), SVR(joined.eval(), image)
    for mine, its in zip(ours.maps, theirs.maps, strict=True):
        torch.testing.assert_close(ours.maps[mine].weight, theirs.maps[its].weight)
        torch.testing.assert_close(ours[mine].S, theirs[its].S, rtol=1e-6, atol=0)
    for mine, its in zip(ours.links, theirs.links, strict=True):
        one, other = ours.adjacency(mine).dense(), theirs.adjacency(its).dense()
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


def test_signs_stay_on_the_link():
    torch.manual_seed(4)
    model = trained(PreActivation(nn.ReLU))
    svr = SVR(model, gaussian(1, *IMAGE, dtype=torch.float64), norm="fold")
    adjacency = svr.adjacency(("blocks.0.5", "head"))
    U, V, sign = svr["blocks.0.5"].U, svr["head"].V, model.norm.weight.sign()
    assert (sign < 0).any()
    torch.testing.assert_close(adjacency.signed(), V.T @ (sign[:, None] * U))


def test_batch_norm_of_joined_channels_goes_to_its_producers():
    torch.manual_seed(6)
    model = trained(Joined(nn.BatchNorm1d(8)))
    svr = SVR(model, gaussian(1, 4, dtype=torch.float64), norm="fold")
    factor = model.norm.weight / (model.norm.running_var + model.norm.eps).sqrt()
    torch.testing.assert_close(svr.maps["b"].weight, factor[3:, None] * model.b.weight)
    assert svr.maps["c"].norms == ()


def test_stored_statistics_of_instance_norm_are_those_of_batch_norm():
    torch.manual_seed(7)
    instance = nn.InstanceNorm2d(4, affine=True, track_running_stats=True)
    batch = nn.BatchNorm2d(4)
    trained(batch)
    instance.load_state_dict(batch.state_dict())
    models = [conv_chain(norm).double().eval() for norm in (instance, batch)]
    models[1].load_state_dict(models[0].state_dict())
    one, other = (SVR(m, gaussian(2, *IMAGE, dtype=torch.float64), norm="fold") for m in models)
    assert one.maps["0"].norms == ("instance_norm (1)",)
    torch.testing.assert_close(one["0"].S, other["0"].S)


def test_activations_and_comparisons():
    torch.manual_seed(9)
    model = trained(PreActivation(nn.ReLU))
    inputs = gaussian(1, *IMAGE, dtype=torch.float64)
    svr = SVR(model, inputs, norm="fold")
    with pytest.raises(SVRError, match=r"folded into .*'head'.*norm='ignore'"):
        svr.spectral_activations(inputs)
    assert "stem" in svr.spectral_activations(inputs, "stem")
    compared = svr.null_comparison(("stem", "head"), draws=1, initial=model.state_dict())
    strongest = compared.set_index("weights")["weight"]
    assert strongest["initial"] == pytest.approx(strongest["trained"])


def test_tied_weights_come_apart():
    model, inputs = language.gpt2()
    svr = SVR(trained(model), inputs, norm="fold")
    assert svr.maps["lm_head"].tied_to is None
    assert svr.maps["lm_head"].normals[1] is not None


def test_a_saved_graph_stays_folded(tmp_path):
    torch.manual_seed(10)
    model = trained(PreActivation(nn.ReLU))
    svr = SVR(model, gaussian(1, *IMAGE, dtype=torch.float64), norm="fold")
    svr.save(tmp_path / "graph.safetensors")
    loaded = SVR.load(tmp_path / "graph.safetensors")
    assert loaded.norm == "fold"
    assert loaded.edges(p=1.0).equals(svr.edges(p=1.0))
