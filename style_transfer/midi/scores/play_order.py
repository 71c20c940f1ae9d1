"""In which order the measures of a score are played."""

import dataclasses

from style_transfer.midi.limits import UnreadableFileError

MAX_MEASURES = 100_000
_FOLLOWED, _IN_CODA = 1, 2  # what became of da capo or dal segno


@dataclasses.dataclass
class Signs:
    """What stands at a measure.

    Attributes:
        forward: A repeat begins with it.
        times: How often what a repeat at its end repeats is played; 0 for no repeat.
        endings: On which turns it is played, as an ending; empty for any.
        segno: A sign of this name stands at its beginning; and so on for the rest.
    """

    forward: bool = False
    times: int = 0
    endings: frozenset = frozenset()
    segno: str = ""
    coda: str = ""
    to_coda: str = ""
    dal_segno: str = ""
    da_capo: bool = False
    fine: bool = False


def play_order(measures):
    """Indices of measures in the order of playing.

    Repeats go back to the last sign that begins one, the last repeat's end, or the beginning. An
    ending is played on its own turns. Da capo and dal segno are followed once, after which repeats
    are passed over, the last ending is taken, and *fine* and *to coda* count.

    Args:
        measures: List of `Signs`.

    Raises:
        UnreadableFileError: More than `MAX_MEASURES` would be played.
    """
    last_turns = _last_turns(measures)
    order, position, start, turn, jumped = [], 0, 0, 1, 0
    while position < len(measures):
        if len(order) >= MAX_MEASURES:
            raise UnreadableFileError("too many measures", f"repeats make more than {MAX_MEASURES}")
        here, last_turn = measures[position], last_turns[position]
        if here.forward and position != start:
            start, turn = position, 1
        wanted = not here.endings or (last_turn if jumped else turn) in here.endings
        if wanted:
            order.append(position)
            if jumped and here.fine:
                break
            if jumped == _FOLLOWED and here.to_coda:
                jumped = _IN_CODA
                position = _find(measures, "coda", here.to_coda, len(measures))
                continue
            if not jumped and turn < max(here.times, last_turn if here.times else 0):
                position, turn = start, turn + 1
                continue
            if not jumped and (here.da_capo or here.dal_segno):
                jumped = _FOLLOWED
                position = _find(measures, "segno", here.dal_segno, 0)
                continue
        following = measures[position + 1] if position + 1 < len(measures) else Signs()
        if (here.endings and not following.endings) or (wanted and here.times):
            start, turn = position + 1, 1
        position += 1
    return order


def _last_turns(measures):
    """The last turn of the endings that stand side by side around each measure, 0 elsewhere."""
    last, group = [0] * len(measures), []
    for i, measure in enumerate([*measures, Signs()]):
        if measure.endings:
            group.append(max(measure.endings))
        elif group:
            last[i - len(group) : i] = [max(group)] * len(group)
            group = []
    return last


def _find(measures, sign, name, otherwise):
    """The measure that has a sign of this name, or any such sign."""
    found = [i for i, m in enumerate(measures) if getattr(m, sign)]
    if not name:
        return otherwise
    named = [i for i in found if getattr(measures[i], sign) == name]
    return (named or found or [otherwise])[0]
