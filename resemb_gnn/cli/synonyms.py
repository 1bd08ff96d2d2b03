"""What other programs call our settings and commands: whoever types such a name is told ours."""

from collections.abc import Iterable

from resemb_gnn.errors import did_you_mean

# By our name, words that mean it elsewhere; where several of ours fit, the first that is known.
SETTINGS = {
    "data": "csv data-dir data-path dataset file input log path train-data",
    "user": "user-col user-column user-id uid",
    "item": "iid item-col item-column product",
    "item_id": "id item",
    "time": "date time-col time-column timestamp ts",
    "category": "cat genre item-category",
    "label": "click clicked label-col label-column rating target y",
    "items": "item-file item-info item-table",
    "users": "user-file user-info user-table",
    "context": "context-features feature features row-features",
    "context_values": "context",
    "split": "eval-split split-by",
    "embedding": "emb encoder",
    "embeddings": "arms embedding emb encoder encoders",
    "model": "arch backbone checkpoint ctr-model model-dir model-path network",
    "epochs": "iterations max-epochs n-epochs num-epochs",
    "lr": "eta learning-rate step-size",
    "batch_size": "batch bs train-batch-size",
    "patience": "early-stop early-stopping stopping-step",
    "embedding_dim": "dim embed-dim embedding-size emb-dim emb-size factors hidden-size latent-dim",
    "num_centers": "centers centres clusters n-clusters num-centres num-clusters",
    "temperature": "tau",
    "residual_penalty": "lambda penalty reg regularization residual-l2",
    "l2": "l2-reg wd weight-decay",
    "num_layers": "layers n-layers",
    "train_negatives": "neg-ratio neg-samples negative-samples num-neg num-negatives",
    "max_history": "history-length max-len max-seq-length seq-len",
    "window": "radius window-size",
    "top_k": "k max-neighbors max-neighbours neighbors neighbours topk",
    "k": "n num top top-k topk",
    "device": "accelerator cuda gpu gpu-id",
    "seed": "random-seed random-state rng seeds",
    "seeds": "n-seeds num-seeds random-seed repeats runs seed",
    "jobs": "j n-jobs num-workers parallel workers",
    "threads": "n-threads num-threads",
    "processes": "gpus nproc world-size",
    "ranking": "rank ranking-metrics",
    "tensorboard": "log-dir logdir tb",
    "out": "dest folder o out-dir output output-dir save save-dir save-to",
    "replace": "f force overwrite",
    "resume": "continue restart",
    "quiet": "no-progress q silent",
    "config": "conf settings settings-file yaml",
}
COMMANDS = {
    "fit": "learn train",
    "evaluate": "eval test validate",
    "predict": "infer score",
    "recommend": "rank top topk",
    "update": "continue extend refresh retrain",
    "similar": "nearest neighbors neighbours",
    "export": "deploy save serve",
    "compare": "ablation benchmark experiment",
    "graph": "covisit covisits",
}


def nearest_setting(name: str, known: Iterable[str]) -> str:
    """``"; did you mean NAME?"`` with the setting that is meant, or nothing.

    Args:
        name: what was written, as a flag or with underscores.
        known: the settings that there are, written likewise.
    """
    return _nearest(name, known, SETTINGS)


def nearest_command(name: str, known: Iterable[str]) -> str:
    """The same of a command."""
    return _nearest(name, known, COMMANDS)


def _nearest(name: str, known: Iterable[str], table: dict[str, str]) -> str:
    known = list(known)
    meant = [ours for ours, words in table.items() if _bare(name) in words.split()]
    found = (one for ours in meant for one in known if _bare(one) == _bare(ours))
    first = next(found, None)
    return did_you_mean(name, known) if first is None else f"; did you mean {first}?"


def _bare(name: str) -> str:
    return name.lstrip("-").replace("_", "-").lower()
