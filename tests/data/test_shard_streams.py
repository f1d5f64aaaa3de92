"""Batches from shards: each example once an epoch, in an order of seed and epoch, the same from any step on."""

import collections

import numpy as np
import pytest
import tensorflow as tf

from zoo import data
from zoo.data.shards import order

NUMBER = 120
SHAPE = (6, 6, 1)


@pytest.fixture(scope="module")
def images():
    pixels = np.random.default_rng(0).integers(0, 256, (NUMBER, *SHAPE), np.uint8)
    return data.Images(pixels, np.arange(NUMBER, dtype=np.int32))


@pytest.fixture(scope="module")
def pattern(images, tmp_path_factory):
    found = tmp_path_factory.mktemp("shards") / "a-{0..4}.tar"
    data.write_shards(images, found)
    return str(found)


@pytest.fixture(scope="module")
def train(pattern):
    return data.load_shards(pattern, SHAPE, buffer=16).train


def batches(images, **kwargs):
    how = {"seed": 3, "shuffle": True, "labels": True, **kwargs}
    return list(data.batches(images, 8, **how).as_numpy_iterator())


def labels(found):
    return [int(label) for _, part in found for label in part]


@pytest.fixture(scope="module")
def two_epochs(train):
    return batches(train, epochs=2)


def context(worker, workers, replicas):
    return tf.distribute.InputContext(workers, worker, replicas)


def assert_equal(found, others):
    assert len(found) == len(others)
    for one, two in zip(found, others):
        assert all(np.array_equal(*pair) for pair in zip(one, two))


