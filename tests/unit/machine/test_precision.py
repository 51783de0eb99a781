"""Which device computes in which precision."""

import pytest

from redistil.errors import BadSettings
from redistil.machine.precision import PRECISIONS, refuse_precision

ABLE = [("cpu", None), ("cuda", (8, 0)), ("cuda", (9, 0)), ("mps", None)]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("device", "capability"), ABLE)
def test_possible_precisions_are_accepted(precision, device, capability):
    refuse_precision(precision, device, capability)


@pytest.mark.parametrize("capability", [(7, 0), (7, 5), (6, 1)])
def test_old_gpus_have_no_bfloat16(capability):
    refuse_precision("float32", "cuda", capability)
    found = ".".join(map(str, capability))
    with pytest.raises(BadSettings, match=rf"capability {found}\) has no bfloat16.* needs 8.0"):
        refuse_precision("bfloat16", "cuda", capability)


@pytest.mark.parametrize("name", ["float16", "bf16", "fp32", ""])
def test_an_unknown_precision_is_refused(name):
    with pytest.raises(BadSettings, match=f"'{name}' is none of float32, tf32, bfloat16"):
        refuse_precision(name, "cpu", None)
