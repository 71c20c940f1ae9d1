import pathlib
import re

import numpy as np
import pytest
from keras import ops

from style_transfer import strings
from style_transfer.synthesis import modal

ROOT = pathlib.Path(__file__).parents[1]


def test_a_keyboard_is_tuned_to_a440_by_semitones():
    hz = strings.equal_temperament_hz()
    assert hz[strings.A4_KEY] == 440 and hz[0] == pytest.approx(27.5)
    np.testing.assert_allclose(hz[1:] / hz[:-1], 2 ** (1 / 12))


def test_stiff_strings_are_stretched_as_fletcher_says():
    order = np.arange(1, 41)
    np.testing.assert_array_equal(strings.partial_hz(100.0, 0.0, order), 100 * order)
    np.testing.assert_allclose(strings.partial_hz(100.0, 3e-4, order),
                               100 * order * (1 + 3e-4 * order**2) ** 0.5)


def test_arrays_and_tensors_have_the_same_partials():
    f0_hz, stiffness = np.float32([55, 440]), np.float32([1e-4, 5e-4])
    expected = strings.partial_hz(f0_hz[:, None], stiffness[:, None], np.arange(1, 13))
    found = ops.convert_to_numpy(modal.partial_frequencies(f0_hz, stiffness, 12))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def sources_with(pattern):
    sources = [path for folder in ("style_transfer", "configs", "pipelines", "scripts")
               for path in (ROOT / folder).rglob("*.py")
               if not any(part.is_symlink() for part in path.parents)]
    return [path.relative_to(ROOT).as_posix() for path in sources
            if re.search(pattern, path.read_text(), re.MULTILINE)]


@pytest.mark.parametrize(("pattern", "home"), [
    (r"^NUM_KEYS = ", "style_transfer/piano_roll.py"),
    (r"\b(2595|1127)\b", "style_transfer/signal/mel.py"),
    (r"np\.arange\((88|NUM_KEYS)\) - (48|A4_KEY)\) / 12", "style_transfer/strings.py"),
    (r"sqrt\(1(\.0)? \+ \S+ \* \S+ ?\*", "style_transfer/strings.py"),
    (r"(per_second|_rate|_RATE) [+-] 1e-\d", None),
])
def test_what_a_keyboard_is_stands_once(pattern, home):
    assert sources_with(pattern) == ([home] if home else [])
