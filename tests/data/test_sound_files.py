"""Sounds: WAV files, rates, labels, splits, and the synthesiser."""

import struct
import wave

import numpy as np
import pytest

from zoo import data


def write(path, levels, dtype, channels=1, rate=8000):
    path.parent.mkdir(exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(np.dtype(dtype).itemsize)
        file.setframerate(rate)
        file.writeframes(np.asarray(levels, dtype).tobytes())


def test_wav_files_of_every_width_are_read(tmp_path):
    write(tmp_path / "a.wav", [128, 255, 0], np.uint8)
    np.testing.assert_allclose(data.read_wav(tmp_path / "a.wav"), [0, 127 / 128, -1])
    write(tmp_path / "b.wav", [[2**14, 0], [-(2**15), -(2**15)]], "<i2", channels=2)
    np.testing.assert_allclose(data.read_wav(tmp_path / "b.wav"), [0.25, -1])
    write(tmp_path / "c.wav", [2**30], "<i4")
    np.testing.assert_allclose(data.read_wav(tmp_path / "c.wav"), [0.5])
    with wave.open(str(tmp_path / "d.wav"), "wb") as file:
        file.setparams((1, 3, 8000, 1, "NONE", ""))
        file.writeframes(bytes([0, 0, 0xC0]))
    np.testing.assert_allclose(data.read_wav(tmp_path / "d.wav"), [-0.5])
    plain = (tmp_path / "d.wav").read_bytes()
    rest = struct.pack("<HHI", 22, 24, 4) + bytes.fromhex("0100000000001000800000aa00389b71")
    header = b"fmt " + struct.pack("<IH", 40, 0xFFFE) + plain[22:36] + rest
    for kind, expected in ((1, [-0.5]), (3, None)):  # PCM, and floats
        header = header[:32] + bytes([kind]) + header[33:]
        size = struct.pack("<I", len(plain) + 16)
        (tmp_path / "e.wav").write_bytes(plain[:4] + size + plain[8:12] + header + plain[36:])
        if expected:
            np.testing.assert_allclose(data.read_wav(tmp_path / "e.wav"), expected)
        else:
            with pytest.raises(data.DataError, match="a WAV file of PCM"):
                data.read_wav(tmp_path / "e.wav")
    (tmp_path / "f.wav").write_bytes(plain[:4] + bytes([30, 0, 0, 0]) + plain[8:])
    with pytest.raises(data.DataError, match="a WAV file of PCM"):
        data.read_wav(tmp_path / "f.wav")


def test_a_written_file_is_read_again(tmp_path):
    sound = np.float32([0, 0.5, -1, 1])
    data.write_wav(tmp_path / "a.wav", sound, 16000)
    np.testing.assert_allclose(data.read_wav(tmp_path / "a.wav"), sound, atol=1e-4)


def test_folders_of_a_sound_are_made(tmp_path):
    data.write_wav(tmp_path / "new" / "a.wav", np.zeros(3), 8000)
    assert len(data.read_wav(tmp_path / "new" / "a.wav")) == 3


def test_resampling_does_not_leave_the_range(tmp_path):
    write(tmp_path / "a.wav", np.tile(np.repeat([2**15 - 1, -(2**15)], 8), 50), "<i2", rate=11025)
    found = data.read_wav(tmp_path / "a.wav", 8000)
    assert np.abs(data.resample(data.read_wav(tmp_path / "a.wav"), 11025, 8000)).max() > 1.05
    assert np.abs(found).max() == 1.0 and found.dtype == np.float32


def test_silent_and_empty_sounds_are_named(tmp_path):
    write(tmp_path / "a_1.wav", [2**14, -(2**14)] * 4, "<i2")
    write(tmp_path / "b_1.wav", [[2**14, -(2**14)]] * 8, "<i2", channels=2)  # in antiphase
    with pytest.warns(UserWarning, match="1 of 2 sounds are silent, such as 'b_1'"):
        data.load_sounds(tmp_path, samples=16)
    write(tmp_path / "c_1.wav", [], "<i2")
    with pytest.raises(data.DataError, match="c_1.wav to hold a sound. Received: one without a sample"):
        data.load_sounds(tmp_path, samples=16)
    for rate in (0, 8000.5, "8k"):
        with pytest.raises(ValueError, match="Expected `rate` to be an integer >= 1"):
            data.load_sounds(tmp_path, rate=rate)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"waveforms": [[0.0]]}, r"Expected `waveforms` to be a float32 array of shape \[N,S\]"),
        ({"waveforms": np.float32([[100.0]] * 2)}, r"Expected `waveforms` to be finite values in \[-1, 1\]"),
        ({"waveforms": np.float32([[np.nan]] * 2)}, r"Expected `waveforms` to be finite values in \[-1, 1\]"),
        ({"rate": 0}, "Expected `rate` to be an integer >= 1"),
        ({"labels": np.arange(3)}, "Expected `labels` to be one for each of 2 sounds"),
        ({"names": ("a",)}, "Expected `names` to be one for each of 2 sounds"),
    ],
)
def test_parts_of_sounds_fit_each_other(arguments, message):
    with pytest.raises(ValueError, match=message):
        data.Sounds(**{"waveforms": np.zeros((2, 4), np.float32), "rate": 8000, **arguments})


