"""Which files of a folder become images, and what is said of the rest. One picture is one grey level."""

import os
import pathlib
import re
import time

import numpy as np
import pytest
from PIL import Image

from zoo import data
from zoo.data import folders, sources
from zoo.runtime import disk


@pytest.fixture
def load(tmp_path, capsys):
    """Function of options that loads the folder and gives the grey levels in order, and the lines on stderr."""

    def loaded(folder=tmp_path, image_size=(4, 4), **options):
        splits = data.load_folder(folder, image_size, **options)
        parts = (splits.train, splits.validation, splits.test)
        greys = [[int(image.mean()) for image in part.images[:]] for part in parts]
        out, err = capsys.readouterr()
        assert out == ""
        # In the order of reading: the split is a matter of test_data.py.
        lines = [line for line in err.splitlines() if not line.startswith("too few pictures")]  # in many tests here
        return sorted(set(sum(greys, []))), lines

    return loaded


def write(path, level, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((4, 4), level, np.uint8)).save(path, **options)


def found(folder):
    """The names of the pictures below a folder, and the messages with the folder's own name left out."""
    result = folders.find(folder, {".png"})
    names = [path.relative_to(folder).as_posix() for path in result.pictures]
    return names, [line.replace(f"{folder}{os.sep}", "") for line in result.messages()]


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


# What counts.


def test_endings_of_any_case_count_and_all_others_are_counted(tmp_path):
    touch(tmp_path, "a.png", "b.PNG", "c.Png", "notes.txt", "x/more.TXT", "x/labels.json", "README", "a.png.bak")
    names, messages = found(tmp_path)
    assert names == ["a.png", "b.PNG", "c.Png"]
    kinds = "2 × .txt, 1 × no ending, 1 × .bak, 1 × .json"
    assert messages == [f"left out 5 files that are no pictures Pillow can read: {kinds}"]


def test_a_single_file_of_another_kind_is_told_of(tmp_path):
    touch(tmp_path, "a.png", "Thumbs.db")
    assert found(tmp_path)[1] == ["left out 1 file that is no picture Pillow can read: 1 × .db"]


def test_many_kinds_of_others_are_told_of_in_a_line(tmp_path):
    touch(tmp_path, *(f"scan.{number:04}" for number in range(500)), "a.txt", "b.txt")
    (message,) = found(tmp_path)[1]
    assert message.startswith("left out 502 files that are no pictures Pillow can read: 2 × .txt, 1 × .0000, ")
    assert message.endswith(" and 495 more") and len(message) < 150


def test_hidden_names_and_those_of_systems_are_left_out(tmp_path):
    touch(tmp_path, "a.png", ".b.png", ".cache/c.png", "x/._a.png", "__MACOSX/d.png", "@eaDir/a.png/thumb.png")
    names, messages = found(tmp_path)
    assert names == ["a.png"]
    assert messages == ["left out 5 × hidden: .b.png, .cache, @eaDir and 2 more"]


def test_a_folder_that_is_hidden_itself_is_read(tmp_path):
    touch(tmp_path, ".cache/x/a.png")
    assert found(tmp_path / ".cache") == (["x/a.png"], [])
    assert found(tmp_path / ".cache" / "x") == (["a.png"], [])


def test_order_is_that_of_the_paths_whatever_the_file_system_gives(tmp_path, monkeypatch):
    expected = ["B.png", "a-b/1.png", "a.png", "a/10.png", "a/2.png", "a/b/0.png", "b.png", "ä.png"]
    touch(tmp_path, *reversed(expected))
    assert found(tmp_path)[0] == expected
    listdir = os.listdir
    monkeypatch.setattr(os, "listdir", lambda path: sorted(listdir(path), key=lambda name: name[::-1]))
    assert found(tmp_path)[0] == expected


# Links.


def test_link_to_a_picture_beside_it_counts_once(tmp_path, load):
    for level in range(1, 6):
        write(tmp_path / f"{level}.png", level)
    (tmp_path / "0.png").symlink_to("5.png")  # earlier by its name, yet the link is left out
    (tmp_path / "6.png").symlink_to(tmp_path / "1.png")
    names, messages = found(tmp_path)
    assert names == ["1.png", "2.png", "3.png", "4.png", "5.png"]
    assert messages == ["left out 2 × linked, counted already: 0.png, 6.png"]
    assert load() == ([1, 2, 3, 4, 5], messages)


