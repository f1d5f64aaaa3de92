"""Shards: which files a pattern names, what is read from them, and what is said about those that are damaged."""

import gzip
import io
import json
import os
import pathlib
import tarfile

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from zoo import data
from zoo.data.shards import crc, find, indexing, locations, reading, records

NUMBER = 60
SHAPE = (8, 8, 3)


@pytest.fixture(scope="module")
def images():
    pixels = np.random.default_rng(0).integers(0, 256, (NUMBER, *SHAPE), np.uint8)
    return data.Images(pixels, np.arange(NUMBER, dtype=np.int32))


@pytest.fixture(scope="module")
def written(images, tmp_path_factory):
    """A folder with the same images in one shard of each format."""
    folder = tmp_path_factory.mktemp("written")
    for ending in ("tar", "tfrecord"):
        data.write_shards(images, folder / f"all.{ending}")
    return folder


@pytest.fixture(params=["tar", "tfrecord"])
def shard(request, written, tmp_path):
    """A copy of a shard without its index."""
    path = tmp_path / f"all.{request.param}"
    path.write_bytes((written / path.name).read_bytes())
    return path


def read(path):
    return list(reading.read(str(path), reading.form(str(path))))


def pixels_of(record):
    return np.asarray(Image.open(io.BytesIO(record.image)))


def assert_read(records, images, rows):
    assert [record.label for record in records] == list(rows)
    for record, row in zip(records, rows, strict=True):
        assert np.array_equal(pixels_of(record), images.images[row])


def change(path, place, content):
    whole = bytearray(path.read_bytes())
    whole[place : place + len(content)] = content
    path.write_bytes(whole)


def broken(records):
    return [(record.index, record.broken) for record in records if record.broken]


# The checksum.


def test_checksum_is_the_published_one():
    assert crc.crc32c(b"123456789") == 0xE3069283
    assert crc.crc32c(bytes(32)) == 0x8A9136AA and crc.crc32c(b"\xff" * 32) == 0x62A8AB43  # RFC 3720, B.4
    assert crc.crc32c(b"") == 0


@pytest.mark.parametrize("size", [1, 15, 16, 255, 256, 257, 5000])
def test_checksum_of_a_record_is_tensorflows(tmp_path, size):
    content = np.random.default_rng(size).integers(0, 256, size, np.uint8).tobytes()
    with tf.io.TFRecordWriter(str(tmp_path / "one")) as writer:
        writer.write(content)
    stored = (tmp_path / "one").read_bytes()
    assert int.from_bytes(stored[-4:], "little") == crc.masked(content)


# Patterns.


def test_braces_are_written_out():
    assert locations.expand("a-{08..10}.tar") == ["a-08.tar", "a-09.tar", "a-10.tar"]
    assert locations.expand("{x,y}-{1..2}") == ["x-1", "x-2", "y-1", "y-2"]


def test_wildcard_finds_shards_in_order_without_their_indices(tmp_path):
    for name in ("b.tar", "a.tar", "a.tar.index.json", ".1-c.tar"):
        (tmp_path / name).touch()
    assert find(f"{tmp_path}/*") == [f"{tmp_path}/a.tar", f"{tmp_path}/b.tar"]


@pytest.mark.parametrize(
    "there, pattern, said",
    [
        (["a-0", "a-2"], "a-{0..2}", "/a-1' is missing"),
        (["a-00000-of-00003", "a-00002-of-00003"], "a-*", "/a-00001-of-00003' is missing"),
        ([], "a-*", "No shard fits the pattern"),
        (["a-1"], "a-{3..1}", "the lower number first"),
        ([], "nosuch://place/a", "Protocol not known: nosuch"),
    ],
)
def test_shard_that_is_missing(tmp_path, there, pattern, said):
    for name in there:
        (tmp_path / name).touch()
    with pytest.raises(data.DataError, match=said):
        find(pattern if "://" in pattern else f"{tmp_path}/{pattern}")


