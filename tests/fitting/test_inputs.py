"""What comes in is looked at, wherever it comes in: each fault in each verb of Keras, and in each method."""

import functools
import gc
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo import networks
from zoo.fitting import inputs

SHAPE = (8, 8, 1)
CLASSES = 4
BATCH = 8
GOOD = np.random.default_rng(0).uniform(size=(24, *SHAPE)).astype("float32")
LABELS = (np.arange(24) % CLASSES).astype("int32")


def make(cls=zoo.VAE, likelihood="bernoulli", conditions=0, **kwargs):
    encoder = networks.mlp_encoder((8, 8, 1 + conditions), 3, hidden=(8,))
    model = cls(encoder, networks.mlp_decoder(SHAPE, 3 + conditions, hidden=(8,)), likelihood=likelihood, **kwargs)
    model.compile("sgd")
    return model


@functools.cache
def plain():
    return make()


@functools.cache
def conditional():
    return make(zoo.CVAE, conditions=CLASSES, num_classes=CLASSES)


@pytest.fixture(scope="module", autouse=True)
def no_collection():
    """Iterators that a refused batch leaves behind are freed by the garbage collector, which can wait minutes for them.

    It waits within TensorFlow, for threads that read from Python. Here nothing is collected, not at the end either.
    """
    gc.disable()
    yield
    gc.freeze()
    gc.enable()


class Batches(keras.utils.PyDataset):
    """The user's own batches, made in Python."""

    def __init__(self, *arrays):
        super().__init__()
        self.arrays = arrays

    def __len__(self):
        return math.ceil(len(self.arrays[0]) / BATCH)

    def __getitem__(self, number):
        return tuple(array[number * BATCH : (number + 1) * BATCH] for array in self.arrays)


def dataset(*arrays):
    return tf.data.Dataset.from_tensor_slices(arrays if len(arrays) > 1 else arrays[0]).batch(BATCH)


def generator(*arrays):
    batches = Batches(*arrays)
    return (batches[number] for number in range(len(batches)))


def spread(*arrays):
    """A dataset that a strategy has spread already, of which Keras knows nothing but that."""
    return tf.distribute.get_strategy().experimental_distribute_dataset(dataset(*arrays))


SOURCES = {"tf.data": dataset, "generator": generator, "PyDataset": Batches}
# What a user calls, as a function of (model, x, labels or nothing).
VERBS = {
    "fit": lambda model, *data: model.fit(*data, batch_size=BATCH, verbose=0),
    "evaluate": lambda model, *data: model.evaluate(*data, batch_size=BATCH, verbose=0),
    "predict": lambda model, *data: model.predict(data if len(data) > 1 else data[0], batch_size=BATCH, verbose=0),
    "train_on_batch": lambda model, *data: model.train_on_batch(*data),
    "test_on_batch": lambda model, *data: model.test_on_batch(*data),
    "predict_on_batch": lambda model, *data: model.predict_on_batch(data if len(data) > 1 else data[0]),
}
for _name, _source in SOURCES.items():
    VERBS |= {
        f"fit {_name}": lambda model, *data, source=_source: model.fit(source(*data), shuffle=False, verbose=0),
        f"evaluate {_name}": lambda model, *data, source=_source: model.evaluate(source(*data), verbose=0),
        f"predict {_name}": lambda model, *data, source=_source: model.predict(source(*data), verbose=0),
    }
METHODS = {
    "encode": lambda model, *data: model.encode(*data),
    "reconstruct": lambda model, *data: model.reconstruct(*data),
    "log_prob": lambda model, x, *labels: model.log_prob(x, 2, labels=labels[0] if labels else None),
    "encode tf.data": lambda model, *data: model.encode(dataset(*data)),
    "log_prob generator": lambda model, *data: model.log_prob(generator(*data)),
}
CALLS = VERBS | METHODS
# Verbs look in a graph, methods at arrays, and each in one way; other calls see a few faults, and all in slow tests.
THOROUGH = ("fit tf.data", "log_prob generator")
ALL_FAULTS = [call if call in THOROUGH else pytest.param(call, marks=pytest.mark.slow) for call in CALLS]
# What looks at labels is one function for data and labels: here a call of each kind sees all faults in labels.
OF_EACH_KIND = ("fit tf.data", "predict PyDataset", "train_on_batch", "log_prob")
ALL_FAULTS_IN_LABELS = [call if call in OF_EACH_KIND else pytest.param(call, marks=pytest.mark.slow) for call in CALLS]
OTHERS = [call for call in CALLS if call not in THOROUGH]


