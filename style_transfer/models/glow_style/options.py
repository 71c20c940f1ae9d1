"""What `glow_style` is asked, and its generator."""

from style_transfer.spectrograms.options import SamplingOptions, SpectrogramGenerator

GENERATOR = SpectrogramGenerator("GlowStyle", SamplingOptions)
