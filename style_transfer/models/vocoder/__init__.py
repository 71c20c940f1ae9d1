"""A vocoder: log-mel spectrograms to audio."""
