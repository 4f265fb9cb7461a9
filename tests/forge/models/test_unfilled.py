from __future__ import annotations

import subprocess
import sys

import torch

from forge.models import build_swapper
from forge.models.unfilled import unfilled

_PEOPLE = ("ann", "bob")


def test_a_module_has_the_names_shapes_and_types_of_a_real_one_and_no_memory():
    with unfilled():
        empty = build_swapper("lightweight", _PEOPLE).state_dict()
    real = build_swapper("lightweight", _PEOPLE).state_dict()
    assert {name: (value.shape, value.dtype) for name, value in empty.items()} == {
        name: (value.shape, value.dtype) for name, value in real.items()
    }
    assert all(value.is_meta for value in empty.values())


def test_after_the_block_weights_are_filled_again():
    with unfilled():
        pass
    layer = torch.nn.Linear(4, 4)
    assert not layer.weight.is_meta
    assert float(layer.weight.detach().abs().max()) > 0


def test_it_imports_no_symbolic_mathematics():
    code = (
        "import sys\n"
        "from forge.models import build_swapper\n"
        "from forge.models.unfilled import unfilled\n"
        "before = 'sympy' in sys.modules\n"
        "with unfilled():\n"
        "    build_swapper('original', ('ann', 'bob'))\n"
        "sys.exit(not before and 'sympy' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
