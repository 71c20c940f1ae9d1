"""Renderers: NoteSequences to audio on soundfonts, sampled pianos and procedural pianos."""

from style_transfer.pipelines.rendering.base import Renderer
from style_transfer.pipelines.rendering.specs import renderers_from

__all__ = ["Renderer", "renderers_from"]
