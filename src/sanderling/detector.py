"""`Detector`: the three-line way in, a thin face over `commands`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from sanderling.commands.predict import DEFAULT_SCORE

if TYPE_CHECKING:
    from sanderling.commands.train import TrainOutcome
    from sanderling.export.write import ExportOutcome
    from sanderling.models.predictor import TorchDetector
    from sanderling.runtimes.detector import ArtefactDetector
    from sanderling.structures.detections import Detections
    from sanderling.structures.report import Report

ImageSize = int | Sequence[int]


class Detector:
    """A detector by name or file: train it, measure it, use it, export it.

    Args:
        model: a name of the zoo (see `sanderling models`), a weights file, a run folder or an exported artefact. A name
            carries no weights; train it first.

    >>> detector = Detector("nanodet-m")
    >>> detector.train(data="birds/", epochs=50).report.metrics["AP50"]  # doctest: +SKIP
    0.81
    >>> detector.predict("tern.jpg")[0].to_plain()["detections"]  # doctest: +SKIP
    [{'label': 0, 'class_name': 'tern', 'score': 0.93, 'box_xyxy': [12.0, 40.5, 210.3, 198.0]}]
    """

    def __init__(self, model: str | Path) -> None:
        self.model = model
        """What stands for the detector now; after training, the run's folder."""
        self._opened: tuple[tuple[object, ...], TorchDetector | ArtefactDetector] | None = None

    def train(
        self,
        *,
        data: str | Path | None = None,
        data_format: str | None = None,
        weights: str | Path | None = None,
        pretrained: str | None = None,
        epochs: int | None = None,
        batch: int | Literal["auto"] | None = None,
        memory: str | None = None,
        imgsz: ImageSize | None = None,
        device: str | None = None,
        workers: int | None = None,
        threads: int | None = None,
        seed: int | None = None,
        patience: int | None = None,
        freeze: str | int | None = None,
        name: str | None = None,
        assignments: Sequence[str] = (),
        output: str | Path | None = None,
        resume: bool = False,
        overwrite: bool = False,
    ) -> TrainOutcome:
        """Train on a data set; afterwards this detector has the best weights of the run.

        A name starts from its recipe, a weights file or run folder from its own weights; with `resume` a run folder
        goes on where it stopped. The rest is as in `sanderling.commands.train.train`, which says what it raises.
        """
        from sanderling.commands.train import train

        run, own_weights = (str(self.model), None) if resume else self._start()
        outcome = train(
            run,
            data=data,
            data_format=data_format,
            weights=own_weights if weights is None else weights,
            pretrained=pretrained,
            epochs=epochs,
            batch=batch,
            memory=memory,
            imgsz=imgsz,
            device=device,
            workers=workers,
            threads=threads,
            seed=seed,
            patience=patience,
            freeze=freeze,
            name=name,
            assignments=assignments,
            output=output,
            resume=resume,
            overwrite=overwrite,
        )
        self.model, self._opened = outcome.folder, None
        return outcome

    def val(
        self,
        *,
        data: str | Path,
        split: str | None = None,
        data_format: str | None = None,
        imgsz: ImageSize | None = None,
        resize: str | None = None,
        conf: float | None = None,
        iou: float | None = None,
        max_det: int | None = None,
        device: str | None = None,
        threads: int | None = None,
        fast_decode: bool = False,
        threshold: float | None = None,
        false_alarm_rate: float = 0.1,
        predictions: Path | None = None,
        assignments: Sequence[str] = (),
    ) -> Report:
        """Measure on a split of a data set; `sanderling.commands.val.val` says what it raises."""
        from sanderling.commands.val import val

        return val(
            self.model,
            data=data,
            split=split,
            data_format=data_format,
            imgsz=imgsz,
            resize=resize,
            conf=conf,
            iou=iou,
            max_det=max_det,
            device=device,
            threads=threads,
            fast_decode=fast_decode,
            threshold=threshold,
            false_alarm_rate=false_alarm_rate,
            predictions=predictions,
            assignments=assignments,
        )

    @overload
    def predict(
        self,
        source: Any,
        *,
        stream: Literal[False] = ...,
        save: bool = ...,
        output: str | Path | None = ...,
        imgsz: ImageSize | None = ...,
        resize: str | None = ...,
        conf: float = ...,
        iou: float | None = ...,
        max_det: int | None = ...,
        classes: Sequence[str | int] | None = ...,
        device: str | None = ...,
        threads: int | None = ...,
        fast_decode: bool = ...,
        assignments: Sequence[str] = ...,
    ) -> list[Detections]: ...

    @overload
    def predict(
        self,
        source: Any,
        *,
        stream: Literal[True],
        save: bool = ...,
        output: str | Path | None = ...,
        imgsz: ImageSize | None = ...,
        resize: str | None = ...,
        conf: float = ...,
        iou: float | None = ...,
        max_det: int | None = ...,
        classes: Sequence[str | int] | None = ...,
        device: str | None = ...,
        threads: int | None = ...,
        fast_decode: bool = ...,
        assignments: Sequence[str] = ...,
    ) -> Iterator[Detections]: ...

    def predict(
        self,
        source: Any,
        *,
        stream: bool = False,
        save: bool = False,
        output: str | Path | None = None,
        imgsz: ImageSize | None = None,
        resize: str | None = None,
        conf: float = DEFAULT_SCORE,
        iou: float | None = None,
        max_det: int | None = None,
        classes: Sequence[str | int] | None = None,
        device: str | None = None,
        threads: int | None = None,
        fast_decode: bool = False,
        assignments: Sequence[str] = (),
    ) -> list[Detections] | Iterator[Detections]:
        """Detect in pictures. Calls with equal settings use the model that the first of them opened.

        Args:
            source: a path, folder, glob, video, camera number or address, a uint8 HxWx3 RGB array, a PIL picture, the
                bytes of a file, or a list of such.
            stream: give a generator, for videos and cameras; pictures are read as it runs.
            save: write drawn pictures, `predictions.json` and `predictions.csv`; nothing is written otherwise.
            output: the folder for them (and then they are written); `runs/predict/NAME` by default.
            imgsz: side of the network input, or height and width.
            resize: `letterbox` or `stretch`; the model's own by default.
            conf: lowest score.
            iou: overlap above which the better box stays alone; the model's own by default.
            max_det: most detections a picture; the model's own by default.
            classes: only these, by name or number.
            device: where a weights file runs.
            threads: threads on the processor.
            fast_decode: decode large JPEG files at a reduced scale: quicker, not quite the same pixels.
            assignments: `key=value` for anything else in the model's rules: `postprocess.suppression.kind=matrix`.

        Returns:
            One `Detections` per picture or frame, in the order of the sources.

        Raises:
            UsageError: a value that does not fit, or an unknown class.
            ModelError: the model cannot be used.
            DataError: a source does not exist, or not a single picture could be read.
        """
        from sanderling.commands.open_detector import open_detector
        from sanderling.commands.predict import predict_with

        size = imgsz if imgsz is None or isinstance(imgsz, int) else tuple(imgsz)
        settings = (self.model, size, resize, conf, iou, max_det, device, threads, *assignments)
        if self._opened is None or self._opened[0] != settings:
            opened = open_detector(
                self.model,
                imgsz=size,
                resize=resize,
                conf=conf,
                iou=iou,
                max_det=max_det,
                device=device,
                threads=threads,
                assignments=assignments,
            )
            self._opened = settings, opened
        found = predict_with(
            self._opened[1],
            source if isinstance(source, list | tuple) else [source],
            model=str(self.model),
            output=output,
            save=save or output is not None,
            classes=classes,
            fast_decode=fast_decode,
        )
        return found if stream else list(found)

    def export(
        self,
        *,
        target: str = "onnx",
        output: str | Path | None = None,
        imgsz: ImageSize | None = None,
        layout: str = "native",
        resize: str | None = None,
        dynamic: bool = False,
        input_dtype: str = "float32",
        pictures: str | Path | None = None,
        threads: int | None = None,
    ) -> ExportOutcome:
        """Write an artefact that runs without torch; `sanderling.commands.export.export` says what it raises."""
        from sanderling.commands.export import export

        return export(
            self.model,
            target=target,
            output=output,
            imgsz=imgsz,
            layout=layout,
            resize=resize,
            dynamic=dynamic,
            input_dtype=input_dtype,
            pictures=pictures,
            threads=threads,
        )

    def _start(self) -> tuple[str, Path | None]:
        """The recipe to train by, and the weights that this detector has already."""
        from sanderling.commands.open_detector import find_weights, require_torch

        require_torch("training")
        from sanderling.models.weights.safetensors_file import read_config
        from sanderling.recipes import named

        if str(self.model) in named.names():
            return str(self.model), None
        weights = find_weights(self.model)
        return read_config(weights).name, weights
