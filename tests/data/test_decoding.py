"""Picture files of many formats and modes become the pixels that one works out by hand."""

import itertools
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import ExifTags, Image, features

from zoo.data import decoding

BEHIND = (10, 20, 30)
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
CORNERS = np.uint8([[RED, GREEN, GREEN], [BLUE, WHITE, WHITE]])  # every turn and flip of it is another image


def read(path, image_size=None, background=BEHIND):
    """The pixels of a file, which comes without warnings, in its own size or another."""
    if image_size is None:
        with Image.open(path) as image:
            image_size = image.size[::-1]
    pixels, told = decoding.read(path, image_size, background)
    assert told == [] and pixels.dtype == np.uint8 and pixels.shape == (*image_size, 3)
    return pixels


def reason(path, image_size=(2, 3)):
    with pytest.raises(decoding.Unreadable) as caught:
        decoding.read(path, image_size, BEHIND)
    return str(caught.value)


def png(path, depth, colour, rows, transparent):
    """A PNG as Pillow writes none: of few or many bits, with a transparent colour; `rows` are packed."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 2, len(rows), depth, colour, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    chunks = [(b"IHDR", header), (b"tRNS", transparent), (b"IDAT", pixels), (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(itertools.starmap(chunk, chunks)))


def tiff(path, bits, white_is_zero, content):
    """A TIFF of one row of two greys, as Pillow writes none."""
    tags = [(256, 3, 2), (257, 3, 1), (258, 3, bits), (259, 3, 1), (262, 3, 0 if white_is_zero else 1)]
    tags += [(273, 4, 122), (277, 3, 1), (278, 3, 1), (279, 4, len(content))]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    path.write_bytes(b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + content)


# Formats.


LOSSLESS = [".png", ".PNG", ".bmp", ".dib", ".gif", ".tif", ".TIFF", ".ppm", ".tga", ".pcx", ".qoi", ".sgi", ".webp"]


@pytest.mark.parametrize("ending", LOSSLESS)
def test_lossless_formats_give_their_pixels_to_the_bit(tmp_path, ending):
    Image.fromarray(CORNERS).save(tmp_path / f"a{ending}", **({"lossless": True} if ending == ".webp" else {}))
    assert ending.lower() in decoding.endings()
    assert np.array_equal(read(tmp_path / f"a{ending}"), CORNERS)


@pytest.mark.parametrize("ending", [".jpg", ".jpeg", ".jfif", ".JPG", ".jp2", ".avif", ".mpo", ".webp"])
def test_lossy_formats_give_their_pixels_nearly(tmp_path, ending):
    if ending == ".avif" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    Image.new("RGB", (32, 16), (200, 100, 50)).save(tmp_path / f"a{ending}")
    assert ending.lower() in decoding.endings()
    np.testing.assert_allclose(read(tmp_path / f"a{ending}"), np.tile((200, 100, 50), (16, 32, 1)), atol=3)


def test_documents_films_and_measurements_are_no_pictures():
    for ending in (".pdf", ".eps", ".ps", ".mpg", ".mpeg", ".h5", ".hdf", ".fits", ".wmf", ".emf", ".grib", ".txt", ""):
        assert ending not in decoding.endings()


def test_formats_that_this_pillow_was_built_without_are_not_read(monkeypatch):
    monkeypatch.setattr(features, "check", lambda feature: feature not in ("avif", "webp"))
    endings = decoding.endings.__wrapped__()
    assert not {".avif", ".avifs", ".webp"} & set(endings) and {".jpg", ".jp2", ".png"} < set(endings)


def test_content_goes_before_the_ending_among_pictures_only(tmp_path):
    """A JPEG named .png is read; PostScript named .png is not handed to Ghostscript."""
    Image.new("RGB", (3, 2), BLUE).save(tmp_path / "a.png", "JPEG")
    assert read(tmp_path / "a.png")[0, 0, 2] > 250
    Image.new("RGB", (3, 2), BLUE).save(tmp_path / "b.png", "EPS")
    assert reason(tmp_path / "b.png") == "no picture of a format that Pillow can read"


@pytest.mark.parametrize("ending", [".gif", ".webp", ".tiff", ".png", ".avif"])
def test_the_first_of_several_frames_is_read(tmp_path, ending):
    if ending == ".avif" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    red, blue = (Image.new("RGB", (16, 16), colour) for colour in (RED, BLUE))
    red.save(tmp_path / f"a{ending}", save_all=True, append_images=[blue, red])
    with Image.open(tmp_path / f"a{ending}") as image:
        assert image.n_frames == 3
    np.testing.assert_allclose(read(tmp_path / f"a{ending}"), np.tile(RED, (16, 16, 1)), atol=4)


# Orientation. 0 row first, 0 column first: what EXIF calls each, by its definition.


UPRIGHT = {
    1: CORNERS,
    2: CORNERS[:, ::-1],
    3: CORNERS[::-1, ::-1],
    4: CORNERS[::-1],
    5: CORNERS.transpose(1, 0, 2),
    6: CORNERS.transpose(1, 0, 2)[:, ::-1],  # its right side is the top of what was seen: a turn clockwise
    7: CORNERS.transpose(1, 0, 2)[::-1, ::-1],
    8: CORNERS.transpose(1, 0, 2)[::-1],
}


def orientation(value):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = value
    return exif


@pytest.mark.parametrize("ending", [".png", ".tiff", ".webp"])
@pytest.mark.parametrize("value", UPRIGHT)
def test_orientation_of_exif_is_applied(tmp_path, value, ending):
    keys = {"lossless": True} if ending == ".webp" else {}
    Image.fromarray(CORNERS).save(tmp_path / f"a{ending}", exif=orientation(value), **keys)
    assert np.array_equal(read(tmp_path / f"a{ending}", UPRIGHT[value].shape[:2]), UPRIGHT[value])


@pytest.mark.parametrize("value", UPRIGHT)
def test_orientation_of_a_photograph_is_applied(tmp_path, value):
    """JPEG: each pixel a block of 16×16, which keeps its middle."""
    Image.fromarray(CORNERS.repeat(16, 0).repeat(16, 1)).save(tmp_path / "a.jpg", exif=orientation(value), quality=95)
    height, width = UPRIGHT[value].shape[:2]
    middles = read(tmp_path / "a.jpg", (16 * height, 16 * width))[8::16, 8::16]
    np.testing.assert_allclose(middles, UPRIGHT[value], atol=3)


def test_orientation_goes_before_the_cut(tmp_path):
    """A tall picture stored as a wide one loses its top and bottom: blocks 0 and 2 of three."""
    stored = np.zeros((4, 12, 3), np.uint8)
    stored[:, :4], stored[:, 4:8], stored[:, 8:] = RED, GREEN, BLUE
    Image.fromarray(stored).save(tmp_path / "a.png", exif=orientation(6))
    assert np.array_equal(read(tmp_path / "a.png", (4, 4)), np.tile(np.uint8(GREEN), (4, 4, 1)))
    assert np.array_equal(read(tmp_path / "a.png", (12, 4))[:, 0], np.repeat([RED, GREEN, BLUE], 4, axis=0))


def test_exif_data_that_pillow_cannot_write_again_turn_the_picture(tmp_path, monkeypatch):
    Image.fromarray(CORNERS).save(tmp_path / "a.png", exif=orientation(6))
    monkeypatch.delattr(Image.Exif, "tobytes")
    assert np.array_equal(read(tmp_path / "a.png", (3, 2)), UPRIGHT[6])


def test_orientation_in_xmp_alone_is_applied(tmp_path):
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="6"/></x:xmpmeta>'
    Image.fromarray(CORNERS).save(tmp_path / "a.webp", xmp=xmp, lossless=True)
    assert np.array_equal(read(tmp_path / "a.webp", (3, 2)), UPRIGHT[6])


def test_exif_data_cut_short_are_told_of(tmp_path):
    Image.new("RGB", (3, 2), BLUE).save(tmp_path / "a.jpg", exif=orientation(6).tobytes()[:20])
    assert any("EXIF" in line for line in decoding.read(tmp_path / "a.jpg", (2, 3), BEHIND)[1])


def test_orientation_of_16_bit_greys_is_applied(tmp_path):
    Image.fromarray(np.uint16([[256, 512], [1024, 2048]])).save(tmp_path / "a.png", exif=orientation(6))
    assert read(tmp_path / "a.png")[:, :, 0].tolist() == [[4, 1], [8, 2]]


@pytest.mark.parametrize("value", [0, 9, 77])
def test_orientations_that_do_not_exist_mean_upright(tmp_path, value):
    Image.fromarray(CORNERS).save(tmp_path / "a.png", exif=orientation(value))
    assert np.array_equal(read(tmp_path / "a.png"), CORNERS)


@pytest.mark.parametrize("content", [b"Exif\0\0this is no EXIF", b"Exif\0\0MM"])
def test_broken_exif_data_are_told_of(tmp_path, content):
    Image.new("RGB", (3, 2), BLUE).save(tmp_path / "a.jpg", exif=content)
    pixels, told = decoding.read(tmp_path / "a.jpg", (2, 3), BEHIND)
    assert told == ["EXIF data cannot be read, so the picture may lie on its side"]
    assert pixels[:, :, 2].min() > 250


# Transparency. Expected: colour · alpha + background · (1 − alpha).


def test_alpha_of_colours_shows_the_background(tmp_path):
    pixels = np.uint8([[(*RED, 255), (*RED, 0), (255, 0, 100, 51)]])  # a fifth
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert read(tmp_path / "a.png").tolist() == [[[255, 0, 0], [10, 20, 30], [59, 16, 44]]]
    assert read(tmp_path / "a.png", background=WHITE).tolist() == [[[255, 0, 0], [255, 255, 255], [255, 204, 224]]]


@pytest.mark.parametrize("ending", [".png", ".tif"])
def test_alpha_of_greys_shows_the_background(tmp_path, ending):
    pixels = np.uint8([[(200, 255), (200, 0), (100, 51)]])
    Image.fromarray(pixels, "LA").save(tmp_path / f"a{ending}")
    assert read(tmp_path / f"a{ending}").tolist() == [[[200] * 3, [10, 20, 30], [28, 36, 44]]]


@pytest.mark.parametrize("mode", ["La", "RGBa"])
def test_premultiplied_alpha_shows_the_background(mode):
    pixels = Image.fromarray(np.uint8([[(200, 200, 200, 255), (200, 200, 200, 0), (100, 100, 100, 51)]]))
    image = (pixels.convert("LA") if mode == "La" else pixels).convert(mode)
    assert image.mode == mode
    found = np.asarray(decoding._on_background(image, BEHIND))
    np.testing.assert_allclose(found, [[[200] * 3, [10, 20, 30], [28, 36, 44]]], atol=1)


def test_palette_with_alpha_beside_it_shows_the_background():
    image = Image.fromarray(np.uint8([[(*RED, 255), (*GREEN, 0)]]), "RGBA").convert("PA")
    assert image.mode == "PA"
    assert np.asarray(decoding._on_background(image, BEHIND)).tolist() == [[[255, 0, 0], [10, 20, 30]]]


def palette(colours, indices):
    image = Image.fromarray(np.uint8(indices), "P")
    image.putpalette(sum(colours, ()))
    return image


@pytest.mark.parametrize("ending", [".png", ".gif", ".bmp", ".tif", ".pcx"])
def test_palettes_give_their_colours(tmp_path, ending):
    palette([BLUE, RED, (7, 8, 9)], [[0, 1, 2], [2, 1, 0]]).save(tmp_path / f"a{ending}")
    assert read(tmp_path / f"a{ending}").tolist() == [[[0, 0, 255], [255, 0, 0], [7, 8, 9]]] + [
        [[7, 8, 9], [255, 0, 0], [0, 0, 255]]
    ]


@pytest.mark.parametrize("ending", [".png", ".gif"])
def test_a_transparent_colour_of_a_palette_shows_the_background(tmp_path, ending):
    palette([BLUE, RED], [[0, 1]]).save(tmp_path / f"a{ending}", transparency=0)
    assert read(tmp_path / f"a{ending}").tolist() == [[[10, 20, 30], [255, 0, 0]]]


def test_alphas_of_a_palette_show_the_background(tmp_path):
    palette([(255, 0, 100), RED], [[0, 1]]).save(tmp_path / "a.png", transparency=bytes([51, 255]))
    assert read(tmp_path / "a.png").tolist() == [[[59, 16, 44], [255, 0, 0]]]


@pytest.mark.parametrize(
    "depth, row, transparent, level",
    [
        (1, bytes([0b01000000]), 1, 0),
        (1, bytes([0b10000000]), 0, 255),
        (2, bytes([0b10010000]), 1, 170),
        (4, bytes([0x8F]), 15, 136),
        (8, bytes([12, 15]), 15, 12),
        (16, struct.pack(">HH", 0x1234, 0x12FF), 0x12FF, 0x12),  # no other level with the same upper byte
    ],
)
def test_the_transparent_grey_of_a_png_is_in_its_own_scale(tmp_path, depth, row, transparent, level):
    png(tmp_path / "a.png", depth, 0, [row], struct.pack(">H", transparent))
    expected = [[level] * 3, [10, 20, 30]]
    assert read(tmp_path / "a.png").tolist() == [expected]


@pytest.mark.parametrize("depth, form", [(8, ">BBBBBB"), (16, ">HHHHHH")])
def test_the_transparent_colour_of_a_png_is_in_its_own_scale(tmp_path, depth, form):
    levels = np.array([0x12, 0x56, 0x9A, 0x13, 0x56, 0x9A]) * (257 if depth == 16 else 1)
    png(tmp_path / "a.png", depth, 2, [struct.pack(form, *levels)], struct.pack(">HHH", *levels[:3]))
    assert read(tmp_path / "a.png").tolist() == [[[10, 20, 30], [0x13, 0x56, 0x9A]]]


# Colours.


@pytest.mark.parametrize("ending", [".png", ".tif", ".bmp", ".pbm"])
def test_one_bit_is_black_and_white(tmp_path, ending):
    Image.fromarray(np.array([[True, False, False]])).save(tmp_path / f"a{ending}")
    assert read(tmp_path / f"a{ending}")[0, :, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("ending", [".png", ".tif", ".bmp", ".pgm", ".gif"])
def test_greys_become_three_equal_channels(tmp_path, ending):
    Image.fromarray(np.uint8([[0, 7, 255]])).save(tmp_path / f"a{ending}")
    assert read(tmp_path / f"a{ending}").tolist() == [[[0] * 3, [7] * 3, [255] * 3]]


def test_cmyk_becomes_rgb(tmp_path):
    inks = np.uint8([[(0, 0, 0, 0), (255, 0, 0, 0), (0, 255, 255, 0), (0, 0, 0, 255)]])
    Image.fromarray(inks, "CMYK").save(tmp_path / "a.tif")
    assert read(tmp_path / "a.tif").tolist() == [[[255] * 3, [0, 255, 255], [255, 0, 0], [0, 0, 0]]]


def test_cmyk_photographs_are_not_inverted(tmp_path):
    """Pillow writes them as Adobe does, upside down, and with its marker."""
    Image.fromarray(np.full((16, 16, 4), (0, 255, 255, 0), np.uint8), "CMYK").save(tmp_path / "a.jpg", quality=95)
    assert b"Adobe" in (tmp_path / "a.jpg").read_bytes()
    np.testing.assert_allclose(read(tmp_path / "a.jpg"), np.tile(RED, (16, 16, 1)), atol=4)


def test_ycbcr_becomes_rgb(tmp_path):
    Image.new("RGB", (16, 16), RED).convert("YCbCr").save(tmp_path / "a.tif")
    np.testing.assert_allclose(read(tmp_path / "a.tif"), np.tile(RED, (16, 16, 1)), atol=2)


@pytest.mark.skipif(not features.check("littlecms2"), reason="this Pillow has no LittleCMS")
def test_lab_becomes_rgb(tmp_path):
    """sRGB's red is L* = 54.3, a* = 80.8, b* = 69.9 in the light of print, D50; 255 stands for L* = 100."""
    Image.fromarray(np.uint8([[(0, 0, 0), (255, 0, 0), (138, 81, 70)]]), "LAB").save(tmp_path / "a.tif")
    np.testing.assert_allclose(read(tmp_path / "a.tif"), [[(0, 0, 0), WHITE, RED]], atol=6)