def test_each_image_comes_once_an_epoch_and_none_that_is_held_out(pattern, train, two_epochs, images):
    splits = data.load_shards(pattern, SHAPE)
    steps, seen = len(two_epochs) // 2, labels(two_epochs)
    held = [*splits.validation.labels, *splits.test.labels]
    first, second = seen[: len(train)], seen[len(train) :]
    assert sorted([*first, *held]) == list(range(NUMBER)) and sorted(first) == sorted(second)
    assert steps == -(-len(train) // 8)
    assert [len(x) for x, _ in two_epochs[: steps - 1]] == [8] * (steps - 1)
    for x, numbers in two_epochs:
        assert x.dtype == np.float32 and np.array_equal(np.rint(x * 255), images.images[numbers])


def test_order_depends_on_the_epoch_and_the_seed(train, two_epochs):
    seen = labels(two_epochs)
    first, second = seen[: len(train)], seen[len(train) :]
    other = labels(batches(train, seed=4))
    assert first != second and first != other and sorted(first) == sorted(other)
    assert first != sorted(first)
    assert_equal(two_epochs, batches(train, epochs=2))


@pytest.mark.parametrize("step", [1, 5, 12, 14, 20])
@pytest.mark.parametrize("dynamic", [False, True])
def test_batches_from_a_step_on_are_those_of_a_run_that_began_earlier(train, step, dynamic):
    whole = batches(train, epochs=2, dynamic=dynamic)
    assert_equal(batches(train, epochs=2, dynamic=dynamic, first_step=step), whole[step:])


def test_a_batch_of_which_nothing_can_be_read_is_the_first_picture(train, two_epochs, monkeypatch):
    stored = batches(train, shuffle=False, epochs=1)
    lost = stored[5][1].tolist()
    pixels = type(train).pixels
    monkeypatch.setattr(type(train), "pixels", lambda *about: None if about[2].label in lost else pixels(*about))
    found = batches(train, shuffle=False, epochs=1)
    assert_equal(found[:5] + found[6:], stored[:5] + stored[6:])
    assert_equal([found[5]], [(stored[0][0][:1], stored[0][1][:1])])
    assert_equal(batches(train, shuffle=False, epochs=1, first_step=5), found[5:])


def test_endless_batches_go_on_from_epoch_to_epoch(train, two_epochs):
    endless = data.batches(train, 8, seed=3, shuffle=True, labels=True, epochs=None, first_step=2)
    assert_equal(list(endless.take(len(two_epochs) - 2).as_numpy_iterator()), two_epochs[2:])


@pytest.mark.parametrize("workers, replicas", [(2, 2), (3, 3), (2, 4), (1, 2)])
def test_workers_see_each_image_once_an_epoch(train, workers, replicas):
    """With two workers of two replicas each, and one worker of two, a worker's elements are its replicas' in turn."""
    whole = labels(batches(train))
    parts = [batches(train, context=context(worker, workers, replicas)) for worker in range(workers)]
    steps, local = -(-len(train) // 8), replicas // workers
    assert [len(part) for part in parts] == [steps * local] * workers
    assert all(len(x) for part in parts for x, _ in part)
    assert collections.Counter(label for part in parts for label in labels(part)) == collections.Counter(whole)
    if workers == 1:
        assert labels(parts[0]) == whole


def test_workers_have_shards_of_their_own(train):
    shares = [{index.path for index in train.of_worker(worker, 2)} for worker in range(2)]
    assert not shares[0] & shares[1] and shares[0] | shares[1] == {index.path for index in train.indices}
    numbers = [sum(index.number(train.level) for index in train.of_worker(worker, 2)) for worker in range(2)]
    assert sum(numbers) == len(train) and abs(numbers[0] - numbers[1]) < 30


def test_worker_that_resumes_sees_what_it_would_have_seen(train):
    whole = batches(train, epochs=2, context=context(1, 2, 4))
    assert_equal(batches(train, epochs=2, context=context(1, 2, 4), first_step=9), whole[2 * 9 :])


def test_fewer_shards_than_workers(train):
    with pytest.raises(data.DataError, match="a shard or more for each of the 6 workers. Received: 5 in all"):
        data.batches(train, 8, context=context(0, 6, 6))


def test_shards_too_uneven_for_the_workers(tmp_path, images):
    data.write_shards(images, tmp_path / "a.tar")
    data.write_shards(images.images[:2], tmp_path / "b.tar", labels=[0, 1])
    train = data.load_shards(f"{tmp_path}/[ab].tar", SHAPE).train
    with pytest.raises(data.DataError, match="divide the images evenly among 2 workers. Received: [12] of"):
        data.batches(train, 8, context=context(0, 2, 2))


def test_buffer_is_read_from_the_beginning_of_a_block(monkeypatch):
    """The order within a block is of that block's records, and of all of them, for blocks that are cut short too."""
    found = order.Order([7, 5, 8], 6, (0, 0, 0))
    sources = [found.source(place) for place in range(20)]
    for first in range(0, 20, 6):
        assert sorted(sources[first : first + 6]) == list(range(first, min(first + 6, 20)))
    assert found.sources(8) == set(sources[8:12])
    stored = order.Order([7, 5, 8], 6)
    assert [stored.source(place) for place in range(20)] == list(range(20)) and stored.shards == [0, 1, 2]


def test_static_binarisation_is_the_same_at_each_epoch(pattern, images):
    splits = data.load_shards(pattern, SHAPE, static_seed=1)
    first, second = batches(splits.train, seed=1), batches(splits.train, seed=2)
    by_label = [{label: x for part, numbers in found for x, label in zip(part, numbers)} for found in (first, second)]
    assert all(np.array_equal(x, by_label[1][label]) for label, x in by_label[0].items())
    every = np.stack(list(by_label[0].values()))
    assert set(np.unique(every)) == {0.0, 1.0} and set(np.unique(splits.test.images)) == {0, 255}
    grey = images.images[list(by_label[0])] / 255
    # The mean of n draws with probabilities p has the variance sum p (1 - p) / n².
    assert abs(every.mean() - grey.mean()) < 4 * np.sqrt((grey * (1 - grey)).sum()) / grey.size


def test_the_seed_of_a_static_binarisation_decides(pattern):
    def pixels(seed):
        return np.concatenate([x for x, _ in batches(data.load_shards(pattern, SHAPE, static_seed=seed).train)])

    np.testing.assert_array_equal(pixels(1), pixels(1))
    assert np.mean(pixels(1) != pixels(2)) > 0.2


def test_dynamic_binarisation_differs_between_epochs_of_one_order(train):
    found = batches(train, epochs=2, dynamic=True, shuffle=False)
    steps = len(found) // 2
    for (x, numbers), (again, same) in zip(found[:steps], found[steps:]):
        np.testing.assert_array_equal(numbers, same)
        assert np.any(x != again)


def test_dynamic_binarisation_differs_between_epochs(train):
    found = batches(train, epochs=2, dynamic=True)
    values = [dict(zip(numbers, x)) for x, numbers in found]
    half = len(found) // 2
    first, second = ({k: v for part in values[s] for k, v in part.items()} for s in (slice(half), slice(half, None)))
    assert set(np.unique(list(first.values()))) == {0.0, 1.0}
    assert sum(np.array_equal(first[label], second[label]) for label in first) < 3


def test_replicas_of_a_worker_do_not_share_their_noise(tmp_path):
    """Images of grey ½ that differ in their first pixel alone, of which half of the values differ by chance."""
    grey = np.full((NUMBER, *SHAPE), 128, np.uint8)
    grey[:, 0, 0, 0] = np.arange(NUMBER)
    data.write_shards(data.Images(grey, np.arange(NUMBER, dtype=np.int32)), tmp_path / "a.tar")
    train = data.load_shards(str(tmp_path / "a.tar"), SHAPE).train
    first, second, *_ = (x[:, 1:] for x, _ in batches(train, dynamic=True, context=context(0, 1, 2)))
    assert first.shape == second.shape and 0.3 < np.mean(first != second) < 0.7


def test_record_that_breaks_later_is_named_once_and_left_out(images, tmp_path, capfd):
    data.write_shards(images, tmp_path / "a-{0..1}.tfrecord")
    splits = data.load_shards(f"{tmp_path}/a-{{0..1}}.tfrecord", SHAPE, buffer=16)
    whole, path = labels(batches(splits.train)), tmp_path / "a-1.tfrecord"
    content = bytearray(path.read_bytes())
    content[-10] ^= 1
    path.write_bytes(content)
    found = labels(batches(splits.train, epochs=2))
    assert collections.Counter(found) == collections.Counter(2 * [row for row in whole if row != NUMBER - 1])
    assert capfd.readouterr().err.count(f"skipped {path}, record {NUMBER // 2 - 1}: its checksum does not match") == 1
    assert list(splits.train.skipped) == [(str(path), NUMBER // 2 - 1)]
    resumed = labels(batches(splits.train, epochs=2, first_step=10))
    assert found[-len(resumed) :] == resumed


def test_picture_that_cannot_be_decoded_is_left_out(images, tmp_path, capfd):
    data.write_shards(images, tmp_path / "a.tar")
    place = (tmp_path / "a.tar").read_bytes().find(b"IDAT") + 4
    content = bytearray((tmp_path / "a.tar").read_bytes())
    content[place : place + 4] = bytes(4)
    (tmp_path / "b.tar").write_bytes(content)
    splits = data.load_shards(f"{tmp_path}/b.tar", SHAPE)
    seen = [*labels(batches(splits.train)), *splits.validation.labels, *splits.test.labels]
    assert sorted(seen) == list(range(1, NUMBER))
    assert capfd.readouterr().err.count("b.tar, record 0: ") == 1


def test_shard_that_disappears_ends_the_batches_with_its_name(images, tmp_path):
    data.write_shards(images, tmp_path / "a-{0..1}.tar")
    train = data.load_shards(f"{tmp_path}/a-{{0..1}}.tar", SHAPE).train
    (tmp_path / "a-1.tar").unlink()
    with pytest.raises(tf.errors.OpError, match="DataError: The shard .*a-1.tar' cannot be read .No such file"):
        batches(train)


def test_images_without_labels(pattern, images, tmp_path):
    data.write_shards(images.images, tmp_path / "a.tar")
    train = data.load_shards(str(tmp_path / "a.tar"), SHAPE).train
    with pytest.raises(ValueError, match="Expected labelled images, as labels=True"):
        data.batches(train, 8, labels=True)
    (x,) = data.batches(train, len(train)).as_numpy_iterator()
    assert x.shape == (len(train), *SHAPE)


@pytest.mark.parametrize("shape", [(6, 6), (6, 6, 4), (0, 6, 3)])
def test_shape_that_cannot_be_decoded_to(pattern, shape):
    with pytest.raises(ValueError, match="Expected `image_shape` to be"):
        data.load_shards(pattern, shape)
