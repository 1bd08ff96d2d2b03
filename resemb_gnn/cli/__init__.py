"""The command line."""

from resemb_gnn.cli.flags import add_settings
from resemb_gnn.cli.program import main

__all__ = ["add_settings", "main"]
