"""The settings of a single training run."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from resemb_gnn.errors import InputError
from resemb_gnn.settings.embedding import EmbeddingSettings, changed, embedding_name, refuse_unread
from resemb_gnn.settings.setting import setting
from resemb_gnn.settings.shared import TrainingSettings


@dataclass(frozen=True, kw_only=True)
class FitSettings(EmbeddingSettings, TrainingSettings):
    """Settings of :func:`~resemb_gnn.train`; ``resemb-gnn fit --help-all`` lists them.

    Raises:
        InputError: if a value is of another type, an unknown choice or out of range, or a setting
            is changed that the embedding does not read, ``threads`` goes with ``processes``, or
            rows are to be split and none held out.
    """

    embedding: str = setting(
        "mlp:held",
        "embedding to train: its shared part, and :KEPT, what an item keeps of its own",
        name_of=embedding_name,
        group="training",
    )
    processes: int = setting(
        1,
        "processes that share each step's examples, one thread (or GPU) each, with one's outcome",
        group="training",
        rare=True,
    )
    threads: int | None = setting(
        None,
        "threads of a single process (default: OMP_NUM_THREADS, or else one)",
        group="training",
        rare=True,
    )
    test: bool = setting(
        True,
        "hold rows out to validate and test; without (--no-test), every row trains for as many"
        " epochs as --epochs says, such as an earlier run chose",
        group="training",
        rare=True,
    )
    seed: int = setting(
        0, "seed of the start and of the order of the batches", lowest=0, group="training"
    )
    out: str = setting("model", "folder to save the model in", group="output")
    replace: bool = setting(False, "replace a model that stands in the folder", group="output")
    resume: bool = setting(False, "go on with the run that was stopped", group="output")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.refuse_unread(changed(self))
        for name in ("split", "valid_from", "test_from"):
            if not self.test and (given := getattr(self, name)) is not None:
                raise InputError(f"{name}={given}: without a test (--no-test) every row trains")
        if self.processes > 1 and self.threads not in (None, 1):
            raise InputError(
                f"threads={self.threads} goes with one process: of processes={self.processes} each"
                " computes on one"
            )

    def refuse_unread(self, given: Iterable[str]) -> None:
        refuse_unread(given, [self.embedding, *self.embedded.values()])

    def identity(self) -> dict[str, Any]:
        """The settings that decide what the model is: what a saved model keeps of them."""
        free = {"out", "replace", "resume", "quiet", "tensorboard"}
        return self.without(free | {"device", "processes", "threads", "cache"})
