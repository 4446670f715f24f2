"""Names of one thing in two networks."""

import pytest

from svr_widget.engine.maps.names import bare, paired


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("layers.0.weight", "layers.0.weight"),
        ("module.layers.0.weight", "layers.0.weight"),
        ("_orig_mod.module.layers.0.weight", "layers.0.weight"),
        ("module._orig_mod.layers.0.weight", "layers.0.weight"),
        ("layers.0._orig_mod.weight", "layers.0.weight"),
        ("layers.1._orig_mod", "layers.1"),
        ("_fsdp_wrapped_module.layers.0._fsdp_wrapped_module.weight", "layers.0.weight"),
        ("layers._checkpoint_wrapped_module.0.weight", "layers.0.weight"),
        ("base_model.model.layers.q.base_layer.weight", "layers.q.weight"),
        ("encoder.module.weight", "encoder.module.weight"),  # a name of its own
        ("modules.0.weight", "modules.0.weight"),
        ("_orig_mod", ""),
    ],
)
def test_what_wrappers_add_is_taken_away(name, left):
    assert bare(name) == left


def forms(*names):
    return {name: len(name.rpartition(".")[2]) for name in names}


class TestPaired:
    def test_equal_names_come_first(self):
        names = forms("module.a", "a")
        assert paired(names, names).pairs == {"module.a": "module.a", "a": "a"}

    @pytest.mark.parametrize("swapped", [False, True])
    def test_wrappers_on_either_side(self, swapped):
        bare_names, wrapped = forms("a.w", "b.w"), forms("module.a.w", "module.b.w")
        mine, theirs = (wrapped, bare_names) if swapped else (bare_names, wrapped)
        assert paired(mine, theirs).pairs == dict(zip(mine, theirs, strict=True))

    @pytest.mark.parametrize("swapped", [False, True])
    def test_a_common_prefix_on_either_side_beside_a_head(self, swapped):
        whole = forms("model.a.w", "model.b.w", "head.w")
        inner = forms("_orig_mod.a.w", "_orig_mod.b.w", "_orig_mod.head.w")
        mine, theirs = (whole, inner) if swapped else (inner, whole)
        found = paired(mine, theirs)
        assert found.pairs == dict(zip(mine, theirs, strict=True))
        assert found.added == (("model.", "") if swapped else ("", "model."))

    def test_a_part_of_a_larger_network(self):
        found = paired(forms("0.w", "1.w"), forms("clip.visual.0.w", "clip.visual.1.w", "text.0.z"))
        assert found.pairs == {"0.w": "clip.visual.0.w", "1.w": "clip.visual.1.w"}

    def test_two_prefixes_that_fit_alike_are_not_chosen_from(self):
        found = paired(forms("0.w"), forms("encoder.0.w", "decoder.0.w"))
        assert found.pairs == {}
        assert set(found.undecided) == {"encoder.", "decoder."}

    def test_the_form_decides_between_two(self):
        mine, theirs = {"0.w": (3, 2)}, {"encoder.0.w": (3, 2), "decoder.0.w": (2, 3)}
        assert paired(mine, theirs).pairs == {"0.w": "encoder.0.w"}

    def test_a_chance_fit_beside_many_equal_names_is_none(self):
        mine, theirs = forms("0.w", "1.w", "2.w"), forms("0.w", "1.w", "aux.2.w")
        assert paired(mine, theirs).pairs == {"0.w": "0.w", "1.w": "1.w"}

    def test_no_two_names_become_one(self):
        found = paired(forms("w", "module.w"), forms("_orig_mod.w"))
        assert len(set(found.pairs.values())) == len(found.pairs) == 1
