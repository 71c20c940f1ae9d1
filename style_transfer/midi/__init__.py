"""One reader of MIDI files: events within limits, then notes as Magenta reads them."""
