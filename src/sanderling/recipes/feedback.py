"""The feedback that a run's augmentation asks for, put between its training and its loader."""

from __future__ import annotations

from sanderling.data.loader import TrainingLoader
from sanderling.recipes.run import Run
from sanderling.training.activation_memory import ActivationMemory, MarkingLoader
from sanderling.training.feedback import Feedback
from sanderling.training.loop import Loader, Training
from sanderling.training.runtime import Runtime
from sanderling.training.stitching import Stitching


def with_feedback(run: Run, training: Training, loader: TrainingLoader, runtime: Runtime) -> Loader:
    """Give a freshly built training its feedback.

    Returns:
        The loader that the training is to learn from.

    Raises:
        DataError: pictures that are to be remembered have the same id.
    """
    feedback: list[Feedback] = []
    batches: Loader = loader
    if (stitcher := run.augment.stitcher) is not None:
        terms = run.task.objective.build().box_terms
        feedback.append(Stitching(stitcher, box_terms=terms, min_side=run.augment.min_side))
    if (cutout := run.augment.activation_cutout) is not None:
        memory = ActivationMemory(
            cutout, dataset=loader.dataset, backbone=training.task.network.backbone, device=runtime.device
        )
        feedback.append(memory)
        batches = MarkingLoader(loader, memory)
    training.feedback = tuple(feedback)
    return batches
