"""Private parts of Keras, and workarounds for it. Each entry says what it uses and what to do once Keras is mended."""

import keras
import tensorflow as tf
from keras import ops


class PrivateHooks(keras.Model):
    """A model whose subclasses change what Keras does in private methods, by overriding public ones.

    Once Keras has public methods for one of the three, override those in `zoo.fitting.steps` and remove the hook here.
    """

    def around_step(self, step):
        """The function of a batch that Keras is to run in the place of `step`."""
        return step

    def example_spec(self):
        """The `keras.KerasTensor` of a batch of data, from which the metrics given to `compile` are built."""
        raise NotImplementedError

    def epoch_logs(self, logs):
        """What an epoch reports, a dict, from the report of its last step."""
        return super()._get_metrics_result_or_logs(logs)

    def _autoconvert_optionals(self, step_func):
        """Calls `around_step`.

        Private: `keras.Model._autoconvert_optionals`, as of Keras 3.15.1 (src/backend/tensorflow/trainer.py).
        Why: it is the only place that each batch of `fit`, `evaluate` and `predict` passes outside of the part that XLA
            compiles; the look at the first batch calls NumPy, which XLA cannot.
        Upstream: no upstream issue found (2026-11-26).
        """
        return super()._autoconvert_optionals(self.around_step(step_func))

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Builds from one replica's batch, and builds the compiled metrics from `example_spec`.

        Private: `keras.Model._maybe_symbolic_build`, `_distribute_strategy` and `_compile_metrics`, as of Keras 3.15.1
            (src/backend/tensorflow/trainer.py).
        Why: Keras takes the mean of a first batch over all replicas, by `strategy.reduce` on the whole structure, which
            fails for pairs over several workers, and for shares of different sizes. And it would call the model as one
            that takes neither labels nor targets, to learn the shapes for the metrics.
        Upstream: https://github.com/keras-team/keras/issues/20329 (open), for batches that are dicts.
        """
        if iterator is not None and self.distribute_strategy.num_replicas_in_sync > 1:
            _, _, batches = next(iter(iterator))
            local = self.distribute_strategy.experimental_local_results
            data_batch = keras.tree.map_structure(lambda value: local(value)[0], next(batches))
            iterator = None
        metrics = compiled_metrics(self)
        if metrics is not None and not metrics.built and self._distribute_strategy is not None:
            example = self.example_spec()
            with self._distribute_strategy.scope():
                metrics.build(example, example)
        super()._maybe_symbolic_build(iterator, data_batch)

    def _get_metrics_result_or_logs(self, logs):
        """Calls `epoch_logs`.

        Private: `keras.Model._get_metrics_result_or_logs`, as of Keras 3.15.1 (src/trainers/trainer.py).
        Why: where a step reports fewer figures than the model has metrics, Keras gives the report of the last step. Of
            several replicas that is the mean of their means, in which an example of a smaller share counts for more.
        Upstream: https://github.com/keras-team/keras/pull/19529 made it so on purpose.
        """
        return self.epoch_logs(logs)


def compiled_metrics(model):
    """The metrics that `compile` was given, one object with `build`, `update_state` and `result`; or None.

    Private: `keras.Model._compile_metrics`, as of Keras 3.15.1 (src/trainers/trainer.py). The public
        `compiled_metrics` is deprecated, and updates all of `metrics`.
    Why: the models compute their own terms, so that of `metrics` only these are to compare data and reconstructions.
    Upstream: no upstream issue found (2026-11-26).
    Once mended: use the public name.
    """
    return model._compile_metrics


def is_validation(arguments):
    """Whether the keyword arguments of `evaluate` are those that `fit` calls it with.

    Private: the argument `_use_cached_eval_dataset`, as of Keras 3.15.1 (src/backend/tensorflow/trainer.py).
    Why: `fit` has looked at its validation data already, and would look at them again after each epoch.
    Upstream: https://github.com/keras-team/keras/issues/16958 (open), on models that override `evaluate`.
    Once mended: tell it by the public argument, if there is one.
    """
    return bool(arguments.get("_use_cached_eval_dataset"))


def layers_of(layer, deep=True):
    """A layer or model and all layers in it, at any depth, or unless `deep` directly in it.

    Private: `keras.layers.Layer._flatten_layers`, as of Keras 3.15.1 (src/layers/layer.py). The public `layers` of a
        model gives those directly in it.
    Why: losses and policies belong to layers at any depth.
    Upstream: no upstream issue found (2026-11-26).
    Once mended: use the public name.
    """
    return list(layer._flatten_layers(recursive=deep))


def untrack(model, layer, successor=None):
    """Lets a model forget a layer that is no attribute of it any more: its weights, and the losses that it adds.

    The `successor`, which was set last, gets its place among the layers: a loaded model, whose constructor sets them in
    order, must find the weights of its optimizer in this order.

    Private: `keras.layers.Layer._tracker` and `_layers`, as of Keras 3.15.1 (src/layers/layer.py).
    Why: a layer in whose place another one is set stays a part of the model, and is saved and counted with it.
    Upstream: no upstream issue found (2026-11-27).
    Once mended: leave it out.
    """
    layers = model._layers
    place = next((i for i, each in enumerate(layers) if each is layer), None)
    model._tracker.untrack(layer)
    if place is not None and successor is not None and layers and layers[-1] is successor:
        layers.insert(place, layers.pop())


def number_of_weights(path):
    """The number of variables in a file of `save_weights`, without those of optimizers.

    Private: the layout of `.weights.h5` files, as of Keras 3.15.1 (src/saving/saving_lib.py).
    Why: `load_weights` leaves out, without a word, what a file holds and the model lacks.
    Upstream: no upstream issue found (2026-11-27).
    Once mended: leave it out.
    """
    import h5py  # Keras requires it

    found = []
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
    paths = [name.split("/") for name in found]  # what is stored under a name, not a number, is a setting
    return sum("vars" in path and "optimizer" not in path[0] and path[-1].isdecimal() for path in paths)


def losses_of_call(layer):
    """The losses that a layer and those in it added in their last call: activity regularisers, `add_loss`; a list.

    Private: `keras.layers.Layer._losses`, as of Keras 3.15.1 (src/layers/layer.py).
    Why: the public `losses` holds the penalties of weights as well, which belong to a model and not to a call: a
        network that is called twice would count them twice.
    Upstream: no upstream issue found (2026-11-26).
    Once mended: use the public name.
    """
    return [loss for each in layers_of(layer) for loss in each._losses]


def dense(gradient):
    """A gradient with one number for each weight, where an embedding gives several for a row.

    Why: `keras.optimizers.Adam` squares `tf.IndexedSlices` as they are, so that for a row with gradients a and b it
        adds a² + b² to the second moment, and not (a + b)² (Keras 3.15.1, src/optimizers/adam.py, `update_step`).
    Upstream: no upstream issue found (2026-11-26); https://github.com/keras-team/keras/issues/19992 is on their speed.
    Once mended: remove it; its caller is `zoo.fitting.model`.
    """
    return tf.convert_to_tensor(gradient) if isinstance(gradient, tf.IndexedSlices) else gradient


def reducible_by_workers(results):
    """The figures of a step, a dict of scalars, with an axis that Keras can reduce.

    Why: with several workers Keras calls `strategy.reduce("MEAN", value, axis=0)` for each of them, which fails for
        scalars (Keras 3.15.1, src/backend/tensorflow/trainer.py, `reduce_per_replica`).
    Upstream: https://github.com/tensorflow/tensorflow/issues/72388 (closed as stale).
    Once mended: remove it; its caller is `zoo.fitting.model`.
    """
    return {name: ops.expand_dims(value, 0) for name, value in results.items()}


class PrivateAdam(keras.optimizers.Adam):
    """Keras's Adam, its private parts under public names: `moments` to read, `clip_gradients` to override."""

    def moments(self, variable):
        """The first and the second moment of a weight, Keras variables.

        Private: `_get_variable_index`, `_momentums` and `_velocities` of `keras.optimizers.Adam`, as of Keras 3.15.1
            (src/optimizers/adam.py).
        Why: an update in one operation needs both.
        Upstream: no upstream issue found (2026-11-26).
        """
        number = self._get_variable_index(variable)
        return self._momentums[number], self._velocities[number]

    def clip_gradients(self, gradients):
        """The gradients as `clipnorm`, `global_clipnorm` and `clipvalue` have them."""
        return super()._clip_gradients(gradients)

    def _clip_gradients(self, gradients):
        """Calls `clip_gradients`.

        Private: `keras.optimizers.Optimizer._clip_gradients`, as of Keras 3.15.1 (src/optimizers/base_optimizer.py).
        Why: of several replicas, Keras clips what each has before it adds up.
        Upstream: https://github.com/tensorflow/tensorflow/issues/33929 (closed; a maintainer calls it the wrong place).
        """
        return self.clip_gradients(gradients)


def unknown_to(optimizer, variables):
    """Those of `variables` that an optimizer which is built was not built for, a list.

    Private: `keras.optimizers.Optimizer._trainable_variables_indices` and `_var_key`, as of Keras 3.15.1
        (src/optimizers/base_optimizer.py).
    Why: Keras says no more than that a variable is unknown, in the first step, and not that `compile` is due.
    Upstream: no upstream issue found (2026-11-26).
    """
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # of one that scales the loss
    if not optimizer.built:
        return []
    known = optimizer._trainable_variables_indices
    return [variable for variable in variables if optimizer._var_key(variable) not in known]