def test_a_file_of_two_names_counts_once(tmp_path):
    touch(tmp_path, "b.png")
    os.link(tmp_path / "b.png", tmp_path / "a.png")
    assert found(tmp_path) == (["a.png"], ["left out 1 × linked, counted already: b.png"])


def test_links_to_what_lies_elsewhere_are_followed(tmp_path):
    touch(tmp_path, "elsewhere/0123abcd", "elsewhere/y/b.png", "here/x/c.png")
    (tmp_path / "here" / "a.png").symlink_to(tmp_path / "elsewhere" / "0123abcd")
    (tmp_path / "here" / "y").symlink_to("../elsewhere/y")
    assert found(tmp_path / "here") == (["a.png", "x/c.png", "y/b.png"], [])


def test_linked_folder_beside_its_target_counts_once(tmp_path):
    touch(tmp_path, "x/a.png", "x/y/b.png")
    (tmp_path / "again").symlink_to("x")
    (tmp_path / "inner").symlink_to("x/y")
    expected = ["left out 2 × linked, counted already: again, inner"]
    assert found(tmp_path) == (["x/a.png", "x/y/b.png"], expected)


def test_linked_folders_that_overlap_count_once(tmp_path):
    """`all` has in it what `part` leads to; neither is reached without a link."""
    touch(tmp_path, "elsewhere/a.png", "elsewhere/y/b.png", "here/c.png")
    (tmp_path / "here" / "all").symlink_to("../elsewhere")
    (tmp_path / "here" / "part").symlink_to("../elsewhere/y")
    names, messages = found(tmp_path / "here")
    assert names == ["all/a.png", "all/y/b.png", "c.png"]
    assert messages == ["left out 1 × linked, counted already: part"]


def test_loops_of_links_end(tmp_path):
    touch(tmp_path, "here/a.png", "here/x/b.png", "beside/c.png")
    (tmp_path / "here" / "x" / "up").symlink_to("..")
    (tmp_path / "here" / "self").symlink_to(".")
    (tmp_path / "here" / "out").symlink_to("../beside")
    (tmp_path / "beside" / "back").symlink_to("../here")
    names, messages = found(tmp_path / "here")
    assert names == ["a.png", "out/c.png", "x/b.png"]
    assert messages == ["left out 3 × linked, counted already: out/back, self, x/up"]


def test_a_folder_given_as_a_link_is_read(tmp_path, load):
    write(tmp_path / "x" / "a.png", 7)
    (tmp_path / "link").symlink_to("x")
    assert load(tmp_path / "link") == ([7], [])


def test_broken_links_are_named(tmp_path, load):
    write(tmp_path / "a.png", 7)
    (tmp_path / "b.png").symlink_to("gone.png")
    (tmp_path / "holidays").symlink_to("/mnt/no such disk")
    (tmp_path / "self.png").symlink_to("self.png")
    (tmp_path / ".hidden").symlink_to("gone")
    levels, lines = load()
    assert levels == [7]
    assert lines == [
        f"skipped {tmp_path / 'b.png'}: a broken link to gone.png",
        f"skipped {tmp_path / 'holidays'}: a broken link to /mnt/no such disk",
        f"skipped {tmp_path / 'self.png'}: Too many levels of symbolic links",
        "left out 1 × hidden: .hidden",
    ]


def test_a_link_more_changes_no_split(tmp_path, load):
    for level in range(40):
        write(tmp_path / "x" / f"{level:02}.png", level)
    before = data.load_folder(tmp_path, 4)
    (tmp_path / "a").symlink_to("x")
    (tmp_path / "00.png").symlink_to("x/31.png")
    after = data.load_folder(tmp_path, 4)
    for part in ("train", "validation", "test"):
        assert np.array_equal(getattr(after, part).images, getattr(before, part).images)


