"""Cases for tests/tools/fuzz.py: checkpoints, from the file to the state of a run."""

import functools
import hashlib
import io
import pickle
import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from resemb_gnn.training.optimizer import ModelAdam
from resemb_gnn.training.saver import Saver
from resemb_gnn.training.state import TrainingState
from tests.tools.fuzz_cases.cases import Case, Expected, Refused, damage, some_place

IDENTITY = {"lr": 0.1, "model": "two layers"}


class Hostile:
    """Ends the process on being unpickled."""

    def __reduce__(self) -> Any:
        return exit, (7,)


def run() -> TrainingState:
    """A run of a small table and a layer, before its first step."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 1))
    generator = torch.Generator().manual_seed(1)
    return TrainingState(model, lambda: ModelAdam(model, 0.1), generator, torch.device("cpu"))


@functools.cache
def written() -> list[tuple[bytes, Any]]:
    """The bytes of two checkpoints of one run, and the state in each."""
    found = []
    with tempfile.TemporaryDirectory() as place:
        state = run()
        saver = Saver(place, state, 60)
        saver.fingerprint = IDENTITY
        for _ in range(2):
            state.begin_epoch()
            state.step += 1
            state.model(torch.tensor([1, 2])).sum().backward()
            state.optimizer.step()
            saver.save()
            assert saver.checkpoints is not None
            found.append((saver.checkpoints.files()[0].read_bytes(), plain(state.state_dict())))
    return found


def plain(value: Any) -> Any:
    """A state that can be compared."""
    if isinstance(value, Tensor):
        return str(value.dtype), value.to_dense().tolist()
    if isinstance(value, dict):
        return {str(key): plain(part) for key, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, list | tuple) else value


def checkpoint(rng: random.Random, folder: Path) -> Case:
    """Two checkpoints: sound, damaged, or of sound digest and hostile contents."""
    shutil.rmtree(folder / "run", ignore_errors=True)
    (folder / "run").mkdir()
    (old, before), (new, after) = written()
    kind = rng.randrange(5)
    expected: Expected | Refused | None = Expected(after, valid=True)
    names = [hashlib.sha256(data).hexdigest() for data in (old, new)]
    if kind in (1, 2):  # the newest is damaged, or both are
        sound, sound_old = new, old
        new = damage(sound, rng)  # which leaves some as they are
        expected = Expected(after if new == sound else before, valid=True)
        if kind == 2:
            old = damage(sound_old, rng)
            if new != sound and old != sound_old:
                expected = Refused("every file is damaged")
    elif kind > 2:
        new = damage(new, rng) if kind == 3 else _changed(rng, new)
        names[1] = hashlib.sha256(new).hexdigest()
        expected = None
    for number, (name, data) in enumerate(zip(names, (old, new), strict=True), 1):
        (folder / "run" / f"checkpoint-{number:08d}.{name}.pt").write_bytes(data)

    def read() -> Any:
        state = run()
        Saver(folder / "run", state, 60).restore(lambda: IDENTITY, resume=True)
        return plain(state.state_dict())

    return Case(read, lambda: expected, str(folder / "run"))


def _changed(rng: random.Random, data: bytes) -> bytes:
    """Other contents: a part of another kind, or nothing of ours at all."""
    contents = torch.load(io.BytesIO(data), weights_only=True)
    odd: tuple[Any, ...] = (None, "x", -1, 2**70, float("nan"), [], {}, [1], True, b"x", (1, 2))
    odd += (
        torch.zeros(0),
        torch.zeros(2, 2),
        torch.full((5, 3), float("nan")),
        torch.ones(3).int(),
    )
    odd += (torch.zeros(2).to_sparse(), torch.ones(2, dtype=torch.complex64), Hostile())
    part, key = some_place(rng, contents, 0.2)
    if rng.random() < 0.2:
        del part[key]
    else:
        part[key] = rng.choice(odd)
    target = io.BytesIO()
    kind = rng.randrange(6)
    if kind == 0:
        return pickle.dumps(rng.choice((*odd[:11], Hostile())))
    if kind == 1:
        contents = rng.choice(odd)
    torch.save(contents, target, _use_new_zipfile_serialization=kind != 2)
    return target.getvalue()
