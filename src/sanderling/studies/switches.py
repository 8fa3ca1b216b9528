"""Switches: what one step of an ablation changes about a run, by name or as any `key=value` that run.yaml holds.

Sheets on PP-YOLO and on compression. A switch never trains; it makes another run of a run. To add one, add a `Switch`
to `SWITCHES`: what it sets, as assignments, or a function where that is to be computed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sanderling import config
from sanderling.data.augment import BatchSizes
from sanderling.errors import UsageError, nearest
from sanderling.models.backbones.csp_darknet import CspDarknetConfig
from sanderling.recipes.fine_tune import fine_tune
from sanderling.recipes.ppyolo import twice
from sanderling.recipes.ppyolo_ladder import resnet_dcn
from sanderling.recipes.run import Run

LARGER_BATCH = 3
"""PP-YOLO's batch of 192 against YOLOv3's of 64."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Switch:
    """One named change.

    Attributes:
        name: what people write.
        help: what it does, in a line.
        change: a run to another run; it may raise `UsageError` where that makes no sense.
    """

    name: str
    help: str
    change: Callable[[Run], Run]

    def apply(self, run: Run) -> Run:
        """The run with the switch on; pure.

        Raises:
            UsageError: the run has nothing that this switch could change, or it is on already.
        """
        try:
            changed = self.change(run)
        except UsageError as error:
            raise UsageError(f"switch {self.name!r} does not apply to {run.model.name}: {error}") from None
        if changed == run:
            raise UsageError(f"switch {self.name!r} changes nothing: it is on already; leave it out")
        return changed


def sets(*assignments: str) -> Callable[[Run], Run]:
    """A change that sets values, where the run has such keys."""

    def change(run: Run) -> Run:
        values = config.plain(run)
        keys = [assignment.partition("=")[0].strip() for assignment in assignments]
        # A part whose kind is set gets other keys.
        remade = tuple(key.removesuffix("kind") for key in keys if key.endswith(".kind"))
        for key in keys:
            if key.endswith(".kind") or not key.startswith(remade):
                _require_key(values, key)
        return config.override(run, assignments)

    return change


def apply_switches(run: Run, text: str) -> Run:
    """The run with the switches of one step: names and `key=value`, several joined by commas.

    Args:
        run: what they are put on.
        text: as on the command line.

    Raises:
        UsageError: no such name or key (the nearest is suggested), a value that does not fit, or a switch that does not
            apply or is on already.

    >>> from sanderling.recipes.named import named
    >>> apply_switches(named("ppyolo-small"), "spp,head.iou_power=0.5").model.neck.pyramid_pool
    Traceback (most recent call last):
    ...
    sanderling.errors.UsageError: switch 'head.iou_power=0.5' does not apply to ppyolo-small: it has no 'head'; ...
    """
    for part in parts(text):
        run = _switch(part).apply(run)
    return run


def parts(text: str) -> list[str]:
    """The switches that stand in one step. Commas inside brackets belong to a value.

    Raises:
        UsageError: a part is empty.

    >>> parts("spp,model.picture.size_hw=[192, 256]")
    ['spp', 'model.picture.size_hw=[192, 256]']
    """
    depth, found = 0, [""]
    for letter in text:
        depth += (letter in "[{") - (letter in "]}")
        if letter == "," and depth == 0:
            found.append("")
        else:
            found[-1] += letter
    found = [part.strip() for part in found]
    if not all(found):
        raise UsageError(f"switch {text!r}: names or key=value, joined by single commas, are expected")
    return found


def kind_of(part: str) -> str:
    """What a switch is called whatever its value is: `weights` of `weights=FILE`.

    >>> kind_of("weights=distilled.safetensors")
    'weights'
    """
    return part.partition("=")[0]


def _switch(part: str) -> Switch:
    key, equals, value = part.partition("=")
    if equals and key == "weights":
        return Switch(name=part, help="", change=lambda run: _starting_from(run, value))
    if equals:
        return Switch(name=part, help="", change=sets(part))
    if part not in SWITCHES:
        raise UsageError(
            f"no switch is named {part!r}; {nearest(part, SWITCHES)}; see: sanderling ablate --list-switches"
        )
    return SWITCHES[part]


def _require_key(values: Any, key: str) -> None:
    """Refuse a key whose parts the run does not have; a part that is off (null) may be set."""
    here, names = values, key.split(".")
    for depth, name in enumerate(names):
        if here is None:
            return
        if not isinstance(here, dict) or name not in here:
            where = ".".join(names[:depth]) or "it"
            kind = f" of kind {here['kind']!r}" if isinstance(here, dict) and "kind" in here else ""
            hint = nearest(name, map(str, here)) if isinstance(here, dict) else "it has no parts"
            raise UsageError(f"{where}{kind} has no {name!r}; {hint}")
        here = here[name]


