"""What is refused before any long work."""

from pathlib import Path

import pytest

from resemb_gnn import InputError
from resemb_gnn.pipeline.task import read_task
from resemb_gnn.settings import FitSettings
from tests.shop import shop_settings, write_shop


def test_logs_with_labels_have_their_own_negatives(tmp_path: Path) -> None:
    write_shop(tmp_path)
    settings = FitSettings(**shop_settings(tmp_path), train_negatives=2, quiet=True)
    with pytest.raises(InputError, match=r"train_negatives=2: .*log\.csv has labels"):
        read_task(settings, ["plain"])