def test_file_systems_without_numbers_of_files(tmp_path, monkeypatch):
    """There the path with all links resolved says what is the same."""
    touch(tmp_path, "a.png", "x/b.png")
    (tmp_path / "c.png").symlink_to("a.png")
    (tmp_path / "y").symlink_to("x")
    stat = os.stat

    def without_number(path, **kwargs):
        status = list(stat(path, **kwargs))
        return os.stat_result([status[0], 0, *status[2:]])

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", without_number)
        names, messages = found(tmp_path)
    assert names == ["a.png", "x/b.png"] and messages == ["left out 2 × linked, counted already: c.png, y"]


def test_files_of_one_number_on_two_disks_are_two(tmp_path, monkeypatch):
    touch(tmp_path, "a.png", "b.png")
    stat = os.stat

    def of_its_own_disk(path, **kwargs):
        status = list(stat(path, **kwargs))
        if os.fspath(path).endswith(".png"):
            status[1:3] = 7, ord(pathlib.Path(path).stem)
        return os.stat_result(status)

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", of_its_own_disk)
        assert found(tmp_path) == (["a.png", "b.png"], [])


# What cannot be read.


def test_a_pipe_is_not_waited_for(tmp_path, load):
    write(tmp_path / "a.png", 7)
    os.mkfifo(tmp_path / "b.png")
    begin = time.monotonic()
    assert load() == ([7], [f"skipped {tmp_path / 'b.png'}: no regular file"])
    assert time.monotonic() - begin < 5


def test_folder_without_permission_is_named(tmp_path, monkeypatch, load):
    write(tmp_path / "a.png", 7)
    write(tmp_path / "locked" / "b.png", 8)
    listdir = os.listdir

    def refuse(path):
        if pathlib.Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return listdir(path)

    monkeypatch.setattr(os, "listdir", refuse)
    assert load() == ([7], [f"skipped {tmp_path / 'locked'}: Permission denied"])


