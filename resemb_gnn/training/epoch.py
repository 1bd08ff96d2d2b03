"""An epoch of training, from its first batch or from where it was stopped."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from resemb_gnn.data import Examples
from resemb_gnn.io.streams import display, progress_bar
from resemb_gnn.training.checks import suited, user_fold_of
from resemb_gnn.training.distributed import balanced, own_part
from resemb_gnn.training.guards import Interrupts
from resemb_gnn.training.saver import Saver
from resemb_gnn.training.step import shared_step, training_step


@dataclass(frozen=True)
class EpochLoop:
    """What each epoch of a run is made with.

    Args:
        model: the model.
        examples: the training examples of an epoch by its number, on the model's device.
        saver: of the run's state, which tells what of the epoch is left.
        batch_size: examples a step, of all processes together; negatives that share their
            positive's history are not counted.
        max_history: only so many most recent behaviours of a history are used.
        precision: as :func:`~resemb_gnn.fit` has it.
        progress: show a progress bar.
        shared: whether several processes share each batch.
    """

    model: nn.Module
    examples: Callable[[int], Examples]
    saver: Saver
    batch_size: int
    max_history: int | None
    precision: str
    progress: bool
    shared: bool

    def run(self, interrupts: Interrupts) -> None:
        """Trains on what is left of the epoch that the state is in."""
        state = self.saver.state
        self.model.train()
        user_fold = user_fold_of(self.model)
        started = time.perf_counter()
        with interrupts.held():
            state.begin_epoch()
            train = self.examples(state.number)
            plan = train.plan(self.batch_size, state.generator, user_fold)
        # With several negatives a positive there are more than in validation and test: the model
        # learns the logit of one to one (prior correction; King and Zeng, "Logistic Regression in
        # Rare Events Data", Political Analysis 2001).
        how = self.precision, -math.log(max(1, train.candidates - 1))
        options = {
            "total": len(train) * train.candidates,
            "initial": sum(index.numel() for index, _ in plan[: state.step]) * train.candidates,
            "desc": f"epoch {state.number}",
            "unit": "ex",
            "unit_scale": True,
        }
        bar = display().bar(**options) if self.progress else progress_bar(disable=True)
        started -= state.seconds
        with bar:
            for index, fold in plan[state.step :]:
                with interrupts.held():
                    cut = train.batch(index, self.max_history, fold)
                    batch = suited(self.model, cut)
                    if self.shared:
                        own = own_part(balanced(index, cut.ptr.diff()))
                        part = None
                        if own is not None:
                            part = suited(self.model, train.batch(own, self.max_history, fold))
                        loss = shared_step(self.model, part, batch, state.optimizer, *how)
                    else:
                        loss = training_step(self.model, batch, state.optimizer, *how)
                    state.end_step(loss * len(batch))
                    state.seconds = time.perf_counter() - started
                    place = f"step {state.step} of epoch {state.number}"
                    self.saver.guard.see(batch, loss, place)
                    self.saver.save_when_due()
                bar.update(len(batch))
                if self.progress and state.step % 50 == 1:
                    bar.set_postfix(loss=f"{loss.item():.4f}", refresh=False)
        self.saver.guard.check()
        state.seconds = time.perf_counter() - started
