"""The precisions a model can compute in, and the devices that have them."""

from redistil.errors import BadSettings

PRECISIONS = ("float32", "tf32", "bfloat16")
AMPERE = (8, 0)  # compute capability from which CUDA devices have bfloat16


def refuse_precision(precision: str, device: str, capability: tuple[int, int] | None) -> None:
    """Raise BadSettings where a device cannot compute in `precision`.

    device: its type, as torch names it; capability: `torch.cuda.get_device_capability` of a CUDA
    device, else None. Every CPU can compute in bfloat16, though few gain by it; CUDA devices
    before Ampere only emulate it, slower than float32 and not to the same bits.
    """
    if precision not in PRECISIONS:
        raise BadSettings(f"precision: {precision!r} is none of {', '.join(PRECISIONS)}")
    if precision == "bfloat16" and device == "cuda" and (capability or AMPERE) < AMPERE:
        version = ".".join(map(str, capability or ()))
        raise BadSettings(
            f"precision: this GPU (compute capability {version}) has no bfloat16, which needs 8.0: "
            "choose float32, or another device"
        )
