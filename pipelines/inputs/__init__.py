"""Batches for training from records, one file per kind of example."""