def with_one(value):
    x = GOOD.copy()
    x[3, 2, 5] = value
    return x


IN_UNIT = r"Expected `x` to lie in \[0, 1\]. Received: values from "
FAULTS = {
    "0..255": (255 * GOOD, IN_UNIT + r".* to 25\d.*Divide by 255: x / 255"),
    "[-1, 1]": (2 * GOOD - 1, IN_UNIT + r"-0\.\d+ to 0\.\d+.*\(x \+ 1\) / 2, .*Gaussian\(range=\(-1, 1\)\)"),
    "standardised": ((GOOD - 0.5) / 0.29, IN_UNIT + r"-1\.\d+ to 1\.\d+.*Gaussian\(range=None\)"),
    "a little above": (with_one(1.01), IN_UNIT + r".* to 1\.01.*np.clip"),
    "NaN": (with_one(np.nan), r"Expected `x` to be finite numbers. Received: 1 of .* the first in row 3"),
    "infinity": (with_one(np.inf), r"Expected `x` to be finite numbers. Received: 1 of .* the first in row 3"),
    "minus infinity": (with_one(-np.inf), r"Expected `x` to be finite numbers. Received: 1 of .*in row 3"),
    "float16": ((255 * GOOD).astype("float16"), IN_UNIT),
    "float64": ((255 * GOOD).astype("float64"), IN_UNIT),
    "uint8": (np.uint8(255 * GOOD), r"`x` to be floating-point. Received: dtype=uint8.*x.astype\('float32'\) / 255"),
    "int64": (np.int64(GOOD > 0.5), r"`x` to be floating-point. Received: dtype=int64.*x.astype\('float32'\)"),
    "bool": (GOOD > 0.5, r"`x` to be floating-point. Received: dtype=bool"),
    "no channels": (
        GOOD[..., 0],
        r"`x` to have the shape \[B, 8, 8, 1\]. Received: shape \(.*, 8, 8\).*x\[..., N",
    ),
    "three channels": (np.repeat(GOOD, 3, -1), r"the shape \[B, 8, 8, 1\]. Received: shape \(.*, 8, 8, 3\)"),
    "another size": (GOOD[:, :7], r"the shape \[B, 8, 8, 1\]. Received: shape \(.*, 7, 8, 1\)"),
    "flat": (GOOD.reshape(24, 64), r"the shape \[B, 8, 8, 1\]. Received: shape \(.*, 64\)"),
}


@pytest.mark.parametrize("call", OTHERS)
def test_faults_are_seen_by_every_verb_with_every_source(call):
    for fault in ("NaN", "uint8", "flat"):  # in the values, the type and the shape
        x, message = FAULTS[fault]
        with pytest.raises(ValueError, match=message):
            CALLS[call](plain(), x)
    for fault in ("counted from 1", "one-hot"):
        labels, message = LABEL_FAULTS[fault]
        with pytest.raises(ValueError, match=message):
            CALLS[call](conditional(), GOOD, labels)
    CALLS[call](plain(), GOOD)
    CALLS[call](conditional(), GOOD, LABELS)


@pytest.mark.parametrize("call", ALL_FAULTS)
def test_a_fault_in_the_data_is_named_with_what_mends_it(call):
    before = plain().get_weights()
    for fault, (x, message) in FAULTS.items():
        with pytest.raises(ValueError, match=message):
            CALLS[call](plain(), x)
            pytest.fail(f"{fault} passed")
    for weight, other in zip(before, plain().get_weights(), strict=True):
        np.testing.assert_array_equal(weight, other)
    CALLS[call](plain(), GOOD)
    CALLS[call](plain(), np.float64(GOOD > 0.5))


