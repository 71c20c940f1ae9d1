"""Shipped configurations under other names, as somebody's own begin."""

import dataclasses

from style_transfer import configs


def _copy(name):
    return dataclasses.replace(configs.get(name), name=f"my_{name}")


PIANO, DRUMS, WAVENET, MELODIES, TRANSCRIBER = map(_copy, (
    "piano_ddsp", "drum_kit", "midi2wave_small", "cat-mel_2bar_small", "onsets_frames_small"))
