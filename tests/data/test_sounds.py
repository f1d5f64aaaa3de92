def test_the_package_that_tfds_needs_is_named(monkeypatch):
    def fails(name, folder):
        raise data.DataError("No module named 'pydub'")

    monkeypatch.setattr("zoo.data.sounds.prepared", fails)
    with pytest.raises(data.DataError, match=r"pip install 'vae-zoo\[sound\]'"):
        data.load_spoken_digits()