LABEL_FAULTS = {
    "counted from 1": (LABELS + 1, r"`labels` to be from 0 to 3. Received: labels=4. They count from 0: labels - 1"),
    "negative": (LABELS - 1, r"Expected `labels` to be from 0 to 3. Received: labels=-1"),
    "too large": (LABELS + np.int64(55), r"Expected `labels` to be from 0 to 3. Received: labels=5\d"),
    "halves": (LABELS + 0.5, r"`labels` to be integers. Received: dtype=float\d\d.*labels.astype\('int32'\)"),
    "whole floats": (LABELS.astype("float32"), "Expected `labels` to be integers. Received: dtype=float32"),
    "bool": (LABELS > 1, "Expected `labels` to be integers. Received: dtype=bool"),
    "one-hot": (
        np.eye(4, dtype="float32")[LABELS],
        r"Received: shape \(.*, 4\). One-hot .* np.argmax\(labels, a",
    ),
    "one-hot integers": (np.eye(4, dtype="int32")[LABELS], r"Received: shape \(.*, 4\). One-hot .* np.argmax"),
    "two columns": (np.stack([LABELS, LABELS], 1), r"`labels` to be int32 of shape .*Received: shape \(.*, 2\)"),
}


@pytest.mark.parametrize("call", ALL_FAULTS_IN_LABELS)
def test_a_fault_in_the_labels_is_named(call):
    for fault, (labels, message) in LABEL_FAULTS.items():
        with pytest.raises(ValueError, match=message):
            CALLS[call](conditional(), GOOD, labels)
            pytest.fail(f"{fault} passed")
    with pytest.raises(ValueError, match="Expected `labels`, as CVAE is conditional. Received: None"):
        CALLS[call](conditional(), GOOD)
    for labels in (LABELS, LABELS.astype("uint8"), LABELS.astype("int64"), LABELS[:, None]):
        CALLS[call](conditional(), GOOD, labels)


def test_labels_of_samples_and_latents_are_looked_at_too():
    latents = np.zeros((24, 3), "float32")
    for labels, message in LABEL_FAULTS.values():
        with pytest.raises(ValueError, match=message):
            conditional().sample(24, seed=0, labels=labels)
        with pytest.raises(ValueError, match=message):
            conditional().decode(latents, labels)
    with pytest.raises(ValueError, match=r"Expected `z` to be finite numbers. Received: 1 of 72 .* row 1"):
        conditional().decode(np.where(np.arange(72).reshape(24, 3) == 5, np.nan, latents), LABELS)


@pytest.mark.parametrize("how", [{"steps_per_execution": 2}, {"jit_compile": True}, {"run_eagerly": True}], ids=str)
def test_the_first_batch_is_looked_at_however_steps_are_run(how):
    model = make()
    model.compile("sgd", **how)
    VERBS["fit tf.data"](model, GOOD)
    for verb in ("fit tf.data", "evaluate tf.data", "predict tf.data"):
        before = model.get_weights()
        for fault in ("0..255", "NaN", "uint8"):
            with pytest.raises(ValueError, match=FAULTS[fault][1]):
                VERBS[verb](model, FAULTS[fault][0])
        for weight, other in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(weight, other)


@pytest.mark.parametrize("share", [1.0, 1.5, -0.5, "a", np.nan])
def test_a_validation_split_is_a_share(share):
    with pytest.raises(ValueError, match="Expected `validation_split` to be a finite number >= 0 and < 1"):
        make().fit(GOOD, validation_split=share, verbose=0)


def test_a_generator_may_give_arrays_without_tuples():
    model, batches = make(), np.split(GOOD, 3)
    assert model.predict((each for each in batches), verbose=0).shape == GOOD.shape
    assert np.isfinite(model.evaluate((each for each in batches), verbose=0)).all()
    found = model.fit((each for each in batches), validation_data=(each for each in batches), verbose=0).history
    assert np.isfinite([*found["loss"], *found["val_loss"]]).all()


# Keras spreads a dataset itself, and makes one of what a generator or a PyDataset gives.
OF_PYTHON = [pytest.param(source, marks=pytest.mark.slow) for source in (generator, Batches)]