def test_pictures_that_cannot_be_read_are_named_with_the_reason(tmp_path, load, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    write(tmp_path / "a.png", 7)
    Image.fromarray(np.zeros((2, 2), np.float32)).save(tmp_path / "b.tif")
    Image.new("L", (20, 20)).save(tmp_path / "c.png")
    (tmp_path / "d.webp").write_bytes(b"")
    levels, lines = load()
    assert levels == [7] and len(lines) == 3
    assert lines[0] == f"skipped {tmp_path / 'b.tif'}: its pixels are floats, whose range is unknown"
    assert lines[1].startswith(f"skipped {tmp_path / 'c.png'}: Image size (400 pixels) exceeds limit")
    assert lines[2] == f"skipped {tmp_path / 'd.webp'}: an empty file"


def test_a_warning_is_told_of_once(tmp_path, load):
    for level in (7, 77):
        write(tmp_path / f"{level}.jpg", level, exif=b"Exif\0\0this is no EXIF")
    levels, lines = load()
    assert len(levels) == 2
    assert lines == [
        f"read {tmp_path / '7.jpg'}, with a warning: EXIF data cannot be read, so the picture may lie on its side"
    ]


def test_what_is_left_out_is_told_before_there_is_no_image(tmp_path, capsys):
    touch(tmp_path, "a.heic", "b.HEIC", ".c.png")
    with pytest.raises(data.DataError, match="There is no image in"):
        data.load_folder(tmp_path, 4)
    assert capsys.readouterr().err.splitlines() == [
        "left out 2 files that are no pictures Pillow can read: 2 × .heic",
        "left out 1 × hidden: .c.png",
    ]


# Copies.


def test_copies_count_once(tmp_path, load):
    for level in range(1, 5):
        write(tmp_path / f"{level}.png", level)
    (tmp_path / "x").mkdir()
    for name in ("5.png", "x/1.png"):
        (tmp_path / name).write_bytes((tmp_path / "2.png").read_bytes())
    levels, lines = load()
    assert levels == [1, 2, 3, 4]
    first = f"{tmp_path / '5.png'} of {tmp_path / '2.png'}"
    assert lines == [f"left out 2 × copied, with the same pixels: {first} and 1 more"]


def test_one_picture_in_two_formats_counts_once(tmp_path, load):
    write(tmp_path / "a.png", 7)
    write(tmp_path / "b.bmp", 7)
    write(tmp_path / "c.bmp", 8)
    levels, lines = load()
    assert levels == [7, 8] and len(lines) == 1 and "b.bmp of" in lines[0]


@pytest.mark.parametrize("on_disk", [False, True])
def test_no_picture_is_in_two_parts_however_often_it_is_there(tmp_path, capsys, on_disk):
    """Each of 20 pictures four times, and broken files between them."""
    noise = np.random.default_rng(0).integers(0, 256, (20, 4, 4, 3), np.uint8)
    (tmp_path / "x").mkdir()
    for number in range(80):
        Image.fromarray(noise[number % 20]).save(tmp_path / "x" / f"{number}.png")
        if number % 7 == 0:
            (tmp_path / "x" / f"{number}broken.png").write_bytes(b"this is no picture")
    splits = data.load_folder(tmp_path / "x", 4, tmp_path if on_disk else None)
    assert isinstance(splits.train.images, disk.DiskArray) == on_disk
    parts = [[row.tobytes() for row in part.images[:]] for part in (splits.train, splits.validation, splits.test)]
    assert [len(part) for part in parts] == [17, 1, 2]
    assert sorted(sum(parts, [])) == sorted(picture.tobytes() for picture in noise)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 13 and lines[-1].startswith("left out 60 × copied")


def test_copies_of_a_single_picture_are_a_single_picture(tmp_path, load):
    for name in ("a.png", "b.png", "c.png"):
        write(tmp_path / name, 7)
    assert load()[0] == [7]
    assert len(data.load_folder(tmp_path, 4).train) == 1


# Options.


def test_background_is_white_unless_given(tmp_path, load):
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(tmp_path / "a.png")
    assert load() == ([255], [])
    assert load(background=[7, 7, np.uint8(7)]) == ([7], [])


@pytest.mark.parametrize("background", [(0, 0, 256), (-1, 0, 0), (0, 0), (0.5, 0, 0), (True, 0, 0), "white", 255, None])
def test_background_is_checked_before_a_file_is_read(tmp_path, background):
    message = f"Expected `background` to be three integers from 0 to 255: red, green, blue. Received: {background=}"
    with pytest.raises(ValueError, match=re.escape(message)):
        data.load_folder(tmp_path / "missing", (4, 4), background=background)


SIZES = [0, -4, 2.0, True, "64", (4,), (4, 4, 3), (4, 0), (4, 2.5), (4, True), (4, None), ()]


@pytest.mark.parametrize("image_size", [None, *SIZES])
def test_image_size_is_checked_before_a_file_is_read(tmp_path, image_size):
    message = f"Expected `image_size` to be an integer >= 1, or a pair (H, W) of them. Received: {image_size=}"
    with pytest.raises(ValueError, match=re.escape(message)):
        data.load_folder(tmp_path / "missing", image_size)


@pytest.mark.parametrize("image_size", SIZES)
def test_image_size_of_a_dataset_is_checked_before_it_is_fetched(monkeypatch, image_size):
    monkeypatch.setattr(sources, "prepared", None)
    message = f"Expected `image_size` to be an integer >= 1, or a pair (H, W) of them. Received: {image_size=}"
    with pytest.raises(ValueError, match=re.escape(message)):
        data.load("mnist", image_size=image_size, sample=True)


@pytest.mark.parametrize(
    "image_size, shape", [(6, (6, 6)), ([3, 5], (3, 5)), (np.array([3, 5]), (3, 5)), ((1, 1), (1, 1))]
)
def test_image_size_is_a_side_or_a_pair(tmp_path, image_size, shape):
    write(tmp_path / "a.png", 7)
    splits = data.load_folder(tmp_path, image_size)
    assert splits.train.images.shape == (1, *shape, 3)


def test_hidden_files_are_named_in_order(tmp_path):
    for name in ("__MACOSX/a.png", "A/.b.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    assert list(map(str, folders.find(tmp_path, (".png",)).hidden)) == ["A/.b.png", "__MACOSX"]
