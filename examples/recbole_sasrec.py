"""ResEmbedding in RecBole's SASRec: its table of items is replaced after the model is built."""

import tempfile
from pathlib import Path
from typing import cast

import polars as pl
import torch
from padding import Padded
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.model.sequential_recommender import SASRec
from recbole.trainer import Trainer
from recbole.utils import init_seed
from torch import Tensor

import resemb_gnn as rg

DIM = 16
SETTINGS = {
    "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
    "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "full"},
    "train_neg_sample_args": None,  # the loss is over all items
    "MAX_ITEM_LIST_LENGTH": 20,
    "hidden_size": DIM,
    "inner_size": 2 * DIM,
    "n_layers": 1,
    "metrics": ["Hit"],
    "valid_metric": "Hit@10",
    "topk": 10,
    "epochs": 8,
    "train_batch_size": 256,
    "learning_rate": 5e-3,
    "use_gpu": False,
    "show_progress": False,
}


class Items(Padded):
    """The item embedding as RecBole's models use it: called, and as a whole table."""

    @property
    def weight(self) -> Tensor:
        size = cast("int", self.embedding.num_embeddings)
        rows: Tensor = self(torch.arange(1 + size))
        return rows


def write_atomic_file(folder: Path) -> pl.DataFrame:
    """The log as RecBole reads it, ``shop/shop.inter``; its rows, oldest first."""
    log = rg.InterestDelayModel(num_users=200, num_items=100, num_interests=5).sample().positives()
    rows = pl.DataFrame(
        {
            "user_id:token": log.user_ids.gather(log.users.numpy()),
            "item_id:token": log.item_ids.gather(log.items.numpy()),
            "timestamp:float": log.times.numpy(),
        }
    )
    (folder / "shop").mkdir()
    rows.write_csv(folder / "shop" / "shop.inter", separator="\t")
    return rows


def swap(model: SASRec, rows: pl.DataFrame, tokens: list[str]) -> None:
    """Puts a Res-embedding in the place of the table, with RecBole's numbers of the items.

    ``rows`` are the training rows; the graph must not know what is tested on.
    """
    log = rg.BehaviorLog.from_frame(rows, "user_id:token", "item_id:token", "timestamp:float")
    graph = rg.covisit_graph(rg.extend_vocabulary(log, pl.Series(tokens)))
    model.item_embedding = Items(rg.ResEmbedding(graph, embedding_dim=DIM, num_centers=16))


def train(own: bool, folder: Path, rows: pl.DataFrame) -> float:
    """Hit rate at 10 of each user's last item, among all."""
    settings = SETTINGS | {"data_path": str(folder), "checkpoint_dir": str(folder)}
    config = Config(model="SASRec", dataset="shop", config_dict=settings)
    init_seed(config["seed"], config["reproducibility"])
    dataset = create_dataset(config)
    training, valid, test = data_preparation(config, dataset)
    model = SASRec(config, training.dataset)
    if not own:
        tokens = dataset.field2id_token["item_id"].tolist()[1:]  # the first pads
        last = pl.int_range(pl.len(), 0, -1).over("user_id:token")
        swap(model, rows.filter(last > 2), tokens)
    trainer = Trainer(config, model)  # after the swap: the optimiser has to know its parameters
    trainer.fit(training, valid, saved=False, show_progress=False)
    return float(trainer.evaluate(test, load_best_model=False)["hit@10"])


def main() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = write_atomic_file(folder)
        found = {
            "its own table": train(True, folder, rows),
            "ResEmbedding": train(False, folder, rows),
        }
    for name, value in found.items():
        print(f"RecBole's SASRec with {name}: hit rate at 10 of 100 items {value:.3f}")
    return found


if __name__ == "__main__":
    main()