@pytest.mark.parametrize("source", [pytest.param(dataset, marks=pytest.mark.slow), spread, *OF_PYTHON])
def test_the_first_batch_is_looked_at_under_a_strategy(source):
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        model = make()
    for call in (model.fit, model.evaluate, model.predict):
        with strategy.scope():
            good, bad = source(GOOD.copy()), source(255 * GOOD)
        before = model.get_weights()
        with pytest.raises(ValueError, match=FAULTS["0..255"][1]):
            call(bad, verbose=0)
        for weight, other in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(weight, other)
        call(good, verbose=0)
    with pytest.raises(ValueError, match=FAULTS["NaN"][1]):
        model.fit(FAULTS["NaN"][0], batch_size=BATCH, verbose=0)


def test_all_of_an_array_is_looked_at_and_of_a_dataset_the_first_batch():
    x = GOOD.copy()
    x[20] = np.nan
    with pytest.raises(ValueError, match="the first in row 20"):
        plain().fit(x, batch_size=BATCH, verbose=0)
    model = make()
    with pytest.warns(UserWarning, match="The loss is NaN or infinite"):
        model.fit(dataset(x), verbose=0)


def test_each_row_of_a_very_large_array_is_looked_at():
    x = np.zeros((2**17, 520), np.float32)  # 68 million values
    x[2**16 + 1, 7] = 1.5
    with pytest.raises(ValueError, match=r"Expected `x` to lie in \[0, 1\]. Received: values from 0 to 1.5"):
        inputs.look([inputs.Values("x", x, 0.0, 1.0)])


def masked_values(values, mask):
    return np.concatenate([np.float32(values), np.float32(mask)], axis=-1)[None]


@pytest.mark.parametrize(
    "array, whole, reason",
    [
        (masked_values([0.5, 0.2], [1, 0]), False, "0 where its mask is 0.* Received: x='1 values such as 0.2'"),
        (masked_values([0.0, 0.2], [0.5, 1]), False, "a mask of 0 and 1, .* such as 0.5"),
        (masked_values([0.0, 0.2], [0, 1]), True, "the same for all channels .* Received: x='1 places with some"),
    ],
)
def test_values_beside_a_mask_are_those_that_it_shows(array, whole, reason):
    of_array = inputs.BesideMask("x", array, 0.0, 1.0, whole=whole)
    assert not of_array.hold() and not of_array.hold_rows()[0]
    with pytest.raises(ValueError, match=reason):
        inputs.look([of_array])
    good = inputs.BesideMask("x", masked_values([0.5, 0.2], [1, 1]), 0.0, 1.0, whole=whole)
    assert good.hold() and good.hold_rows()[0]
    inputs.look([good])


def test_a_range_of_one_end_has_no_tolerance_and_one_of_both_has_it():
    below = np.float32([-5e-4, 1.0])
    inputs.look([inputs.Values("x", below, 0.0, 1.0)])
    weights = inputs.Values("sample_weight", below, low=0.0)
    assert not weights.hold()
    with pytest.raises(ValueError, match="Expected `sample_weight` to be numbers >= 0. Received: "):
        inputs.look([weights])


def test_each_call_looks_at_its_own_first_batch_and_at_no_other():
    looked = []
    model = make()
    values = model._first_batch._values_of

    class Seen(inputs.Values):
        def require(self, numbers):
            looked.append(self.name)

    # A range that nothing lies in, so that Python is called by each look.
    model._first_batch._values_of = lambda *data: [Seen("x", each.array, 2.0, 3.0) for each in values(*data)]
    for number, verb in enumerate(("fit", "fit", "evaluate", "predict", "fit"), start=1):
        VERBS[f"{verb} tf.data"](model, GOOD)
        assert len(looked) == number


def test_validation_data_are_looked_at():
    for data in ((255 * GOOD,), (255 * GOOD, None), 255 * GOOD, dataset(255 * GOOD)):
        with pytest.raises(ValueError, match=FAULTS["0..255"][1]):
            plain().fit(GOOD, batch_size=BATCH, validation_data=data, verbose=0)
    with pytest.raises(ValueError, match=LABEL_FAULTS["counted from 1"][1]):
        conditional().fit(GOOD, LABELS, batch_size=BATCH, validation_data=(GOOD, LABELS + 1), verbose=0)


