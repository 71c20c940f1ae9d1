"""What one recording plays, in the timbre of another: a self-supervised VQ-VAE."""