@pytest.mark.parametrize(
    "waveform, rate, message",
    [
        (np.zeros((2, 3)), 8000, r"float of shape \[S\]. Received: waveform='float64 of shape \[2, 3\]'"),
        (np.zeros(3, np.int16), 8000, "Received: waveform='int16 of shape"),
        (np.float32([0, -2]), 8000, r"finite values in \[-1, 1\]. Received: waveform='values up to 2'"),
        (np.float32([0, np.nan]), 8000, "Received: waveform='values up to nan'"),
        (np.zeros(3), 0, "Expected `rate` to be an integer >= 1"),
    ],
)
def test_what_is_no_sound_is_refused_and_nothing_is_written(tmp_path, waveform, rate, message):
    with pytest.raises(ValueError, match=message):
        data.write_wav(tmp_path / "a.wav", waveform, rate)
    assert not [*tmp_path.iterdir()]


def test_resampling_keeps_a_sine_and_drops_what_the_lower_rate_cannot_hold():
    fast, slow = np.arange(800) / 8000, np.arange(400) / 4000
    sine = np.sin(2 * np.pi * 500 * fast)
    np.testing.assert_allclose(data.resample(sine, 8000, 4000), np.sin(2 * np.pi * 500 * slow), atol=1e-9)
    high = np.sin(2 * np.pi * 3000 * fast)
    np.testing.assert_allclose(data.resample(sine + high, 8000, 4000), np.sin(2 * np.pi * 500 * slow), atol=1e-9)


def test_resampling_keeps_the_highest_frequency_of_the_lower_rate():
    fast, slow = np.cos(np.pi * np.arange(16) / 2), np.cos(np.pi * np.arange(8))
    np.testing.assert_allclose(data.resample(fast, 16000, 8000), slow, atol=1e-12)
    np.testing.assert_allclose(data.resample(slow, 8000, 16000), fast, atol=1e-12)


def test_resampling_keeps_time_where_the_new_length_is_rounded():
    for number, rate, target in ((3871, 22050, 4000), (3001, 8000, 11025)):
        fade = np.hanning(number)
        places = np.arange(round(number * target / rate)) / target
        sound = fade * np.sin(2 * np.pi * 1215 * np.arange(number) / rate)
        expected = np.interp(places, np.arange(number) / rate, fade) * np.sin(2 * np.pi * 1215 * places)
        resampled = data.resample(sound, rate, target)
        np.testing.assert_allclose(resampled, expected, atol=1e-4)
    assert data.resample(np.ones(1), 8000, 11).shape == (1,)
    for number in (2, 3, 1000):  # without a silence behind it, from which the end would ring
        np.testing.assert_allclose(data.resample(np.ones(number), 22050, 16000), 1.0, atol=1e-9)
    with pytest.raises(ValueError, match="Expected `rate` to be an integer >= 1. Received: rate=8000.5"):
        data.resample(np.ones(4), 8000.5, 4000)


def test_a_folder_becomes_sounds_of_one_length(tmp_path):
    write(tmp_path / "3_ann_0.wav", [2**13] * 5, "<i2")
    write(tmp_path / "1_bob_7.wav", [-(2**14)] * 2, "<i2")
    write(tmp_path / "dog" / "x.wav", [0] * 2, "<i2")
    sounds = data.load_sounds(tmp_path, samples=4, peak=0.5)
    assert sounds.names == ("1_bob_7", "3_ann_0", "x") and sounds.classes == ("1", "3", "dog")
    assert sounds.labels.tolist() == [0, 1, 2] and sounds.cropped == 1
    np.testing.assert_allclose(sounds.waveforms, [[-0.5, -0.5, 0, 0], [0.5] * 4, [0] * 4])


def test_a_sound_of_the_whole_length_has_lost_nothing(tmp_path):
    write(tmp_path / "a_0.wav", [2**13] * 4, "<i2")
    assert data.load_sounds(tmp_path, samples=4).cropped == 0


def test_the_peak_is_that_of_the_part_which_is_kept(tmp_path):
    write(tmp_path / "a_0.wav", [2**13] * 4 + [2**14], "<i2")
    np.testing.assert_allclose(data.load_sounds(tmp_path, samples=4, peak=0.5).waveforms, [[0.5] * 4])