def test_what_kerass_own_loaders_give_is_refused_with_what_mends_it(tmp_path):
    x = np.uint8(255 * GOOD[..., 0])  # as keras.datasets.mnist.load_data
    with pytest.raises(ValueError, match="dtype=uint8"):
        plain().fit(x, verbose=0)
    with pytest.raises(ValueError, match=r"x\[..., None\]"):
        plain().fit(x / 255.0, verbose=0)
    plain().fit((x / 255.0)[..., None], verbose=0)
    for number in range(4):
        keras.utils.save_img(tmp_path / f"{number}.png", 255 * GOOD[number], scale=False)
    how = {"image_size": SHAPE[:2], "color_mode": "grayscale", "verbose": False}
    pictures = keras.utils.image_dataset_from_directory(tmp_path, labels=None, **how)
    with pytest.raises(ValueError, match=FAULTS["0..255"][1]):
        plain().fit(pictures, verbose=0)
    plain().fit(pictures.map(lambda x: x / 255), verbose=0)
    labelled = keras.utils.image_dataset_from_directory(tmp_path, labels=[0, 1, 2, 3], **how)
    with pytest.raises(ValueError, match="Expected no `labels`, as VAE is not conditional"):
        plain().fit(labelled, verbose=0)


def test_dicts_of_one_entry_or_with_the_inputs_name_work_and_others_are_refused():
    named = make()
    pixels = keras.Input(SHAPE, name="pixels")
    named.encoder = keras.Model(pixels, networks.mlp_encoder(SHAPE, 3, hidden=(8,))(pixels))
    named.compile("sgd")
    expected = plain().predict(GOOD, verbose=0)
    for data in ({"anything": GOOD}, {"x": GOOD, "id": LABELS}, {"image": GOOD, "label": LABELS}, [GOOD]):
        plain().fit(data, verbose=0, epochs=0)
        np.testing.assert_array_equal(plain().predict(data, verbose=0), expected)
    named.fit({"pixels": GOOD, "other": LABELS}, verbose=0)
    named.fit(dataset({"pixels": GOOD, "other": LABELS}), verbose=0)
    assert named.encode({"pixels": GOOD})["mean"].shape == (24, 3)
    for call in (lambda data: plain().fit(data, verbose=0), lambda data: plain().predict(data, verbose=0)):
        with pytest.raises(ValueError, match="one array, or a dict with an entry called .* a dict of 'a', 'b'"):
            call({"a": GOOD, "b": GOOD})
        with pytest.raises(ValueError, match="one array, as the model has one input. Received: 2 inputs"):
            call([GOOD, GOOD])


@pytest.mark.usefixtures("mode")
def test_a_conditional_model_takes_labels_beside_its_data_in_any_form():
    model = conditional()
    for data in ((GOOD, LABELS), [GOOD, LABELS], {"x": GOOD, "labels": LABELS}, {"image": GOOD, "label": LABELS}):
        model.fit(data, verbose=0)
        assert model.predict(data, verbose=0).shape == GOOD.shape
    model.fit(dataset(GOOD, LABELS), verbose=0)


def test_a_network_of_several_inputs_is_refused_by_name():
    several = [keras.Input(SHAPE), keras.Input((2,))]
    network = keras.Model(several, keras.layers.Dense(6)(keras.layers.Flatten()(several[0])))
    with pytest.raises(ValueError, match="Expected `encoder` to be a network of one input. Received: .* 2 inputs"):
        zoo.VAE(network, networks.mlp_decoder(SHAPE, 3, hidden=(8,)))


