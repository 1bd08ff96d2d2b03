"""Training with early stopping."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from resemb_gnn.data import Split
from resemb_gnn.errors import InputError
from resemb_gnn.io.paths import expanded
from resemb_gnn.settings import TrainingSettings
from resemb_gnn.settings.setting import check_values
from resemb_gnn.settings.shared import DRAWN_NEGATIVES, RATE, RATE_OF_DRAWN
from resemb_gnn.training.checks import check_device, check_vocabulary
from resemb_gnn.training.distributed import join_processes, own_device
from resemb_gnn.training.helpers import ONE_COMPILES, check_processes, helpers
from resemb_gnn.training.result import FitResult
from resemb_gnn.training.run import Run
from resemb_gnn.training.state import Epoch

SPARSE_ROWS = 100_000  # from about here dense Adam costs more than Adam on the batch's rows


def fit(
    model: nn.Module,
    split: Split,
    *,
    epochs: int = TrainingSettings.epochs,
    batch_size: int = TrainingSettings.batch_size,
    lr: float | None = TrainingSettings.lr,
    patience: int = TrainingSettings.patience,
    max_history: int | None = TrainingSettings.max_history,
    train_negatives: int | None = TrainingSettings.train_negatives,
    ema_decay: float | None = TrainingSettings.ema_decay,
    sparse_rows: int | None = SPARSE_ROWS,
    compile: bool = TrainingSettings.compile,
    precision: str = TrainingSettings.precision,
    seed: int = 0,
    device: torch.device | str = "cpu",
    progress: bool = True,
    on_epoch: Callable[[int, Epoch], None] | None = None,
    checkpoints: str | Path | None = None,
    resume: bool = False,
    checkpoint_seconds: float = 60.0,
    processes: int = 1,
) -> FitResult:
    """Trains a model by Adam on the click loss, stopping early on validation AUC.

    The seed governs the order of the batches and the global generators (Python's is put back at
    the end); to have the same start too, call ``torch.manual_seed`` before building the model
    (``compare`` does).

    With ``processes``, so many processes train one model together, with the outcome of one but for
    rounding; so do those of ``torchrun``, or of a process group that is there, on batches of all
    their examples (docs/distributed.md).

    Args:
        model: maps a :class:`~resemb_gnn.data.Batch` to logits ``[batch_size]``; its
            ``penalty(batch)``, if there is one, is added to the loss.
        split: training, validation and test examples. Without any to validate (a split by
            ``"none"``), all epochs are made and the last is kept.
        epochs: at most so many passes over the training examples, in each stage: a residual that
            is staged (:class:`~resemb_gnn.nn.ResidualOptions`) begins a second one, from the best
            weights of the first, when the first has ended.
        batch_size: examples a step; of each process if ``torchrun`` has started several and
            ``processes`` is 1.
        lr: learning rate of Adam; ``None``: .004 where negatives are drawn anew, else .001.
        patience: stop after so many epochs without a better validation AUC.
        max_history: only so many most recent behaviours of a history are used.
        train_negatives: so many negatives a positive, drawn anew each epoch (seeded by ``seed``),
            in the place of those of the split. A step then holds ``batch_size / 2`` positives, each
            with its negatives: with one it is as large as without this, and with several there are
            as many steps, of more examples; the model's logit stays that of one to one, as
            validation and test have it. 0: the split's own, drawn once. ``None``: four, and of a
            log with labels, whose rows are the examples, none.
        ema_decay: validate, test and keep an average of the weights over the steps with this decay
            a step (:class:`~resemb_gnn.training.averaged_weights.AveragedWeights`); training itself
            is the same. 0 or ``None``: the weights at the end of an epoch.
        sparse_rows: embedding tables of at least so many rows are trained by Adam on the rows of
            the batch alone (:class:`~resemb_gnn.training.ModelAdam`); ``None`` for no table.
        compile: train with ``model.compile()``: about a fifth less time a step on a CPU, for ten
            seconds at the start. Needs a C++ compiler.
        precision: ``"float32"``, or ``"bfloat16"`` for a network that is trained under
            ``torch.autocast``; embeddings, normalisation and loss stay in float32, and so does
            evaluation.
        seed: seed of the run.
        device: where to train.
        progress: show a progress bar.
        on_epoch: called after each epoch with its number (from 1) and what it ended with. What it
            gathers is part of the checkpoints if it has ``state_dict`` and ``load_state_dict``,
            as :class:`~resemb_gnn.theory.GapCurve` has.
        checkpoints: folder in which to save the run after each epoch, every
            ``checkpoint_seconds`` within it, and when SIGINT or SIGTERM comes (which then raise
            ``KeyboardInterrupt``); the last two are kept. ``None`` for none.
        resume: go on from the newest sound checkpoint in the folder, with the weights that the
            uninterrupted run would have: the same to the bit on a CPU with as many threads. Without
            a checkpoint, start from the beginning.
        checkpoint_seconds: time between checkpoints within an epoch.
        processes: share each batch among so many processes of one thread each, or of one GPU each.
            This one starts the others, which takes some seconds, and ends them with the run; a
            script must call ``fit`` under ``if __name__ == "__main__":`` then.

    Raises:
        InputError: if a setting is out of range, the device is not there, the embedding has
            another number of items than the log, the folder holds checkpoints of a run of other
            settings or data (or of this one, without ``resume``), or the model cannot be sent to
            another process.
        TrainingError: if memory or disk is exhausted, or one of ``processes`` dies (an
            ``InputError``, too).
        NotFiniteError: if a loss or a weight is not finite (a ``TrainingError`` and a
            ``FloatingPointError``); with ``checkpoints``, the batch is saved beside them.

    Examples:
        >>> import torch
        >>> import resemb_gnn as rg
        >>> split = rg.InterestDelayModel(num_users=100, num_items=40).sample().split(by="last")
        >>> model = rg.DIN(torch.nn.Embedding(40, 8))
        >>> result = rg.fit(model, split, epochs=2, progress=False)
        >>> len(result.curve), 0 < result.test.auc < 1
        (2, True)
    """
    check_values(
        TrainingSettings,
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        patience=patience,
        max_history=max_history,
        train_negatives=train_negatives,
        ema_decay=ema_decay,
        precision=precision,
    )
    if resume and checkpoints is None:
        raise InputError("resume needs checkpoints, the folder to go on from")
    if not checkpoint_seconds >= 0:
        raise InputError(f"checkpoint_seconds must be at least 0, not {checkpoint_seconds}")
    check_vocabulary(model, split.history)
    if len(split.valid) and split.valid.label.unique().numel() < 2:
        raise InputError(
            "validation holds examples of one label only: no AUC to choose the epoch by"
        )
    device = check_device(device)
    check_processes(processes, device, compile)
    started = join_processes(own_device(device))[1]
    if processes not in (1, started) and started > 1:
        raise InputError(f"processes={processes}, but {started} have been started already")
    if compile and started > 1:
        raise InputError(ONE_COMPILES)
    train_negatives, lr = usual(split, train_negatives, lr)
    run = Run(
        epochs=epochs,
        batch_size=batch_size * started if processes == 1 else batch_size,
        lr=lr,
        patience=patience,
        max_history=max_history,
        train_negatives=train_negatives or None,
        ema_decay=ema_decay or None,
        sparse_rows=sparse_rows,
        compile=compile,
        precision=precision,
        seed=seed,
        device=str(device),
        checkpoints=None if checkpoints is None else expanded(checkpoints),
        resume=resume,
        checkpoint_seconds=checkpoint_seconds,
    )
    if processes in (1, started):
        return run.fit(model, split, on_epoch, progress)
    with helpers(processes - 1, run, model, split):
        return run.fit(model, split, on_epoch, progress)


def usual(split: Split, train_negatives: int | None, lr: float | None) -> tuple[int | None, float]:
    """``train_negatives`` and ``lr``, and where they are ``None`` what suits the split: the rates
    were chosen on validation (benchmarks/accuracy/contest). Of a log with labels, no negatives.
    """
    if train_negatives is None and split.sampler is not None:
        train_negatives = DRAWN_NEGATIVES
    if lr is None:
        lr = RATE_OF_DRAWN if train_negatives else RATE
    return train_negatives, lr
