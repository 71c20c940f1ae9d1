"""Data sets: reading the layouts they come in, splitting them, and making example records."""

from style_transfer.pipelines.datasets.readers import LAYOUTS, Listing, Pair, find_pairs
from style_transfer.pipelines.datasets.splits import SplitPlan, split_pairs

__all__ = ["LAYOUTS", "Listing", "Pair", "SplitPlan", "find_pairs", "split_pairs"]