@pytest.mark.parametrize("mode, dtype, ending", [
    ("I;16", "<u2", ".png"), ("I;16", "<u2", ".tif"), ("I;16", "<u2", ".jp2"),
    ("I;16B", ">u2", ".png"), ("I;16B", ">u2", ".tif"),
])  # fmt: skip
def test_16_bit_greys_keep_their_upper_bytes(tmp_path, mode, dtype, ending):
    levels = np.array([[0, 255, 256, 0x1234, 65535]], dtype)
    image = Image.frombytes(mode, (5, 1), levels.tobytes())
    image.save(tmp_path / f"a{ending}")
    assert read(tmp_path / f"a{ending}").tolist() == [[[level] * 3 for level in (0, 0, 1, 0x12, 255)]]


@pytest.mark.parametrize("ending", [".tif", ".pgm"])
def test_integers_of_16_bits_keep_their_upper_bytes(tmp_path, ending):
    Image.fromarray(np.int32([[0, 255, 256, 0x1234, 65535]])).save(tmp_path / f"a{ending}")
    assert read(tmp_path / f"a{ending}")[0, :, 0].tolist() == [0, 0, 1, 0x12, 255]


def test_pgm_of_10_bits_fills_8(tmp_path):
    (tmp_path / "a.pgm").write_bytes(b"P5 3 1 1023\n" + struct.pack(">HHH", 0, 512, 1023))
    assert read(tmp_path / "a.pgm")[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize("bits, white_is_zero, content", [
    (8, False, "12ff"), (8, True, "12ff"), (12, False, "12ffff"), (16, False, "ff12ffff"), (16, True, "ff12ffff"),
])  # fmt: skip
def test_tiff_greys_of_all_depths_fill_8_bits(tmp_path, bits, white_is_zero, content):
    tiff(tmp_path / "a.tif", bits, white_is_zero, bytes.fromhex(content))
    assert read(tmp_path / "a.tif")[0, :, 0].tolist() == ([0xED, 0] if white_is_zero else [0x12, 255])


def test_16_bit_colours_keep_their_upper_bytes(tmp_path):
    png(tmp_path / "a.png", 16, 6, [struct.pack(">HHHHHHHH", 0x1234, 0x56FF, 65535, 65535, 0, 0, 0, 0)], b"")
    assert read(tmp_path / "a.png").tolist() == [[[0x12, 0x56, 255], [10, 20, 30]]]


def test_floats_and_long_integers_are_refused_with_the_reason(tmp_path):
    Image.fromarray(np.float32([[0, 0.5, 1]])).save(tmp_path / "a.tif")
    assert reason(tmp_path / "a.tif") == "its pixels are floats, whose range is unknown"
    for levels in ([[0, 70_000]], [[0, 2**16]], [[-1, 5]]):
        Image.fromarray(np.int32(levels)).save(tmp_path / "b.tif")
        assert reason(tmp_path / "b.tif") == "its pixels are integers of more than 16 bits, whose range is unknown"


# Sizes.


@pytest.mark.parametrize("shape, image_size, part", [
    ((2, 6), (2, 2), np.s_[:, 2:4]),
    ((6, 2), (2, 2), np.s_[2:4]),
    ((4, 6), (4, 3), np.s_[:, 1:4]),  # of an odd rest the smaller half goes first
    ((5, 4), (2, 4), np.s_[1:3]),
    ((3, 5), (3, 5), np.s_[:]),
])  # fmt: skip
def test_the_central_part_is_cut_out_and_left_to_the_bit(tmp_path, shape, image_size, part):
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert np.array_equal(read(tmp_path / "a.png", image_size), pixels[part])


def test_what_is_cut_off_leaves_no_trace(tmp_path):
    """Red on both sides of a green square, which is halved."""
    pixels = np.full((20, 60, 3), RED, np.uint8)
    pixels[:, 20:40] = GREEN
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert np.array_equal(read(tmp_path / "a.png", (10, 10)), np.tile(np.uint8(GREEN), (10, 10, 1)))


def test_pictures_are_made_smaller_with_antialiasing(tmp_path):
    """Lines of black and white become grey; the nearest four pixels alone would leave lines."""
    lines = np.zeros((64, 64, 3), np.uint8)
    lines[:, ::2] = 255
    Image.fromarray(lines).save(tmp_path / "a.png")
    middle = read(tmp_path / "a.png", (8, 8))[:, 1:-1]
    assert middle.min() == middle.max() and middle[0, 0, 0] in (127, 128)


def test_small_pictures_are_enlarged(tmp_path):
    """Bilinear: the middle of each of two pixels keeps its value, between them lies a ramp."""
    Image.fromarray(np.uint8([[0, 80], [0, 80]])).save(tmp_path / "a.png")
    assert read(tmp_path / "a.png", (4, 4))[:, :, 0].tolist() == [[0, 20, 60, 80]] * 4


@pytest.mark.parametrize("shape", [(1, 1), (1, 200), (200, 1)])
@pytest.mark.parametrize("image_size", [(1, 1), (8, 2), (2, 8)])
def test_thin_pictures_are_read(tmp_path, shape, image_size):
    Image.new("RGB", shape, BLUE).save(tmp_path / "a.png")
    assert np.array_equal(read(tmp_path / "a.png", image_size), np.tile(np.uint8(BLUE), (*image_size, 1)))


# Broken files.


@pytest.mark.parametrize(
    "content, expected",
    [
        (b"", "an empty file"),
        (b"this is no picture", "no picture of a format that Pillow can read"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "no picture of a format that Pillow can read"),
    ],
)
def test_what_is_no_picture_is_unreadable(tmp_path, content, expected):
    (tmp_path / "a.png").write_bytes(content)
    assert reason(tmp_path / "a.png") == expected


def test_files_that_are_missing_or_folders_are_unreadable(tmp_path):
    assert reason(tmp_path / "a.png") == "No such file or directory"
    assert reason(tmp_path) == "Is a directory"


@pytest.mark.parametrize("ending", [".png", ".jpg", ".bmp", ".gif", ".tif", ".webp", ".ppm"])
def test_files_that_are_cut_short_are_unreadable(tmp_path, ending):
    noise = np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / f"a{ending}")
    whole = (tmp_path / f"a{ending}").read_bytes()
    for part in (0.3, 0.6, 0.9):
        (tmp_path / f"a{ending}").write_bytes(whole[: int(len(whole) * part)])
        assert reason(tmp_path / f"a{ending}")