@pytest.mark.parametrize("place", ["ram://shards", "memory://shards"])
def test_other_file_systems_are_read_like_the_local_one(written, images, place):
    """One that TensorFlow opens, and one that fsspec opens."""
    content = (written / "all.tar").read_bytes()
    if place.startswith("ram"):
        with tf.io.gfile.GFile(f"{place}/all-0.tar", "wb") as file:
            file.write(content)
    else:
        fsspec = pytest.importorskip("fsspec")
        with fsspec.open(f"{place}/all-0.tar", "wb") as file:
            file.write(content)
    (path,) = find(f"{place}/all-*.tar")
    assert path == f"{place}/all-0.tar" or path == "memory:///shards/all-0.tar"
    assert find(f"{place}/all-{{0..0}}.tar") == [f"{place}/all-0.tar"]
    assert_read(read(path), images, range(NUMBER))
    assert locations.size(path) == len(content)


# Records.


def test_records_are_what_was_written(shard, images):
    assert_read(read(shard), images, range(NUMBER))


def test_record_is_found_by_its_place(shard, images):
    last = read(shard)[-1]
    (again,) = reading.read(str(shard), reading.form(str(shard)), last.offset, last.index)
    assert again == last


def test_compressed_shard(shard, images):
    path = shard.with_name("all.gz")
    path.write_bytes(gzip.compress(shard.read_bytes()))
    assert_read(read(path), images, range(NUMBER))
    path.write_bytes(path.read_bytes()[:-1000])
    *whole, last = read(path)
    assert last.broken and last.index == len(whole) and 30 < len(whole) < NUMBER
    assert_read(whole, images, range(len(whole)))


def test_damaged_record_is_reported_and_the_others_are_read(shard, images):
    third = read(shard)[3]
    # Of a tar archive the name in a header; of a TFRecord file the data.
    change(shard, third.offset + 20, b"\x99")
    found = read(shard)
    ((index, reason),) = broken(found)
    assert index == 3 and reason in ("a header of the tar archive is damaged", "its checksum does not match")
    assert [record.index for record in found] == list(range(NUMBER))
    assert_read([record for record in found if not record.broken], images, [0, 1, 2, *range(4, NUMBER)])


def test_shard_that_is_cut_short(shard, images):
    last = read(shard)[-1]
    shard.write_bytes(shard.read_bytes()[: last.offset + 30])
    *whole, end = read(shard)
    assert end.index == NUMBER - 1 and "the shard ends" in end.broken
    assert_read(whole, images, range(NUMBER - 1))


def test_damaged_length_ends_a_tfrecord_shard(written, images, tmp_path):
    shard = tmp_path / "all.tfrecord"
    shard.write_bytes((written / shard.name).read_bytes())
    change(shard, read(shard)[5].offset, b"\xff\xff")
    found = read(shard)
    assert broken(found) == [(5, "its length is damaged, so the rest of the shard cannot be read")]
    assert_read(found[:5], images, range(5))


def write_tar(path, members, **kwargs):
    with tarfile.open(path, "w", **kwargs) as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def png(value=0):
    content = io.BytesIO()
    Image.fromarray(np.full((4, 4), value, np.uint8)).save(content, "PNG")
    return content.getvalue()