def test_no_array_is_refused_by_name():
    for value, message in (
        (None, "Expected `x` to be an array. Received: x=None"),
        ("text", "Expected `x` to be an array of numbers. Received: dtype="),
        (np.array([None]), "Expected `x` to be an array of numbers. Received: dtype=object"),
        ([[0.5], [0.5, 0.5]], "Expected `x` to be one dense array"),
        (tf.ragged.constant([[0.5], [0.5, 0.5]]), "Expected `x` to be one dense array.*Ragged"),
        (tf.sparse.from_dense(GOOD), "Expected `x` to be one dense array.*Sparse"),
        (GOOD.astype(complex), "Expected `x` to be an array of numbers. Received: dtype=complex"),
        (GOOD[:0], "Expected at least one example. Received: none"),
    ):
        with pytest.raises(ValueError, match=message):
            plain().encode(value)


OF_MODEL = {
    "fit": lambda x: plain().fit(x, verbose=0),
    "validation": lambda x: plain().fit(GOOD, batch_size=BATCH, validation_data=x, verbose=0),
    "evaluate": lambda x: plain().evaluate(x, verbose=0),
    "predict": lambda x: plain().predict(x, verbose=0),
}


@pytest.mark.parametrize("verb", OF_MODEL)
def test_data_without_an_example_are_refused(verb):
    with pytest.raises(ValueError, match=r"Expected `x` to be of at least one example. Received: shape \(0, 8, 8, 1\)"):
        OF_MODEL[verb](GOOD[:0])
    with pytest.raises(ValueError, match="Expected data of at least one batch. Received: none"):
        OF_MODEL[verb](tf.data.Dataset.from_tensor_slices(GOOD[:0]).batch(BATCH))


def test_a_batch_without_an_example_is_refused():
    for call in (plain().train_on_batch, plain().test_on_batch, plain().log_prob, plain().encode):
        with pytest.raises(ValueError, match="at least one example"):
            call(GOOD[:0])


@pytest.mark.parametrize("verb", OF_MODEL)
def test_values_under_a_mask_and_numbers_in_lists_are_refused(verb):
    hidden = np.ma.masked_array(GOOD, GOOD > 0.9)
    with pytest.raises(ValueError, match=rf"without a mask. Received: {(GOOD > 0.9).sum()} masked values. .*x.filled"):
        OF_MODEL[verb](hidden)
    OF_MODEL[verb](np.ma.masked_array(GOOD))  # without a mask they are numbers as any others
    with pytest.raises(ValueError, match=r"Expected `x` to be an array. Received: numbers in a list. "):
        OF_MODEL[verb](GOOD.tolist())


def test_labels_and_weights_in_lists_are_refused():
    with pytest.raises(ValueError, match="Expected `y` to be an array. Received: numbers in a list"):
        conditional().fit(GOOD, LABELS.tolist(), verbose=0)
    with pytest.raises(ValueError, match="Expected `sample_weight` to be an array. Received: numbers in a list"):
        plain().fit(GOOD, sample_weight=[1.0] * len(GOOD), verbose=0)
    with pytest.raises(ValueError, match="without a mask"):
        plain().encode(np.ma.masked_array(GOOD, GOOD > 0.9))


@pytest.mark.parametrize("beside", ["y", "sample_weight"])
def test_arrays_beside_a_dataset_are_named(beside):
    batches = tf.data.Dataset.from_tensors(GOOD)
    with pytest.raises(ValueError, match=f"`x` as a tf.data.Dataset, `{beside}s?` should not be passed"):
        plain().fit(batches, verbose=0, **{beside: np.ones(len(GOOD), np.float32)})


@pytest.mark.parametrize("value", [0, -1, 1.5])
def test_numbers_of_examples_and_batches_are_at_least_one(value):
    for name in ("batch_size", "steps_per_epoch", "validation_batch_size", "validation_steps"):
        with pytest.raises(ValueError, match=f"Expected `{name}` to be an integer >= 1. Received: {name}={value}"):
            plain().fit(GOOD, verbose=0, **{name: value})
    for verb in (plain().evaluate, plain().predict):
        for name in ("batch_size", "steps"):
            with pytest.raises(ValueError, match=f"Expected `{name}` to be an integer >= 1. Received: {name}={value}"):
                verb(GOOD, verbose=0, **{name: value})
    with pytest.raises(ValueError, match="Expected `epochs` to be an integer >= 0. Received: epochs=-1"):
        plain().fit(GOOD, epochs=-1, verbose=0)


