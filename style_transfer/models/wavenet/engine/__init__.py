"""Cached generation: one step of a WaveNet after the other, compiled."""
