"""`isthmus latency`: where the time to the first token goes. Predicted here, from a config and a device's figures;
measured by `cli.measure`.

`isthmus latency MODEL` is short for `isthmus latency measure MODEL`. Thin: the work is in `isthmus.latency`, and what
is heavy is imported when a command needs it.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from isthmus.cli import answering, measure
from isthmus.errors import InputError

if TYPE_CHECKING:
    from isthmus.latency.devices import Device
    from isthmus.latency.model import Model
    from isthmus.latency.roofline import Efficiency
    from isthmus.latency.work import Request

MEASURE = "measure"
IMPOSSIBLE = 1


class MeasuresByDefault(TyperGroup):
    """A first word that is no command's name belongs to `measure`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        known = (*self.commands, *ctx.help_option_names)
        if args and args[0] not in known and MEASURE in self.commands:
            args = [MEASURE, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=MeasuresByDefault,
    help="Where the time to the first token goes: measured, predicted for a device, and held against what is claimed.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.command(MEASURE)(measure.measure)

ModelOption = Annotated[
    str, typer.Option("--model", help="llava-1.5-7b, qwen2.5-vl-7b …, a folder or config.json, or default/vlm.")
]
GpuOption = Annotated[
    str, typer.Option("--gpu", help="a100-80g, h100, rtx-4090, m2-max …; here: this machine, measured in two seconds.")
]
PictureOption = Annotated[str, typer.Option("--picture", metavar="WxH", help="Its size in pixels, or none.")]
TextOption = Annotated[int, typer.Option("--text-tokens", help="Of the question, template included.")]
BatchOption = Annotated[int, typer.Option("--batch", help="Questions at once.")]
DtypeOption = Annotated[
    str | None,
    typer.Option("--dtype", help="fp32, tf32, bf16, fp16, int8, int4, w8a8, fp8. Default: what suits the device."),
]
ComputeOption = Annotated[
    float, typer.Option("--compute-efficiency", help="Share of the peak FLOP/s that is assumed to be reached.")
]
BandwidthOption = Annotated[float, typer.Option("--bandwidth-efficiency", help="The same of the bandwidth.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Machine output on stdout.")]
WhatIfOption = Annotated[
    str, typer.Option("--what-if", metavar="WORDS", help='Changes, such as "tokens=64 dtype=int8 sdpa=off".')
]


@app.command("roofline")
def roofline(
    model: ModelOption,
    gpu: GpuOption = "here",
    picture: PictureOption = "512x512",
    text_tokens: TextOption = 100,
    batch: BatchOption = 1,
    dtype: DtypeOption = None,
    what_if: WhatIfOption = "",
    compute: ComputeOption = 0.6,
    bandwidth: BandwidthOption = 0.7,
    as_json: JsonOption = False,
) -> None:
    """The time to the first token by part, as the model's config and the device's figures predict it.

    --what-if shows the same after a change: tokens, text, picture, batch, dtype, sdpa=on|off, fuse=on|off,
    cache=nothing|picture|prefix, logits=last|all, gpu.
    """
    shape, device, request, efficiency = _asked(model, gpu, picture, text_tokens, batch, dtype, compute, bandwidth)
    from isthmus.latency import report
    from isthmus.latency.roofline import predict
    from isthmus.latency.whatif import what_if as compare

    if what_if:
        change = compare(shape, request, device, what_if, efficiency)
        _tell(report.change_json(change) if as_json else report.change_text(change))
    else:
        found = predict(shape, request, device, efficiency)
        _tell(report.prediction_json(found) if as_json else report.prediction_text(found))


@app.command("audit")
def audit(
    model: ModelOption,
    ttft: Annotated[str, typer.Option("--ttft", metavar="TIME", help="What is claimed: 450ms, 0.45s.")],
    gpu: GpuOption = "here",
    share: Annotated[
        list[str] | None, typer.Option("--share", metavar="PART=PERCENT", help="A claimed split; may be repeated.")
    ] = None,
    picture: PictureOption = "512x512",
    text_tokens: TextOption = 100,
    batch: BatchOption = 1,
    dtype: DtypeOption = None,
    compute: ComputeOption = 0.6,
    bandwidth: BandwidthOption = 0.7,
    as_json: JsonOption = False,
) -> None:
    """Hold a claimed time to the first token against the device: possible? at what utilisation? explained by what?

    Exit codes: 0 it is possible; 1 it is not; 2 bad input.
    """
    from isthmus.latency.audit import audit as held_against
    from isthmus.latency.audit import parse_duration, parse_shares

    claimed, shares = parse_duration(ttft), parse_shares(share or [])
    shape, device, request, efficiency = _asked(model, gpu, picture, text_tokens, batch, dtype, compute, bandwidth)
    from isthmus.latency import report

    found = held_against(shape, request, device, claimed, shares, efficiency)
    _tell(report.audit_json(found) if as_json else report.audit_text(found))
    if not found.possible:
        raise typer.Exit(IMPOSSIBLE)


@app.command("ridge")
def ridge(
    model: ModelOption,
    gpu: GpuOption = "here",
    picture: PictureOption = "512x512",
    text_tokens: TextOption = 100,
    batch: BatchOption = 1,
    dtype: DtypeOption = None,
    compute: ComputeOption = 0.6,
    bandwidth: BandwidthOption = 0.7,
    as_json: JsonOption = False,
) -> None:
    """From how many tokens of prompt on it pays to have fewer of them, and up to how many to have smaller weights."""
    shape, device, request, efficiency = _asked(model, gpu, picture, text_tokens, batch, dtype, compute, bandwidth)
    from isthmus.latency import report
    from isthmus.latency.ridge import ridge as found_for
    from isthmus.latency.roofline import predict

    found = found_for(shape, request, device, ("int8", "int4"), efficiency=efficiency)
    here = predict(shape, request, device, efficiency)
    _tell(report.ridge_json(found, here) if as_json else report.ridge_text(found, here))


@app.command("sweep")
def sweep(
    model: ModelOption,
    over: Annotated[str, typer.Option("--over", help="tokens (a picture's), text, resolution or batch.")],
    gpu: GpuOption = "here",
    values: Annotated[str, typer.Option("--values", metavar="N,N,…", help="Where; else at a usual few.")] = "",
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE.png", help="Also drawn (needs isthmus[evaluate]).")
    ] = None,
    picture: PictureOption = "512x512",
    text_tokens: TextOption = 100,
    batch: BatchOption = 1,
    dtype: DtypeOption = None,
    compute: ComputeOption = 0.6,
    bandwidth: BandwidthOption = 0.7,
    as_json: JsonOption = False,
) -> None:
    """The predicted time to the first token over a picture's tokens, text, resolution or batch."""
    shape, device, request, efficiency = _asked(model, gpu, picture, text_tokens, batch, dtype, compute, bandwidth)
    from isthmus.latency import report
    from isthmus.latency.whatif import AXES
    from isthmus.latency.whatif import sweep as predictions

    axis = next((each for each in AXES if each == over), None)
    if axis is None:
        raise InputError(f"there is no sweep over {over!r}", todo=f"over {', '.join(AXES)}")
    numbers = [each.strip() for each in values.split(",") if each.strip()]
    if not all(each.isdecimal() for each in numbers):
        raise InputError(f"{values!r} are no values", todo="whole numbers with commas between, such as 16,64,256")
    found = predictions(shape, request, device, axis, [int(each) for each in numbers], efficiency)
    if plot is not None:
        from isthmus.latency.plot import draw_sweep

        draw_sweep(over, found, plot)
    _tell(report.sweep_json(over, found) if as_json else report.sweep_text(over, found))


