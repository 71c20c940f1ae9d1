import re

from style_transfer.pipelines.datasets.readers import Pair
from style_transfer.pipelines.datasets.splits import ONE_PIECE_PATTERN, suspected_leaks


def pair(piece, split, timbre="grand"):
    return Pair("", "", f"{timbre}/{piece}", timbre, piece, split)


def test_performances_of_one_piece_on_both_sides_are_suspected():
    pairs = [pair("Chopin_Ballades_1_Huang13M", "train"), pair("Chopin_Ballades_1_Shi05M", "eval"),
             pair("Chopin_Ballades_2_Huang13M", "train"), pair("Chopin_Ballades_2_Ali01", "train")]
    assert suspected_leaks(pairs) == [["Chopin_Ballades_1_Huang13M", "Chopin_Ballades_1_Shi05M"]]


def test_one_piece_on_many_pianos_numbered_pieces_and_lone_names_are_not_suspected():
    pairs = [pair("etude_a", "train", "upright"), pair("etude_a", "train"), pair("etude_1", "eval"),
             pair("etude_2", "train"), pair("prelude", "eval"), pair("fugue", "train")]
    assert not suspected_leaks(pairs)


def test_advised_pattern_finds_the_piece_whatever_piano_and_repetition():
    for piece_id in ("cp80/Liszt_Etudes_1_Huang13M", "fluid_000_aug1/Liszt_Etudes_1_Shi05__2",
                     "Liszt_Etudes_1_Ali01M"):
        assert re.search(ONE_PIECE_PATTERN, piece_id).group(1) == "Liszt_Etudes_1"
