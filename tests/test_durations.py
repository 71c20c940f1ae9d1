"""What is left of work."""

import pytest

from style_transfer import durations


@pytest.mark.parametrize(("secs", "done", "total", "text"), [
    (4.8, 1, 3, "10 s left"), (600, 5, 10, "10 min left"), (7200, 3, 6, "2.0 h left"),
    (3, 7, 7, "0 s left")])
def test_what_is_left_is_in_a_unit_that_can_be_read(secs, done, total, text):
    assert durations.left(secs, done, total) == text
