"""ABC as it is played: repeats and endings unrolled, tied notes joined.

Tunes are read by `note_seq.abc_parser`. It knows no endings and ignores ties, so repeats are
written out in a tune's text before, and after it those notes are joined between which ties stand.
Grace notes and decorations are left out.

Source: the ABC music standard 2.1, and `note_seq.abc_parser` for what is a note.
"""

import re

from style_transfer.midi.limits import ConversionLimits, UnreadableFileError
from style_transfer.midi.scores.play_order import Signs, play_order

_TUNE = re.compile(r"\n[ \t\r]*\n")
_NUMBER = re.compile(r"^X:\s*(\d+)", re.MULTILINE)
_KEY = re.compile(r"^K:[^\n]*\n?", re.MULTILINE)
# Text, fields and comments hold characters that are no bars or notes.
_APART = r'"[^"\n]*"|\[[A-Za-z]:[^\]\n]*\]|%[^\n]*|^[A-Za-z]:[^\n]*'
_ORNAMENTS = re.compile(r"![^!\n]*!|\{[^}\n]*\}")  # the parser knows neither
_BAR = re.compile(_APART + r"|(?P<ends>:*)(?P<bar>\|[\[\]|]*|\[\||\[(?=[1-9]))(?P<begins>:*)"
                  r"[ \t]*\[?(?P<turns>[1-9][0-9,-]*)?|(?P<both>::+)", re.MULTILINE)
_NOTE = re.compile(_APART + r"|(?P<note>[A-Ga-g][',]*[0-9/]*[<>]*[ \t]*(?P<tie>-)?)", re.MULTILINE)
MOST_LETTERS = 120


def read(data, limits=None):
    """The NoteSequences of a tune book by reference number, as they are played.

    Args:
        data: Bytes of the file.
        limits: `ConversionLimits`; None for the defaults.

    Raises:
        UnreadableFileError: None of its tunes can be read, or one exceeds a limit.
    """
    limits = limits or ConversionLimits()
    limits.check("file too large", len(data), "max_file_bytes")
    try:
        found, errors = tunes(decoded(data))
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise UnreadableFileError("not readable ABC", _said(error)) from error
    if not found:
        raise UnreadableFileError("not readable ABC", _said(errors[0]) if errors
                                  else "it has no tune")
    for tune in found.values():
        check_sequence(tune, limits)
    return found


def _said(error):
    """What is wrong, in words that are not Python's."""
    text = " ".join(str(error).split())
    is_plain = text.isascii() and text.isprintable() and "literal" not in text and "\\" not in text
    return text[:MOST_LETTERS] if is_plain else "something in it is no ABC"


def decoded(data):
    """The text of a tune book."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin1")  # the encoding of ABC's older standard


def check_sequence(sequence, limits):
    """Raises UnreadableFileError if a NoteSequence exceeds a limit."""
    limits.check("too many notes", len(sequence.notes), "max_notes")
    limits.check("too long", sequence.total_time, "max_duration_secs")
    for tempo in sequence.tempos:
        limits.check("tempo too fast", tempo.qpm, "max_qpm")


def tunes(text):
    """The NoteSequences of a tune book by reference number, and what is wrong with other tunes.

    Args:
        text: The tune book.
    """
    from note_seq import abc_parser

    written, ties = [], {}
    for tune in _TUNE.split(text):
        key, number = _KEY.search(tune), _NUMBER.search(tune)
        if key and number:
            body = _unrolled(_ORNAMENTS.sub("", tune[key.end():]))
            tune = tune[: key.end()] + body
            ties[int(number[1])] = _ties(body)
        written.append(tune)
    found, errors = abc_parser.parse_abc_tunebook("\n\n".join(written))
    for number, tune in found.items():
        _join(tune, ties.get(number, ()))
    return found, errors


def _unrolled(body):
    """The text of a tune with what is repeated written as often as it is played."""
    signs, parts, begin, here = [], [], 0, Signs()

    def close(end):
        parts.append(body[begin:end])
        signs.append(here)

    for bar in _BAR.finditer(body):
        if bar["bar"] is None and bar["both"] is None:
            continue
        close(bar.start())
        begin = bar.end()
        colons = len(bar["both"]) // 2 if bar["both"] else len(bar["ends"])
        here.times = colons + 1 if colons else 0
        turns = _turns(bar["turns"])
        ended = here.times or bar["bar"] not in ("|", "[")
        here = Signs(forward=bool(bar["both"] or bar["begins"]),
                     endings=turns or (frozenset() if ended else here.endings))
    close(len(body))
    return "|".join(parts[i] for i in play_order(signs))


def _turns(text):
    """`1,3-4` as a set."""
    turns = set()
    for word in filter(None, (text or "").split(",")):
        first, _, last = word.partition("-")
        if first:
            turns.update(range(int(first), min(int(last or first), int(first) + 99) + 1))
    return frozenset(turns)


def _ties(body):
    """Numbers of the notes that are tied to the next."""
    notes = (match for match in _NOTE.finditer(body) if match["note"])
    return [number for number, match in enumerate(notes) if match["tie"]]


def _join(tune, ties):
    """Joins notes to those that follow them; a tie keeps an accidental over the bar."""
    joined = []
    for number in reversed(ties):
        if number + 1 < len(tune.notes):
            note, following = tune.notes[number], tune.notes[number + 1]
            if abs(note.pitch - following.pitch) <= 1:
                note.end_time = following.end_time
                joined.append(number + 1)
    for number in joined:
        del tune.notes[number]
