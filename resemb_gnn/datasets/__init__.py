"""Named data sets, each read into a :class:`~resemb_gnn.BehaviorLog`."""

from resemb_gnn.datasets.complete_journey import read_complete_journey
from resemb_gnn.datasets.interest_delay import InterestDelayModel
from resemb_gnn.datasets.sequence_file import read_sequence_file
from resemb_gnn.datasets.source import NAMED, DataSource, load_source

__all__ = [
    "NAMED",
    "DataSource",
    "InterestDelayModel",
    "load_source",
    "read_complete_journey",
    "read_sequence_file",
]