@pytest.mark.parametrize("how", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_members_with_the_same_key_are_a_record(tmp_path, how):
    path, long = tmp_path / "a.tar", "folder/" + 150 * "k"
    members = [
        ("__about__.json", b"{}"), (f"{long}.png", png(1)), (f"{long}.cls", b"4\n"), ("b.txt", b"no picture"),
        ("c.input.PNG", png(2)), ("c.txt", 3000 * b"text"), ("d.cls", b"x"), ("d.png", png(3)),
    ]  # fmt: skip
    write_tar(path, members, format=how)
    first, second, third, fourth = read(path)
    assert (first.index, first.image, first.label) == (0, png(1), 4)
    assert second.broken == "b has no picture, but txt"
    assert (third.index, third.image, third.label) == (2, png(2), None)
    assert fourth.broken == "d.cls is no integer"


def test_archive_without_its_end_is_reported(tmp_path):
    path = tmp_path / "a.tar"
    write_tar(path, [("a.png", png())])
    path.write_bytes(path.read_bytes()[: 512 + 512])  # the whole member, as its picture is shorter than a block
    assert broken(read(path)) == [(1, "the shard ends without the end of a tar archive")]


@pytest.mark.parametrize(
    "features, said",
    [
        ({"picture": [b"x"]}, "no encoded picture under `image` or `image/encoded`, but picture"),
        ({"image": [b"a", b"b"]}, "no encoded picture"),
    ],
)
def test_example_without_a_picture(tmp_path, features, said):
    path = tmp_path / "a.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(b"\xff\xff no example")
        found = {name: tf.train.Feature(bytes_list=tf.train.BytesList(value=value)) for name, value in features.items()}
        writer.write(tf.train.Example(features=tf.train.Features(feature=found)).SerializeToString())
    first, second = read(path)
    assert first.broken == "it is no tf.train.Example" and said in second.broken
    with pytest.raises(data.DataError, match="Expected pictures in the shard .* Received: none"):
        indexing.count(str(path))


@pytest.mark.parametrize("content, said", [(b"some text", "begins with b'some tex'"), (b"", "an empty one")])
def test_file_of_another_format(tmp_path, content, said):
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(data.DataError, match=f"to be a TFRecord or a tar shard. Received: .*{said}"):
        reading.form(str(tmp_path / "a.tar"))


def test_shards_of_two_formats(written):
    with pytest.raises(data.DataError, match=r"all.tfrecord' to be a tar shard, as .*all.tar'. Received: TFRecord"):
        data.load_shards(f"{written}/all.{{tar,tfrecord}}", SHAPE)


# Counts and splits.


def test_split_follows_from_the_hash_of_the_picture(written, images):
    """The same pictures are held out whatever the format, and no image is in two splits."""
    both = [data.load_shards(f"{written}/all.{ending}", SHAPE) for ending in ("tar", "tfrecord")]
    for splits in both:
        zeros = [records.leading_zeros(record.image) for record in read(splits.train.indices[0].path)]
        level = splits.train.level
        held = {"validation": [row for row in range(NUMBER) if zeros[row] == level - 1]}
        held["test"] = [row for row in range(NUMBER) if zeros[row] >= level]
        for name, rows in held.items():
            part = getattr(splits, name)
            assert part.labels.tolist() == rows and np.array_equal(part.images, images.images[rows])
        assert len(splits.train) == NUMBER - sum(map(len, held.values())) > 40
    assert both[0].train.level == both[1].train.level


@pytest.mark.parametrize("number, level", [(300, 4), (80_000, 4), (80_001, 5), (1_000_000, 8)])
def test_level_holds_out_a_sixteenth_and_at_most_5000(number, level):
    assert indexing.usual_level(number) == level
    assert number / 2**level <= 5000


def test_too_few_records_to_hold_some_out(tmp_path):
    data.write_shards([png()], tmp_path / "a.tar")
    with pytest.raises(data.DataError, match="about 50 different pictures or more.*Received: 1 records"):
        data.load_shards(str(tmp_path / "a.tar"), SHAPE)


def test_index_beside_a_shard_saves_reading_it(written, monkeypatch):
    path = str(written / "all.tar")
    monkeypatch.setattr(indexing, "count", lambda path: pytest.fail("the shard was read"))
    (index,) = indexing.of_all([path])
    monkeypatch.undo()
    assert index == indexing._parsed(json.dumps({**vars(indexing.count(path)), "version": 1}), path)
    assert sum(index.zeros) == index.labelled == NUMBER and tuple(index.labels) == (0, NUMBER - 1)


def test_counts_are_kept_and_made_anew_for_a_shard_that_has_changed(shard, tmp_path, monkeypatch, capsys):
    cache = tmp_path / "run" / "shards.json"
    cache.parent.mkdir()
    (index,) = indexing.of_all([str(shard)], cache)
    assert f"counting the records of the shards; the numbers are kept in {cache}" in capsys.readouterr().err
    with monkeypatch.context() as patch:
        patch.setattr(indexing, "count", lambda path: pytest.fail("the shard was read"))
        (kept,) = indexing.of_all([str(shard)], cache)
    assert kept.sha256 == index.sha256 and list(kept.zeros) == list(index.zeros)
    whole = shard.read_bytes()
    shard.write_bytes(whole[: len(whole) // 2 + 7])
    (fewer,) = indexing.of_all([str(shard)], cache)
    assert 20 < sum(fewer.zeros) < NUMBER and len(fewer.broken) == 1
    assert indexing.fingerprint([fewer]) != indexing.fingerprint([index])
    cache.write_text("{")
    assert indexing.fingerprint(indexing.of_all([str(shard)], cache)) == indexing.fingerprint([fewer])


def test_shard_that_does_not_fit_its_index(shard, written):
    """A TFRecord file that was cut between two records looks whole."""
    last = read(shard)[-1]
    index = shard.with_name(f"{shard.name}.index.json")
    index.write_text((written / index.name).read_text())
    shard.write_bytes(shard.read_bytes()[: last.offset])
    with pytest.raises(data.DataError, match="is incomplete or has changed: it has .* bytes, and .* by the index"):
        indexing.of_all([str(shard)])


def test_other_content_of_the_same_size_is_seen(shard, images, tmp_path):
    """Archives are filled up to blocks of 10,240 bytes: those of other pictures are often as large."""
    cache = tmp_path / "shards.json"
    (before,) = indexing.of_all([str(shard)], cache)
    data.write_shards(data.Images(images.images[::-1], images.labels), tmp_path / f"other{shard.suffix}")
    other = (tmp_path / f"other{shard.suffix}").read_bytes()
    shard.write_bytes(other[: len(other)])
    assert shard.stat().st_size == before.size
    (after,) = indexing.of_all([str(shard)], cache)
    assert after.sha256 != before.sha256
    (tmp_path / f"{shard.name}.index.json").write_text(json.dumps({**vars(before), "version": 1}))
    with pytest.raises(data.DataError, match="has changed: it has other content by the index beside it"):
        indexing.of_all([str(shard)])
    older = {name: value for name, value in vars(after).items() if name != "places"}
    (tmp_path / f"{shard.name}.index.json").write_text(json.dumps({**older, "version": 1}))
    assert indexing.of_all([str(shard)])[0].sha256 == after.sha256
    (tmp_path / f"{shard.name}.index.json").write_bytes(b"\xff\xfe{")
    assert indexing.of_all([str(shard)])[0].sha256 == after.sha256


def test_held_out_places_do_not_grow_with_the_data(monkeypatch, tmp_path):
    """Four shards of 100,000 records each: of all places only those that are held out of 400,000 are kept."""
    zeros = [100_000 // 2 ** (row + 1) for row in range(16)]
    held = [(row, 0, 0) for row in range(3, 16) for _ in range(zeros[row])]
    monkeypatch.setattr(
        indexing,
        "beside",
        lambda path: indexing.ShardIndex(path, "tar", 1, path, [*zeros, *49 * [0]], 0, None, held, 3, []),
    )
    for name in "abcd":
        (tmp_path / name).write_bytes(b"x")
    found = indexing.of_all([str(tmp_path / name) for name in "abcd"])
    assert indexing.level(found) == 7
    assert [len(index.held) for index in found] == 4 * [sum(zeros[6:])]


# Writing.


def test_pictures_go_to_the_shards_in_turn(tmp_path, images):
    paths = data.write_shards(images, tmp_path / "a-{0..2}.tfrecord")
    assert paths == [str(tmp_path / f"a-{number}.tfrecord") for number in range(3)]
    for number, path in enumerate(paths):
        assert_read(read(path), images, range(number, NUMBER, 3))


def test_files_and_bytes_are_stored_as_they_are(tmp_path):
    (tmp_path / "one.png").write_bytes(png(1))
    content = io.BytesIO()
    Image.new("RGB", (5, 4)).save(content, "JPEG")
    data.write_shards(iter([tmp_path / "one.png", content.getvalue()]), tmp_path / "a.tar", labels=[7, 8])
    first, second = read(tmp_path / "a.tar")
    assert (first.image, first.label, second.image, second.label) == (png(1), 7, content.getvalue(), 8)
    with tarfile.open(tmp_path / "a.tar") as archive:
        assert archive.getnames() == ["000000000.png", "000000000.cls", "000000001.jpg", "000000001.cls"]


@pytest.mark.parametrize("kind", ["JPEG2000", "TIFF", "BMP", "GIF", "WEBP", "PPM", "MPO"])
@pytest.mark.parametrize("ending", ["tar", "tfrecord"])
def test_every_format_that_is_written_is_read(kind, ending, tmp_path):
    contents = []
    for value in range(4):
        content = io.BytesIO()
        Image.new("RGB", (9, 8), (value, 0, 0)).save(content, kind)
        contents.append(content.getvalue())
    data.write_shards(iter(contents), tmp_path / f"a.{ending}")
    assert [record.image for record in read(tmp_path / f"a.{ending}")] == contents


def test_a_format_that_is_not_read_is_not_written(tmp_path):
    content = io.BytesIO()
    Image.new("F", (9, 8)).save(content, "SPIDER")
    with pytest.raises(ValueError, match="pictures in a format that `load_folder` reads, as picture 0.*SPIDER"):
        data.write_shards(iter([content.getvalue()]), tmp_path / "a.tar")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_brackets_in_its_name(tmp_path, images):
    (path,) = data.write_shards(images, tmp_path / "set [1]" / "a[2].tar")
    assert find(path) == [path] and len(list((tmp_path / "set [1]").iterdir())) == 2


def test_labels_beyond_int32_count_as_none(tmp_path, images):
    data.write_shards(images, tmp_path / "a.tar")
    data.write_shards(images, tmp_path / "b.tar", labels=range(2**40, 2**40 + NUMBER))
    assert data.load_shards(str(tmp_path / "a.tar"), SHAPE).test.labels is not None
    splits = data.load_shards(str(tmp_path / "b.tar"), SHAPE)
    assert not splits.train.labelled and splits.test.labels is None
    assert next(iter(data.batches(splits.train, 4, seed=0))).shape == (4, *SHAPE)


def fails_after(number):
    yield from (png(value) for value in range(number))
    raise RuntimeError("the source failed")


@pytest.mark.parametrize(
    "source, labels, error",
    [
        (lambda: fails_after(9), None, "the source failed"),
        (lambda: [png()], None, "2 pictures or more, one for each shard"),
        (lambda: [png(), png()], [1], "one label for each picture. Received: labels='fewer'"),
        (lambda: [np.zeros((2, 2), np.uint8)] * 2, None, "uint8 arrays"),
        (lambda: [png(), png()], [0, 1.5], r"Expected `labels\[1\]` to be an integer. Received: .*1.5"),
        (lambda: [png(), png()], np.eye(2), r"Expected `labels\[0\]` to be an integer"),
        (lambda: [png(), b"text"], None, "as picture 1, counted from 0, is not"),
    ],
)
def test_shards_are_written_whole_or_not_at_all(tmp_path, source, labels, error):
    with pytest.raises((ValueError, RuntimeError), match=error):
        data.write_shards(source(), tmp_path / "new" / "a-{0..1}.tar", labels)
    assert not (tmp_path / "new").exists()


def test_rename_that_fails_takes_back_the_others(tmp_path, monkeypatch):
    rename, done = os.replace, []

    def fail_third(source, target):
        done.append(target)
        if pathlib.Path(target).suffix == ".tar" and len([each for each in done if str(each).endswith(".tar")]) == 2:
            raise OSError("no room")
        rename(source, target)

    monkeypatch.setattr(os, "replace", fail_third)
    with pytest.raises(OSError, match="no room"):
        data.write_shards([png(1), png(2), png(3)], tmp_path / "new" / "a-{0..2}.tar")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["a.zip", "a-{0,1}/b.tar", "a.{tar,tfrecord}", "there.tar", "a{1,1}.tar"])
def test_pattern_that_cannot_be_written(tmp_path, name):
    (tmp_path / "there.tar").touch()
    with pytest.raises(ValueError, match="Expected `pattern` to be"):
        data.write_shards([png()] * 4, tmp_path / name)


def test_system_files_within_folders_of_an_archive_are_left_out(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name in ("folder/__icon__.png", "folder/a.png"):
            member = tarfile.TarInfo(name)
            member.size = len(png())
            archive.addfile(member, io.BytesIO(png()))
    assert [record.index for record in read(tmp_path / "a.tar")] == [0]
