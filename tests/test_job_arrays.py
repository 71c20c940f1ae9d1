import pytest

from style_transfer.job_arrays import Shard


def test_the_parts_are_the_whole_and_have_names_of_their_own():
    items = list(range(10))
    shards = [Shard.parse(f"{number}/3") for number in (1, 2, 3)]
    assert sorted(item for shard in shards for item in shard.of(items)) == items
    assert {len(shard.of(items)) for shard in shards} == {3, 4}
    assert sum((shard.stretch(items) for shard in shards), []) == items
    assert {len(shard.stretch(items)) for shard in shards} == {3, 4}
    assert shards[2].named("a/notes.tfrecord") == "a/notes-00003-of-00003.tfrecord"
    assert shards[0].named("gs://b/examples/") == "gs://b/examples-00001-of-00003"
    assert Shard.parse("").of(items) == items and Shard.parse(None).named("x") == "x"


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "a/b", "1/0", "-1/3"])
def test_what_is_no_part_is_an_error(text):
    with pytest.raises(ValueError, match="--shard is such as 3/16, from 1/16 to 16/16; got"):
        Shard.parse(text)