def test_a_size_that_the_users_own_network_cannot_take_is_said_in_the_models_words():
    class Own(keras.Model):
        """Cut into rows of 64, whatever the image: right for 8×8 only."""

        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(6)

        def call(self, x):
            return self.dense(keras.ops.reshape(x, (-1, 64)))

    model = zoo.VAE(Own(), networks.mlp_decoder(SHAPE, 3, hidden=(8,)))
    model.compile("sgd")
    model.fit(GOOD, verbose=0)
    odd = np.zeros((8, 9, 9, 1), "float32")
    for call in (
        model.encode,
        model.log_prob,
        lambda x: model.fit(x, verbose=0),
        lambda x: model.fit(dataset(x), verbose=0),
    ):
        with pytest.raises(
            ValueError,
            match=r"Expected .*(that the networks can take|the (en|de)coder to (take an input of shape|give))",
        ):
            call(odd)
    any_size = keras.Sequential(
        [keras.Input((None, None, 1)), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(6)]
    )
    model = zoo.VAE(any_size, networks.mlp_decoder(SHAPE, 3, hidden=(8,)))
    model.compile("sgd")
    with pytest.raises(ValueError, match=r"Expected the decoder to give \[B, 9, 9, 1\].* Received: .*\[B, 8, 8, 1\]"):
        model.fit(odd, verbose=0)
    with pytest.raises(ValueError, match=r"\[B, any, any, 1\]. Received: shape \(8, 9, 9, 3\)"):
        model.fit(np.repeat(odd, 3, -1), verbose=0)
    with pytest.raises(ValueError, match=r"Expected the decoder to take an input of shape \(None, 4\)"):
        plain().decode(np.zeros((2, 4), "float32"))


@pytest.mark.parametrize("error", [ValueError, TypeError])
def test_what_the_users_own_network_raises_is_said_with_its_shape(error):
    class Own(keras.Model):
        def call(self, x):
            raise error("not\n  this")

    model = zoo.VAE(Own(), networks.mlp_decoder(SHAPE, 3, hidden=(8,)))
    shape = r"Expected the encoder to take an input of shape \(.*, 8, 8, 1\)"
    with pytest.raises(ValueError, match=rf"{shape}. Received from it: {error.__name__}: .*not this"):
        model.encode(GOOD)


@pytest.mark.parametrize(
    ("likelihood", "channels", "message"),
    [
        ("bernoulli", 2, r"Expected the decoder to give \[B, 8, 8, 1\], as Bernoulli .*Received: .*\[B, 8, 8, 2\]"),
        ("gaussian", 3, r"Expected the decoder to give \[B, 8, 8, 1\], as Gaussian .*Received: .*\[B, 8, 8, 3\]"),
        ("discretized_logistic", 1, r"\[B, 8, 8, 2\], as DiscretizedLogistic asks for 2 .*\[B, 8, 8, 1\]"),
        (
            zoo.likelihoods.DiscretizedLogisticMixture(2, 1),
            5,
            r"\[B, 8, 8, 6\], as .*Mixture asks for 6 .*\[B, 8, 8, 5\]",
        ),
    ],
)
def test_a_decoder_that_does_not_fit_the_likelihood_is_refused_and_not_broadcast(likelihood, channels, message):
    decoder = networks.mlp_decoder((8, 8, channels), 3, hidden=(8,))
    model = zoo.VAE(networks.mlp_encoder(SHAPE, 3, hidden=(8,)), decoder, likelihood)
    model.compile("sgd")
    for call in (model.log_prob, lambda x: model.fit(x, verbose=0), lambda x: model.evaluate(x, verbose=0)):
        with pytest.raises(ValueError, match=message):
            call(GOOD)


