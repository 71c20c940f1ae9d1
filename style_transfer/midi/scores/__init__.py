"""Scores as they are played: MusicXML and ABC, repeats unrolled, at sounding pitch."""
