"""Renderers: NoteSequences to audio on soundfonts, sampled pianos and procedural pianos."""

from pipelines.rendering.base import Renderer
from pipelines.rendering.specs import renderers_from

__all__ = ["Renderer", "renderers_from"]
