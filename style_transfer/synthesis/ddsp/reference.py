"""The original DDSP package, imported without its pitch tracker.

DDSP imports `crepe` at the top, whose source distribution downloads weights while it is built.
Nothing here tracks pitch with it, so an empty module stands in its place. Only evaluation and
tests use this; importing it takes many seconds.
"""

import importlib
import importlib.util
import sys
import types
import warnings


def load() -> types.SimpleNamespace:
    """Imports the `ddsp` package.

    Returns:
        The modules `core`, `effects`, `losses`, `spectral_ops` and `synths` as attributes of
        one namespace.

    Raises:
        ImportError: `ddsp` is not installed.
    """
    if "crepe" not in sys.modules and importlib.util.find_spec("crepe") is None:
        sys.modules["crepe"] = types.ModuleType("crepe")
    names = ("core", "effects", "losses", "spectral_ops", "synths")
    with warnings.catch_warnings():
        # Those of the packages that DDSP imports; nothing here can answer them.
        warnings.simplefilter("ignore")
        modules = {name: importlib.import_module(f"ddsp.{name}") for name in names}
    return types.SimpleNamespace(**modules)


def spectral_loss(target, audio, **kwargs) -> float:
    """DDSP's own `SpectralLoss`.

    Args:
        target: Reference audio, float32 `[batch, samples]`.
        audio: Audio compared with it, same shape.
        **kwargs: Arguments of `ddsp.losses.SpectralLoss`.

    Returns:
        The loss as a float.
    """
    return float(load().losses.SpectralLoss(**kwargs)(target, audio))
