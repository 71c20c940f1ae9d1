"""One-shot piano style transfer: a piece of music, played on the piano of a recording.

    import style_transfer

    audio = style_transfer.transfer("piece.mid", "piano.wav", progress=True)
    audio.save("piece.wav")

`transfer` is the main job. `estimate_piano` gives the `Piano` of a recording, which plays any
number of pieces and is kept with `Piano.save`; `transcribe` gives the notes of a recording; `load`
gives the model itself.
"""

import lazy_loader

__version__ = "0.4.0"

# Importing the package stays fast; TensorFlow loads only when something is played.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