def _starting_from(run: Run, value: str) -> Run:
    file = Path(value).absolute()
    if not file.is_file():
        raise UsageError(f"{value}: no such file; name the weights of a backbone or of a whole detector")
    return dataclasses.replace(run, weights=str(file), pretrained=None)


def _larger_batch(run: Run) -> Run:
    return dataclasses.replace(run, batch=LARGER_BATCH * run.batch, optimizer=run.optimizer.for_steps(LARGER_BATCH))


def _accumulated(run: Run) -> Run:
    loop = dataclasses.replace(run.loop, accumulate=LARGER_BATCH * run.loop.accumulate)
    return dataclasses.replace(run, loop=loop, optimizer=run.optimizer.for_steps(LARGER_BATCH))


def _multi_scale(run: Run) -> Run:
    # PP-YOLO draws from 320 to 608, half of the input (rounded up to the stride) to all of it.
    step = max(run.model.build().stride, 1)
    largest = max(run.model.picture.size_hw)
    smallest = -(-largest // (2 * step)) * step
    sizes = BatchSizes(smallest=smallest, largest=largest, step=step)
    return dataclasses.replace(run, augment=dataclasses.replace(run.augment, sizes=sizes))


def _resnet_dcn(run: Run) -> Run:
    backbone = run.model.backbone
    if not isinstance(backbone, CspDarknetConfig):
        raise UsageError(f"model.backbone is of kind {backbone.kind!r}, and a DarkNet (csp_darknet) is replaced")
    # The first stage of either ends in as many channels: 64 at full size.
    return _with_backbone(run, resnet_dcn(backbone.channels[0]))


def _with_backbone(run: Run, backbone: Any) -> Run:
    return dataclasses.replace(run, model=dataclasses.replace(run.model, backbone=backbone))


def _averaged(run: Run) -> Run:
    return run if run.ema is not None else dataclasses.replace(run, ema=fine_tune(run.model).ema)


_VARIANTS = {
    "a": "stride on the first 1x1",
    "b": "stride on the 3x3",
    "c": "b with three 3x3 as stem",
    "d": "c with a pool in the shortcut",
}

SWITCHES = {
    switch.name: switch
    for switch in (
        # Network
        Switch(name="resnet-dcn", help="ResNet18vd, last stage deformable, for a DarkNet", change=_resnet_dcn),
        *(
            Switch(
                name=f"resnet-{letter}",
                help=f"ResNet {letter}: {what}",
                change=sets(f"model.backbone.variant={letter}"),
            )
            for letter, what in _VARIANTS.items()
        ),
        Switch(name="deformable", help="deformable last stage (ResNet)", change=sets("model.backbone.deformable=[32]")),
        Switch(name="drop-block", help="DropBlock in the neck", change=sets("model.neck.drop_block=true")),
        Switch(name="coord-conv", help="CoordConv, -1 to 1", change=sets("model.neck.coordinates=symmetric")),
        Switch(name="coord-conv-left", help="CoordConv, -1 to -0.5", change=sets("model.neck.coordinates=left")),
        Switch(name="spp", help="pyramid pooling (SPP) in the neck", change=sets("model.neck.pyramid_pool=true")),
        # Losses and head
        Switch(
            name="iou-loss",
            help="2.5 * (1 - IoU^2) beside the other terms",
            change=sets("task.objective.iou=iou_squared", "task.objective.iou_weight=2.5"),
        ),
        *(
            Switch(
                name=f"{form}-loss",
                help=f"2.5 * {form} loss beside the other terms",
                change=sets(f"task.objective.iou={form}", "task.objective.iou_weight=2.5"),
            )
            for form in ("giou", "diou", "ciou")
        ),
        Switch(name="iou-aware", help="predict each box's IoU", change=sets("model.head.iou_aware=true")),
        Switch(
            name="grid-sensitive",
            help="centres reach over their cell, 1.05, taught by L1",
            change=sets("model.head.scale_xy=1.05", "task.objective.centre=l1"),
        ),
        Switch(
            name="label-smoothing",
            help="classes 1 - d and d, d = min(1/C, 1/40)",
            change=sets("task.objective.label_smoothing=true"),
        ),
        Switch(
            name="hard-negatives",
            help="OHEM: three negatives to a positive",
            change=sets("task.objective.hard_negatives={}"),
        ),
        Switch(
            name="several-anchors", help="anchors above 0.25 learn too", change=sets("task.objective.match_iou=0.25")
        ),
        # Optimisation
        Switch(name="ema", help="average of the weights, as in the recipe for small data", change=_averaged),
        Switch(name="large-batch", help=f"{LARGER_BATCH} times the batch; the rate follows", change=_larger_batch),
        Switch(name="accumulate", help=f"{LARGER_BATCH} batches a step; the rate follows", change=_accumulated),
        Switch(name="double-schedule", help="twice the epochs (2x)", change=twice),
        Switch(name="sync-batchnorm", help="BatchNorm over processes", change=sets("runtime.sync_batchnorm=true")),
        Switch(name="imagenet", help="download the backbone's weights", change=sets("pretrained=imagenet")),
        # Pictures
        Switch(name="mixup", help="two samples shine through each other", change=sets("augment.mixup={}")),
        Switch(name="cutmix", help="a part of another sample pasted in", change=sets("augment.cutmix={}")),
        Switch(name="mosaic", help="every other sample of four pictures", change=sets("augment.mosaic=0.5")),
        Switch(
            name="mosaic-9",
            help="every other sample of nine pictures",
            change=sets("augment.mosaic=0.5", "augment.mosaic_tiles=9"),
        ),
        Switch(name="stitcher", help="stitch while small objects add little loss", change=sets("augment.stitcher={}")),
        Switch(name="expand", help="pictures in a larger plane", change=sets("augment.expand={}")),
        Switch(name="crop", help="parts of pictures around objects", change=sets("augment.crop={}")),
        Switch(name="stretch", help="other aspect ratios, 0.75 to 1.33", change=sets("augment.stretch=[0.75, 1.33]")),
        Switch(name="hue", help="turn the hue by 18/255 at most", change=sets("augment.hue=0.0706")),
        *(
            Switch(
                name=f"auto-augment-{version}",
                help=f"AutoAugment for detection, policy {version}",
                change=sets(f"augment.auto_augment={{policy: {version}}}"),
            )
            for version in ("v0", "v1", "v2", "v3")
        ),
        *(
            Switch(
                name=f"erase-{where}",
                help=f"random erasing: {words}",
                change=sets(f"augment.erase={{where: {where}}}"),
            )
            for where, words in (
                ("picture", "of pictures"),
                ("object", "of objects"),
                ("both", "of pictures and objects"),
            )
        ),
        Switch(name="cutout", help="a square of half the side blotted out", change=sets("augment.cutout={}")),
        Switch(
            name="activation-cutout",
            help="what the network looks at most blotted out",
            change=sets("augment.activation_cutout={}"),
        ),
        Switch(name="grid-mask", help="a grid of squares blotted out", change=sets("augment.grid_mask={}")),
        Switch(name="multi-scale", help="other input sizes, half to all of it", change=_multi_scale),
        Switch(name="no-colour", help="colours as they are", change=sets("augment.colour_probability=0")),
        Switch(name="no-flip", help="no mirror images", change=sets("augment.flip=0")),
        # Sampling
        Switch(
            name="class-aware", help="pictures of rare classes are likelier", change=sets("sampling.kind=class_aware")
        ),
        Switch(
            name="repeat-factor",
            help="classes in less than 0.3 of the pictures are repeated",
            change=sets("sampling.kind=repeat_factor", "sampling.threshold=0.3"),
        ),
        # Suppression: no training
        *(
            Switch(
                name=name,
                help=f"{words} instead of greedy suppression",
                change=sets(
                    f"model.postprocess.suppression.kind={kind}", f"model.postprocess.suppression.decay={decay}"
                ),
            )
            for name, words, kind, decay in (
                ("matrix-nms", "Matrix NMS, linear,", "matrix", "linear"),
                ("matrix-nms-gaussian", "Matrix NMS, Gaussian,", "matrix", "gaussian"),
                ("soft-nms", "Soft-NMS, Gaussian,", "soft", "gaussian"),
                ("soft-nms-linear", "Soft-NMS, linear,", "soft", "linear"),
            )
        ),
        Switch(
            name="class-agnostic",
            help="suppress over all classes",
            change=sets("model.postprocess.class_agnostic=true"),
        ),
        Switch(name="one-class", help="a point gives one class", change=sets("model.postprocess.multi_label=false")),
    )
}
"""Every named switch, in the order of the list that people see."""


def listed() -> Sequence[tuple[str, str]]:
    """Names and what they do; `weights=FILE` and `key=value` stand at the end."""
    return [
        *((switch.name, switch.help) for switch in SWITCHES.values()),
        ("weights=FILE", "start from these weights, of the backbone or of all"),
        ("KEY=VALUE", "anything that run.yaml holds"),
    ]
