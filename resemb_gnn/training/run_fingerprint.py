"""What a run is of: what must be the same for a checkpoint to go on from."""

from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import nn

from resemb_gnn.data import Split
from resemb_gnn.data.feature_rows import table_digest
from resemb_gnn.errors import InputError, differences
from resemb_gnn.io.digests import tensor_digest
from resemb_gnn.training.optimizer import ModelAdam

_SHOWN = 8


def run_fingerprint(
    model: nn.Module, optimizer: ModelAdam, split: Split, settings: dict[str, Any]
) -> dict[str, Any]:
    """Settings of the training, the optimisers and every module, shapes of the parameters, and
    digests of the data and of what the model holds besides its weights (graphs, features).
    """
    found = settings | {"threads": torch.get_num_threads()}
    for name, module in model.named_modules():
        place = f"model.{name}" if name else "model"
        found[place] = type(module).__name__
        found |= {
            f"{place}.{key}": _plain(value)
            for key, value in vars(module).items()
            if not key.startswith("_") and key != "training" and _is_setting(value)
        }
    for name, parameter in model.named_parameters():
        frozen = "" if parameter.requires_grad else ", frozen"
        found[f"model.{name}"] = f"{list(parameter.shape)}{frozen}"
    for number, part in enumerate(optimizer.optimizers):
        for at, group in enumerate(part.param_groups):
            found |= {
                f"optimizer {number}, group {at}, {key}": _plain(value)
                for key, value in group.items()
                if key != "params"
            }
    saved = model.state_dict().keys()
    # Of tables of features the weights hold a digest alone.
    kept = [
        value
        for name, value in model.named_buffers()
        if name not in saved or name.endswith("digest")
    ]
    found["graph and features"] = tensor_digest(*kept)
    history = split.history
    found["data: history"] = tensor_digest(history.items, history.ptr, history.times)
    for name in ("train", "valid", "test"):
        part = getattr(split, name)
        parts = {key: value for key, value in vars(part).items() if key != "context"}
        found[f"data: {name} examples"] = tensor_digest(*parts.values())
        if part.context is not None:
            found[f"data: {name} context"] = table_digest(part.context)
    return found


def refuse_another_run(place: object, saved: dict[str, Any], own: dict[str, Any]) -> None:
    """Refuses to go on from the checkpoint of another run.

    Raises:
        InputError: with the name of what differs, and both values.
    """
    found = differences(saved, own)
    if found:
        more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise InputError(
            f"{place} holds checkpoints of another run: {'; '.join(found[:_SHOWN])}{more}"
        )


def _is_setting(value: object) -> bool:
    if isinstance(value, tuple):
        return all(_is_setting(part) for part in value)
    if is_dataclass(value) and not isinstance(value, type):
        return all(_is_setting(getattr(value, spec.name)) for spec in fields(value))
    return value is None or isinstance(value, str | int | float | bool)


def _plain(value: Any) -> Any:
    """A value that a checkpoint can hold."""
    return value if value is None or isinstance(value, str | int | float) else repr(value)
