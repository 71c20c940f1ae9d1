"""Which performances are trained on and which are kept for evaluation."""

import dataclasses
import fnmatch
import hashlib
from collections.abc import Iterable, Sequence

from style_transfer.pipelines.datasets.readers import Pair

METHODS = ("auto", "own", "piece")
ONE_PIECE_PATTERN = r"([^/]+?)_[^_/]+(?:__\d+)?$"
"""Finds a piece in ids that end with the performer, as those of ASAP rendered do."""


@dataclasses.dataclass(frozen=True)
class SplitPlan:
    """Pairs by split.

    Attributes:
        pairs: Every pair that is used, its `split` set.
        left_out: Those on one side by piece and on the other by instrument.
        method: `own`, `piece` or `none` (everything is for training).
    """

    pairs: list[Pair]
    left_out: list[Pair]
    method: str

    def count(self, split: str) -> int:
        """How many pairs are on one side."""
        return sum(pair.split == split for pair in self.pairs)


def piece_position(piece_id: str) -> float:
    """Where a piece lies in [0, 1): a hash of its name, the same on every machine and run."""
    digest = hashlib.sha256(piece_id.encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def split_pairs(
    pairs: Sequence[Pair],
    eval_ratio: float,
    method: str = "auto",
    eval_timbres: Iterable[str] = (),
) -> SplitPlan:
    """Assigns each pair to a split; all performances of a piece go to the same one.

    Args:
        pairs: As listed.
        eval_ratio: Share of the pieces for evaluation, in [0, 1). Pieces are chosen by
            `piece_position`, so adding some moves none of the others; where that takes none, the
            one that comes first is taken. Not used by `own`.
        method: `piece`; `own`, the data set's; or `auto`, its own if it has one.
        eval_timbres: Shell patterns of pianos for evaluation only. With a split by piece too,
            a pair is used only if its piano and its piece are on the same side.

    Returns:
        A `SplitPlan`.

    Raises:
        ValueError: An argument is out of range, or nothing is on a side that should not be empty.
    """
    if not 0 <= eval_ratio < 1:
        raise ValueError(f"--eval_ratio is a share of the pieces in [0, 1), got {eval_ratio}.")
    if method not in METHODS:
        raise ValueError(f"Unknown split {method!r}: expected {', '.join(METHODS)}.")
    own = [pair for pair in pairs if pair.split]
    if method == "own" and len(own) < len(pairs):
        raise ValueError(f"Only {len(own)} of {len(pairs)} pairs have a split of the data set's "
                         "own. Use --split=piece.")
    method = "own" if pairs and len(own) == len(pairs) and method != "piece" else "piece"
    if method == "piece":
        positions = {pair.piece_id: piece_position(pair.piece_id) for pair in pairs}
        taken = {piece for piece, position in positions.items() if position < eval_ratio}
        if eval_ratio and not taken and len(positions) > 1:
            taken = {min(positions, key=positions.__getitem__)}
        pairs = [dataclasses.replace(pair, split=_side(pair.piece_id in taken)) for pair in pairs]
        method = "piece" if eval_ratio else "none"
    used, left_out = _by_timbre(pairs, tuple(eval_timbres), method)
    plan = SplitPlan(used, left_out, method)
    _check_sides(plan, pairs, eval_ratio, tuple(eval_timbres))
    return plan


def suspected_leaks(pairs: Iterable[Pair]) -> list[list[str]]:
    """Pieces on both sides of a split whose names say that they are performances of one piece.

    Such names differ in nothing but the last word, as those of ASAP's files do, which are named
    for the pianist: `Chopin_Ballades_1_Huang13M`. Numbers at the end are taken for pieces.

    Args:
        pairs: With their `split` set.

    Returns:
        Groups of piece ids.
    """
    groups: dict[str, dict[str, set[str | None]]] = {}
    for pair in pairs:
        stem, _, last = pair.piece_id.rpartition("_")
        if stem and not last.isdigit():
            groups.setdefault(stem, {}).setdefault(pair.piece_id, set()).add(pair.split)
    return [sorted(pieces) for pieces in groups.values()
            if len(pieces) > 1 and len(set().union(*pieces.values())) > 1]


def _side(is_eval):
    return "eval" if is_eval else "train"


def _by_timbre(pairs, patterns, method):
    if not patterns:
        return list(pairs), []
    for pattern in patterns:
        if not any(fnmatch.fnmatchcase(pair.timbre_id, pattern) for pair in pairs):
            timbres = sorted({pair.timbre_id for pair in pairs})
            raise ValueError(f"--eval_timbres={pattern!r} matches no piano. There are: "
                             f"{', '.join(timbres[:20])}{' ...' if len(timbres) > 20 else ''}.")
    used, left_out = [], []
    for pair in pairs:
        kept_back = any(fnmatch.fnmatchcase(pair.timbre_id, pattern) for pattern in patterns)
        if method == "none":
            used.append(dataclasses.replace(pair, split=_side(kept_back)))
        else:
            (used if kept_back == (pair.split != "train") else left_out).append(pair)
    return used, left_out


def _check_sides(plan, pairs, eval_ratio, patterns):
    if not pairs:
        return
    if plan.count("train") == 0:
        raise ValueError("No pair is left for training. Lower --eval_ratio, or give fewer pianos "
                         "in --eval_timbres.")
    if (eval_ratio or patterns) and not any(pair.split == "eval" for pair in plan.pairs):
        raise ValueError("No pair is left for evaluation. " + _advice(plan, pairs))


def _advice(plan, pairs):
    pieces = {pair.piece_id for pair in pairs}
    if plan.method == "own":
        return ("The data set's own split has none that fits: use --split=piece, or "
                "--eval_ratio=0 without --eval_timbres for no evaluation split.")
    if len(pieces) == 1:
        return "There is only one piece: add pieces, or use --eval_ratio=0 for no evaluation split."
    return ("The pieces for evaluation are not played on the pianos of --eval_timbres: raise "
            "--eval_ratio, or use --eval_ratio=0 to split by piano only.")
