"""The settings of a single training run."""

from dataclasses import dataclass
from typing import Any

from resemb_gnn.pipeline.arm_settings import ArmSettings
from resemb_gnn.pipeline.arms import EMBEDDINGS
from resemb_gnn.pipeline.flag import flag
from resemb_gnn.pipeline.shared_settings import TrainingSettings, without


@dataclass(frozen=True, kw_only=True)
class FitSettings(ArmSettings, TrainingSettings):
    """Settings of :func:`~resemb_gnn.train`; ``resemb-gnn fit --help`` lists them.

    Raises:
        InputError: if a choice is unknown or a number out of range.
    """

    embedding: str = flag("gcn", "embedding to train", EMBEDDINGS)
    seed: int = flag(0, "seed of the start and of the order of the batches", lowest=0)
    out: str = flag("model", "folder to save the model in")
    replace: bool = flag(False, "replace a model that stands in the folder")
    resume: bool = flag(False, "go on with the run that was stopped")

    def identity(self) -> dict[str, Any]:
        """The settings that decide what the model is: what a saved model keeps of them."""
        return without(self, {"out", "replace", "resume", "quiet", "tensorboard", "device"})
