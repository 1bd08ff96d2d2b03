"""ResEmbedding in the DIN of FuxiCTR: its table of items is replaced after the model is built."""

import sys
import tempfile
from collections.abc import Iterator

import torch
from fuxictr.features import FeatureMap
from model_zoo.LongCTR.DIN import DIN
from padding import Padded, padded
from torch import Tensor

import resemb_gnn as rg
from resemb_gnn.training import auc

DIM, WIDTH, LEARNING_RATE = 16, 20, 3e-3
Batch = tuple[dict[str, Tensor], dict[str, Tensor], Tensor]


def make_model(num_items: int) -> DIN:
    """The library's own model, with a table of items whose row 0 pads histories."""
    feature_map = FeatureMap("example", "")
    item = {"type": "categorical", "source": "item", "vocab_size": num_items + 1, "padding_idx": 0}
    feature_map.features = {"item": item}
    feature_map.labels = ["label"]
    feature_map.default_emb_dim = DIM
    with tempfile.TemporaryDirectory() as folder:  # asked for; nothing is written to it here
        model = DIN(
            feature_map,
            dnn_hidden_units=[32],
            attention_hidden_units=[16],
            learning_rate=LEARNING_RATE,
            embedding_dim=DIM,
            optimizer="adam",
            loss="binary_crossentropy",
            metrics=["AUC"],
            model_root=folder,
            verbose=0,
        )
    # What its fit() sets before the first epoch; an evaluation within the epoch never falls due.
    model._max_gradient_norm, model._eval_steps = 10.0, sys.maxsize
    model._total_steps, model._stop_training = 0, False
    return model


def swap(model: DIN, embedding: rg.ResEmbedding) -> None:
    """Puts the embedding in place of the table, and its parameters in the optimiser."""
    model.embedding_layer.embedding_layer.embedding_layers["item"] = Padded(embedding)
    model.compile("adam", "binary_crossentropy", LEARNING_RATE)


def batches(examples: rg.Examples, order: Tensor) -> Iterator[Batch]:
    """Batches as its loader makes them: histories with the target as their last column."""
    history, item, label = padded(examples, WIDTH)
    for index in order.split(256):
        items = torch.cat([history[index], item[index, None]], dim=1).flatten()
        yield {"label": label[index]}, {"item": items}, (history[index] > 0).float()


def train(model: DIN, split: rg.Split, epochs: int = 3) -> float:
    """Test AUC after a few epochs of the library's own training loop."""
    for _ in range(epochs):
        model.train_epoch(batches(split.train, torch.randperm(len(split.train))))
    scores = model.predict(batches(split.test, torch.arange(len(split.test))))
    return auc(torch.from_numpy(scores), split.test.label)


def main() -> dict[str, float]:
    torch.manual_seed(0)
    log = rg.InterestDelayModel(num_users=300, num_items=120, num_interests=6).sample()
    split = log.split(by="time")
    own, ours = make_model(log.num_items), make_model(log.num_items)
    graph = rg.covisit_graph(split.history)
    swap(ours, rg.ResEmbedding(graph, embedding_dim=DIM, num_centers=16))
    found = {"its own table": train(own, split), "ResEmbedding": train(ours, split)}
    for name, value in found.items():
        print(f"FuxiCTR's DIN with {name}: test AUC {value:.3f}")
    return found


if __name__ == "__main__":
    main()
