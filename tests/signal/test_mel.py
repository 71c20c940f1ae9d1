import numpy as np
import pytest

from style_transfer.signal import mel


@pytest.mark.parametrize("options", [{}, {"htk": True}, {"low_hz": 27.5, "htk": True},
                                     {"low_hz": 30.0}])
@pytest.mark.parametrize(("sample_rate", "fft_size", "num_bands"),
                         [(24_000, 2048, 128), (16_000, 2048, 229), (24_000, 512, 64)])
def test_filters_equal_librosas(sample_rate, fft_size, num_bands, options):
    librosa = pytest.importorskip("librosa")
    names = {"fmin": options.get("low_hz", 0.0), "htk": options.get("htk", False)}
    expected = librosa.filters.mel(sr=sample_rate, n_fft=fft_size, n_mels=num_bands, **names).T
    found = mel.matrix(sample_rate, fft_size, num_bands, **options)
    np.testing.assert_allclose(found, expected, atol=1e-7 * expected.max())
    assert found.dtype == expected.dtype == np.float32
