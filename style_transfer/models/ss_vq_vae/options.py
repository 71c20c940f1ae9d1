"""What `ss_vq_vae` is asked, and its generator."""

from style_transfer.spectrograms.options import SpectrogramGenerator

GENERATOR = SpectrogramGenerator("SSVQVAE")
