"""The generalisation gap after each epoch."""

from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from resemb_gnn.data import Examples
from resemb_gnn.errors import InputError
from resemb_gnn.training import Epoch, Metrics, evaluate


@dataclass(frozen=True)
class Gap:
    """Metrics on training and on other examples after an epoch.

    Both gaps are positive where the training examples are predicted better than the others.

    Args:
        epoch: number of the epoch, from 1.
        train: metrics of the training examples.
        test: metrics of the examples that were not trained on.
    """

    epoch: int
    train: Metrics
    test: Metrics

    @property
    def logloss(self) -> float:
        """Log loss of the test less that of the training examples, in nats."""
        return self.test.logloss - self.train.logloss

    @property
    def auc(self) -> float:
        """AUC of the training less that of the test examples."""
        return self.train.auc - self.test.auc


class GapCurve:
    """Measures the generalisation gap after each epoch of :func:`~resemb_gnn.fit`.

    ::

        curve = GapCurve(model, split.train_sample, split.test)
        rg.fit(model, split, on_epoch=curve)
        [gap.logloss for gap in curve.gaps]

    The gap of an early-stopped run is that of its best epoch: ``curve.gaps[best_epoch - 1]``.

    Args:
        model: the model that is trained.
        train: training examples drawn as the test examples were (``split.train_sample``).
        test: examples that are not trained on; ``None`` for the validation examples, whose
            metrics ``fit`` has at hand.
        max_history: as in ``fit``.

    Raises:
        InputError: if one of the sets is empty.
    """

    def __init__(
        self,
        model: nn.Module,
        train: Examples,
        test: Examples | None = None,
        max_history: int | None = 50,
    ) -> None:
        for name, examples in (("train", train), ("test", test)):
            if examples is not None and not len(examples):
                raise InputError(f"{name} holds no example to measure the gap on")
        self.model = model
        self.train = train
        self.test = test
        self.max_history = max_history
        self.gaps: list[Gap] = []

    def __call__(self, number: int, epoch: Epoch) -> None:
        self.train, train = self._evaluate(self.train)
        test = epoch.valid
        if self.test is not None:
            self.test, test = self._evaluate(self.test)
        before = [gap for gap in self.gaps if gap.epoch < number]  # one that was stopped comes anew
        self.gaps = [*before, Gap(number, train, test)]

    def state_dict(self) -> dict[str, Any]:
        """What was measured so far, for a checkpoint."""
        return {"gaps": [asdict(gap) for gap in self.gaps]}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Goes on from what was measured before."""
        self.gaps = [
            Gap(gap["epoch"], Metrics(**gap["train"]), Metrics(**gap["test"]))
            for gap in saved["gaps"]
        ]

    def _evaluate(self, examples: Examples) -> tuple[Examples, Metrics]:
        """The examples on the model's device, and their metrics."""
        examples = examples.to(next(self.model.parameters()).device)
        return examples, evaluate(self.model, examples, max_history=self.max_history)
