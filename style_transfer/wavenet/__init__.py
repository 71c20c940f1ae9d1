"""Generation, losses and measures of WaveNet."""
