import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

import resemb_gnn as rg
from resemb_gnn.errors import InputError
from resemb_gnn.theory import GapCurve


def test_gap_of_each_epoch(log):
    split = log.split(by="last")
    torch.manual_seed(0)
    model = rg.DIN(torch.nn.Embedding(log.num_items, 8), hidden=(16,))
    curve = GapCurve(model, split.train_sample, split.test)
    want = []

    def on_epoch(number: int, epoch: rg.training.Epoch) -> None:
        curve(number, epoch)
        pairs = []
        for examples in (split.train_sample, split.test):
            logit, label = rg.predict(model, examples).double().numpy(), examples.label.numpy()
            loss = np.logaddexp(0, np.where(label > 0, -logit, logit)).mean()
            pairs.append((loss, roc_auc_score(label, logit)))
        (train_loss, train_auc), (test_loss, test_auc) = pairs
        want.append((number, test_loss - train_loss, train_auc - test_auc))

    options = {"epochs": 25, "patience": 25, "lr": 0.02, "train_negatives": 0, "ema_decay": 0}
    result = rg.fit(model, split, progress=False, on_epoch=on_epoch, **options)
    got = [(gap.epoch, gap.logloss, gap.auc) for gap in curve.gaps]
    assert len(got) == 25
    np.testing.assert_allclose(got, want, atol=1e-5, rtol=1e-4)
    # A table that is trained for long on 60 users learns them by heart.
    assert curve.gaps[-1].logloss > curve.gaps[0].logloss + 0.05
    assert curve.gaps[-1].auc > 0.05
    assert curve.gaps[result.best_epoch - 1].logloss == pytest.approx(result.gap, abs=1e-6)


def test_without_other_examples_the_gap_is_that_of_validation(log):
    split = log.split(by="last")
    curves = []
    for examples in (None, split.valid):
        torch.manual_seed(0)
        model = rg.DIN(torch.nn.Embedding(log.num_items, 8))
        curves.append(GapCurve(model, split.train_sample, examples))
        rg.fit(model, split, epochs=2, progress=False, on_epoch=curves[-1])
    assert curves[0].gaps == curves[1].gaps
    assert len(curves[0].gaps) == 2


def test_no_examples_no_gap(log):
    split = log.split(by="last")
    none = split.test[torch.empty(0, dtype=torch.long)]
    with pytest.raises(InputError, match="test holds no example"):
        GapCurve(rg.DIN(torch.nn.Embedding(log.num_items, 4)), split.train_sample, none)
