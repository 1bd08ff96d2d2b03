"""Named data sets, each read into a :class:`~resemb_gnn.BehaviorLog`."""

from resemb_gnn.datasets.amazon_electronics_x1 import AmazonElectronicsX1
from resemb_gnn.datasets.amazon_reviews import AmazonReviews
from resemb_gnn.datasets.behavior_dataset import BehaviorDataset
from resemb_gnn.datasets.complete_journey import read_complete_journey
from resemb_gnn.datasets.data_source import DataSource
from resemb_gnn.datasets.interest_delay import InterestDelayModel
from resemb_gnn.datasets.kuairand import KuaiRandPure
from resemb_gnn.datasets.kuairand_trimmed import KuaiRandPureTrimmed
from resemb_gnn.datasets.pyg import read_movielens, read_taobao
from resemb_gnn.datasets.s3rec import S3Rec
from resemb_gnn.datasets.sequence_file import read_sequence_file
from resemb_gnn.datasets.source import load_source
from resemb_gnn.settings.names import NAMED, PLACED

__all__ = [
    "NAMED",
    "PLACED",
    "AmazonElectronicsX1",
    "AmazonReviews",
    "BehaviorDataset",
    "DataSource",
    "InterestDelayModel",
    "KuaiRandPure",
    "KuaiRandPureTrimmed",
    "S3Rec",
    "load_source",
    "read_complete_journey",
    "read_movielens",
    "read_sequence_file",
    "read_taobao",
]
