"""Data sets of symbolic models: Drums RNN and MusicVAE."""