@pytest.mark.parametrize("number", range(5, 25))
def test_png_without_its_last_bytes_is_unreadable(tmp_path, number):
    """Those are the checksum of the pixels and the end, without which Pillow would take it for whole.

    The last four are the checksum of an empty end: as good as there.
    """
    Image.fromarray(CORNERS).save(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:-number])
    assert reason(tmp_path / "a.png")


def test_png_with_a_wrong_checksum_is_unreadable(tmp_path):
    Image.fromarray(CORNERS).save(tmp_path / "a.png")
    content = bytearray((tmp_path / "a.png").read_bytes())
    content[-13] ^= 1  # the last byte of the pixels' checksum; 12 are the end
    (tmp_path / "a.png").write_bytes(content)
    assert "checksum" in reason(tmp_path / "a.png")


def test_bombs_are_unreadable_and_large_photographs_are_not(tmp_path, monkeypatch):
    Image.fromarray(CORNERS).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5)  # of 6; Pillow warns up to twice as many
    assert np.array_equal(read(tmp_path / "a.png", (2, 3)), CORNERS)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2)
    assert "decompression bomb" in reason(tmp_path / "a.png")


@pytest.mark.parametrize(
    "error, expected",
    [
        (ValueError("one\ntwo"), "one"),
        (KeyError(), "KeyError"),
        (MemoryError(), "MemoryError"),
        (PermissionError(13, "Permission denied", "a.png"), "Permission denied"),
    ],
)
def test_a_reason_is_one_line(tmp_path, monkeypatch, error, expected):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(Image, "open", fail)
    assert reason(tmp_path / "a.png") == expected


def test_warnings_of_pillow_come_back_and_do_not_leave_the_reader(tmp_path, monkeypatch):
    def warn(image):
        for category in (UserWarning, RuntimeWarning, Image.DecompressionBombWarning):
            warnings.warn(f"odd {category.__name__}", category, stacklevel=1)
        return image

    monkeypatch.setattr(decoding.ImageOps, "exif_transpose", warn)
    Image.fromarray(CORNERS).save(tmp_path / "a.png")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert decoding.read(tmp_path / "a.png", (2, 3), BEHIND)[1] == ["odd UserWarning", "odd RuntimeWarning"]
    assert not caught


def test_files_are_closed(tmp_path):
    """An unclosed one would warn of itself; an unreadable one as well."""
    Image.fromarray(CORNERS).save(tmp_path / "a.gif")
    (tmp_path / "b.png").write_bytes(b"this is no picture")
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        read_again = [decoding.read(tmp_path / "a.gif", (2, 3), BEHIND)[0] for _ in range(2)]
        assert "Pillow" in reason(tmp_path / "b.png")
    assert np.array_equal(*read_again)
