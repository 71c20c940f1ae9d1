"""Dampers that follow the pedal all the way, not only up and down."""

import dataclasses

import numpy as np

from style_transfer.piano_roll import SUSTAIN

LIFTING = (0.35, 0.65)
"""Positions of the sustain pedal at which dampers begin to leave the strings and have left them."""

MOVED = 0.05  # a pedal that was never between this and 1 - this is only up and down


@dataclasses.dataclass(frozen=True)
class Clock:
    """For how long dampers have touched strings whose keys are up: it stops while they are lifted.

    A damper that touches by half counts by half. What rings on when the pedal comes down again is
    caught by it.

    Attributes:
        secs: Times at which its pace changes, float64 `[times]`, the first is 0.
        ticks: What it shows then, seconds.

    Source: Lehtonen, Askenfelt and Välimäki, "Analysis of the part-pedaling effect in the piano",
    2009, for what a damper does that touches by half; where that is, is a design choice.
    """

    secs: np.ndarray
    ticks: np.ndarray

    def at(self, secs):
        """What it shows, float64; behind its last change it runs as time does."""
        return (np.interp(secs, self.secs, self.ticks)
                + np.maximum(np.asarray(secs, float) - self.secs[-1], 0))

    def when(self, ticks):
        """The first time at which it shows this."""
        first = np.searchsorted(self.ticks, ticks)  # of those alike: before it stood still
        after = np.clip(first, 1, len(self.ticks) - 1)
        before = after - 1
        span = self.ticks[after] - self.ticks[before]
        share = (ticks - self.ticks[before]) / np.where(span > 0, span, 1)
        inside = self.secs[before] + np.clip(share, 0, 1) * (self.secs[after] - self.secs[before])
        return np.where(ticks > self.ticks[-1], self.secs[-1] + ticks - self.ticks[-1], inside)


def clock(table):
    """The `Clock` of a `NoteTable`, or None if its pedal is only up and down."""
    times, positions = table.pedals[SUSTAIN]
    if not np.any((positions > MOVED) & (positions < 1 - MOVED)):
        return None
    low, high = LIFTING
    end = max(table.end_secs, float(times[-1]))
    secs = np.concatenate([[0.0], np.maximum(times, 0), [end]])
    touching = 1 - np.clip((np.concatenate([[0.0], positions]) - low) / (high - low), 0, 1)
    return Clock(secs, np.concatenate([[0.0], np.cumsum(np.diff(secs) * touching)]))


def followers(table):
    """Which notes end as the pedal has it: not those that are struck again, or held by sostenuto.

    Args:
        table: A `NoteTable`.

    Returns:
        bool `[num_notes]`.
    """
    order = np.argsort(table.key, kind="stable")
    key, onset = table.key[order], table.onset_secs[order]
    again = np.append(np.where(key[1:] == key[:-1], onset[1:], np.inf), np.inf)
    struck_again = np.empty(len(table), bool)
    struck_again[order] = again[:len(table)] <= table.damped_secs[order]
    return ~struck_again & (not np.any(table.pedals.sostenuto[1] > 0))
