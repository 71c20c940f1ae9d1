"""Symbolic models' shared parts: notes as sequences of classes, losses, scores and files."""