def test_a_folder_without_sounds_and_another_file_are_named(tmp_path):
    with pytest.raises(data.DataError, match="to be a folder with WAV files. Received: none"):
        data.load_sounds(tmp_path)
    (tmp_path / "a.wav").write_text("no sound")
    with pytest.raises(data.DataError, match="Expected .*a.wav to be a WAV file of PCM"):
        data.load_sounds(tmp_path)


def test_recordings_of_digits_are_split_by_their_numbers_and_others_by_chance():
    names = [f"{digit}_ann_{number}" for digit in (1, 2) for number in range(12)]
    sounds = data.Sounds(np.zeros((24, 8), np.float32), 8000, names=tuple(names))
    train, validation, test = sounds.split()
    assert test.names == tuple(f"{d}_ann_{n}" for d in (1, 2) for n in range(5))
    assert validation.names == tuple(f"{d}_ann_{n}" for d in (1, 2) for n in range(5, 10))
    assert len(train) == 4
    least = data.Sounds(np.zeros((11, 8), np.float32), 8000, names=tuple(f"1_ann_{n}" for n in range(11)))
    assert least.split()[0].names == ("1_ann_10",)
    for name in ("sound{}", "1_ann_{}"):
        few = data.Sounds(np.zeros((10, 8), np.float32), 8000, names=tuple(map(name.format, range(10))))
        assert [len(part) for part in few.split()] == [8, 1, 1]
    other = data.Sounds(np.zeros((30, 8), np.float32), 8000, names=tuple(map(str, range(30))))
    parts = other.split()
    assert [len(part) for part in parts] == [24, 3, 3] and len({name for part in parts for name in part.names}) == 30


def test_made_digits_depend_on_the_seed_and_differ_by_digit_and_voice():
    sounds = data.made_digits(20, seed=1, samples=4096)
    assert sounds.waveforms.shape == (20, 4096) and sounds.labels.tolist() == [*range(10)] * 2
    assert sounds.names[13] == "3_voice1_0"
    np.testing.assert_array_equal(data.made_digits(12, seed=1, samples=4096).waveforms, sounds.waveforms[:12])
    assert np.abs(sounds.waveforms).max() <= 0.9 + 1e-6
    assert not np.array_equal(data.made_digits(1, seed=2, samples=4096).waveforms, sounds.waveforms[:1])
    assert np.isfinite(data.made_digits(12, seed=1, rate=2000, samples=1024).waveforms).all()
    with pytest.raises(ValueError, match="Expected `rate` to be an integer >= 2000. Received: rate=300"):
        data.made_digits(1, rate=300)


def test_spoken_digits_are_the_rows_of_tfds_in_the_order_of_their_names(monkeypatch):
    rows = [
        {"audio": np.int64([2**14, 0]), "audio/filename": b"7_ann_1.wav", "label": 7},
        {"audio": np.int64([-(2**13)]), "audio/filename": b"0_bob_2.wav", "label": 0},
    ]

    class Builder:
        def as_dataset(self, split, shuffle_files):
            assert split == "train"
            return self

        def as_numpy_iterator(self):
            return iter(rows)

    monkeypatch.setattr("zoo.data.sounds.prepared", lambda name, folder: {"spoken_digit": Builder()}[name])
    sounds = data.load_spoken_digits(samples=3, peak=None)
    assert sounds.names == ("0_bob_2", "7_ann_1") and sounds.rate == 8000
    np.testing.assert_array_equal(sounds.waveforms, [[-0.25, 0, 0], [0.5, 0, 0]])
    assert [sounds.classes[label] for label in sounds.labels] == ["0", "7"]


def test_the_package_that_tfds_needs_is_named(monkeypatch):
    def fails(name, folder):
        raise data.DataError("No module named 'pydub'")

    monkeypatch.setattr("zoo.data.sounds.prepared", fails)
    with pytest.raises(data.DataError, match=r"pip install 'vae-zoo\[sound\]'"):
        data.load_spoken_digits()


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("lost", [1, 2, 40])
def test_a_file_that_was_cut_off_is_refused(tmp_path, channels, lost):
    path = tmp_path / "cut.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(40 * channels * 2))
    whole = path.read_bytes()
    path.write_bytes(whole[:-lost])
    kept = (40 * channels * 2 - lost) // (2 * channels)
    with pytest.raises(data.DataError, match=f"cut.wav to be a whole WAV file. .* cut off after {kept} of 40 samples"):
        data.read_wav(path)
    # A program that writes to a pipe does not know the length, and promises the most that the header can hold.
    path.write_bytes(whole[:4] + b"\xff" * 4 + whole[8:40] + b"\xff" * 4 + whole[44:])
    assert data.read_wav(path).shape == (40,)


def test_endings_in_upper_case_are_found(tmp_path):
    data.write_wav(tmp_path / "a.wav", np.full(64, 0.5), 8000)
    (tmp_path / "a.wav").rename(tmp_path / "B.WAV")
    assert data.load_sounds(tmp_path, samples=64).names == ("B",)