@pytest.mark.usefixtures("mode")
def test_data_outside_of_the_support_name_the_argument_that_widens_it():
    for support, x in ((None, 40 * GOOD - 20), ((-1, 1), 2 * GOOD - 1), ((0, 255), 255 * GOOD)):
        model = make(likelihood=zoo.likelihoods.Gaussian(0.5, range=support))
        model.fit(x, verbose=0)
        assert model.log_prob(x).shape == (24,)
        with pytest.raises(ValueError, match="Expected `x` to be finite"):
            model.fit(with_one(np.nan), verbose=0)
    with pytest.raises(ValueError, match=r"to lie in \[0, 255\]. Received: values from .*Gaussian\(range=None\)"):
        model.fit(-255 * GOOD, verbose=0)
    with pytest.raises(ValueError, match=r"to lie in \[0, 1\].*Gaussian\(range=None\)"):
        make(likelihood="gaussian").fit(40 * GOOD - 20, verbose=0)


def test_codes_of_a_prior_are_looked_at_as_data_are():
    prior = zoo.priors.PixelCNN(4, (2, 2), width=4, depth=1)
    prior.compile("sgd")
    codes = np.random.default_rng(0).integers(0, 4, (24, 2, 2)).astype("int32")
    calls = VERBS | {"log_prob": lambda prior, x: prior.log_prob(x), "logits": lambda prior, x: prior.logits(x)}
    for name in ("fit", "fit tf.data", "fit generator", "evaluate", "predict", "train_on_batch", "log_prob", "logits"):
        for x, message in (
            (codes + 1, "Expected `codes` to be from 0 to 3. Received: codes=4"),
            (codes - 1, "Expected `codes` to be from 0 to 3. Received: codes=-1"),
            (codes.astype("float32"), "Expected `codes` to be int32. Received: dtype=float32"),
            (codes[:, :1], r"Expected `codes` to have the shape \[B, 2, 2\]. Received: shape \(.*, 1, 2\)"),
        ):
            with pytest.raises(ValueError, match=message):
                calls[name](prior, x)
        calls[name](prior, codes)
    with pytest.raises(ValueError, match="Expected no `labels`, as PixelCNN is not conditional"):
        prior.fit(codes, np.zeros(24, "int32"), verbose=0)


class Column:
    """An array of another library, as a column of pandas."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.values, dtype)

    def __len__(self):
        return len(self.values)


CONTAINERS = {"column": Column, "variable": tf.Variable, "keras_variable": keras.Variable}


@pytest.mark.parametrize("container", CONTAINERS)
def test_weights_count_in_every_container(container):
    contain, weights = CONTAINERS[container], np.full(24, 5.0, np.float32)
    validation = (GOOD, None, contain(weights))
    for x, given in ((GOOD, contain(weights)), (contain(GOOD), weights)):
        history = plain().fit(x, sample_weight=given, validation_data=validation, verbose=0, batch_size=BATCH).history
        for prefix in ("", "val_"):
            assert history[f"{prefix}loss"][0] / -history[f"{prefix}elbo"][0] == pytest.approx(5.0)
        figures = plain().evaluate(x, sample_weight=given, verbose=0, return_dict=True)
        assert figures["loss"] / -figures["elbo"] == pytest.approx(5.0)


@pytest.mark.parametrize("container", CONTAINERS)
def test_every_container_is_checked_completely(container):
    late, labels, contain = GOOD.copy(), LABELS.copy(), CONTAINERS[container]
    late[20:] *= 255
    labels[20:] = CLASSES
    for call in (plain().fit, plain().evaluate, plain().predict):
        with pytest.raises(ValueError, match=r"Expected `x` to lie in \[0, 1\]. .* Divide by 255"):
            call(contain(late), batch_size=BATCH, verbose=0)
    with pytest.raises(ValueError, match="Expected `labels` to be from 0 to 3. Received: labels=4"):
        conditional().fit(GOOD, contain(labels), batch_size=BATCH, verbose=0)
    with pytest.raises(ValueError, match="Expected `sample_weight` to be numbers >= 0"):
        plain().fit(GOOD, sample_weight=contain(-np.ones(24, np.float32)), batch_size=BATCH, verbose=0)


def test_a_number_in_the_place_of_an_array_and_numbers_beyond_float32_are_named():
    with pytest.raises(ValueError, match="Expected `z` to be "):
        plain().decode(0.5)
    with pytest.raises(ValueError, match=r"Expected `z` to be numbers that float32 can hold. Received: z=1e\+39"):
        plain().decode([[1e39, 0.0, 0.0]])
