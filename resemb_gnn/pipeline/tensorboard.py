"""Training curves for TensorBoard, on request."""

from pathlib import Path
from typing import Any

from resemb_gnn.io.outputs import shared_folder
from resemb_gnn.optional import require
from resemb_gnn.theory import GapCurve
from resemb_gnn.training import Epoch


class TensorBoard:
    """Writes each epoch's loss, validation metrics and seconds; to be handed to
    :func:`~resemb_gnn.fit` as ``on_epoch``.

    Args:
        folder: where to.
        gaps: called first; its gap is written too, and it is what checkpoints keep.

    Raises:
        InputError: if nothing can be written there.
        ImportError: if ``tensorboard`` is not installed.
    """

    def __init__(self, folder: str | Path, gaps: GapCurve | None = None) -> None:
        require("tensorboard", "the log of the training", "tensorboard")
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(shared_folder(folder)))
        self.gaps = gaps

    def __call__(self, number: int, epoch: Epoch) -> None:
        figures = {
            "train/loss": epoch.train_loss,
            "train/seconds": epoch.seconds,
            "valid/auc": epoch.valid.auc,
            "valid/gauc": epoch.valid.gauc,
            "valid/logloss": epoch.valid.logloss,
        }
        if self.gaps is not None:
            self.gaps(number, epoch)
            figures["valid/gap"] = self.gaps.gaps[-1].logloss
        for name, value in figures.items():
            self.writer.add_scalar(name, value, number)
        self.writer.flush()

    def state_dict(self) -> dict[str, Any]:
        """What the gaps' curve holds, for a checkpoint."""
        return {} if self.gaps is None else self.gaps.state_dict()

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Goes on from what was measured before."""
        if self.gaps is not None:
            self.gaps.load_state_dict(saved)
