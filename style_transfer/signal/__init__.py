"""Spectrograms, mel filters and phase recovery."""