def _asked(
    model: str,
    gpu: str,
    picture: str,
    text_tokens: int,
    batch: int,
    dtype: str | None,
    compute: float,
    bandwidth: float,
) -> tuple["Model", "Device", "Request", "Efficiency"]:
    """What the options that all commands share say. Raises InputError."""
    from isthmus.latency.devices import HERE, device_named
    from isthmus.latency.named import model_named
    from isthmus.latency.operations import How
    from isthmus.latency.precisions import NAMES, precision
    from isthmus.latency.roofline import Efficiency
    from isthmus.latency.whatif import parse_size
    from isthmus.latency.work import Request

    if dtype is not None:
        precision(dtype)  # before anything is measured
    efficiency = Efficiency(compute, bandwidth)
    size = None if picture == "none" else parse_size(picture)
    request = Request(picture=size, text=text_tokens, batch=batch)
    shape = model_named(model)
    device = _measured() if gpu == HERE else device_named(gpu)
    numbers = device.precision(dtype or device.base)
    if not device.multiplies(numbers):
        able = [name for name in NAMES if device.multiplies(device.precision(name))]
        raise InputError(f"{device.name} does not compute in {dtype}", todo=f"it does in {', '.join(able)}")
    how = How(numbers)
    return shape, device, Request(picture=size, text=request.text, batch=request.batch, how=how), efficiency


def _measured() -> "Device":
    answering.remark("measuring this machine")
    from isthmus.latency.this_machine import measure_device

    return measure_device()


def _tell(value: str | dict[str, Any]) -> None:
    answering.write((value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)) + "\n")
