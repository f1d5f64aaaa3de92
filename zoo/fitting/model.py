"""The training step and the test step of all models and priors."""

import contextlib
import threading
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from zoo._compat import keras as keras_compat
from zoo.fitting import phase
from zoo.fitting.batch import Batch
from zoo.fitting.verbs import Verbs
from zoo.runtime import checks, cores, replicas
from zoo.runtime.settings import Setting, is_argument
from zoo.runtime.types import Config, Tensor, Tensors


class ObjectiveModel(Verbs):
    """A Keras model that minimises its own objective, which `compute_terms` computes per example."""

    # The entries of `compute_terms` and `after_step` that are reported, "loss" among them.
    term_names: tuple[str, ...] = ()
    training_only: tuple[str, ...] = ()  # the entries that are reported in training alone
    denoises = False  # whether it was trained on targets: its input may then lie outside the likelihood's support

    def __init__(self, **kwargs: Any) -> None:
        if keras.config.dtype_policy().name == "float64":  # for the networks; noise and objective stay float32
            kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.trackers: dict[str, keras.metrics.Metric] = {
            name: keras.metrics.Mean(name=name, dtype="float32") for name in self.term_names
        }
        # Set this way, neither is a part of the model's state.
        object.__setattr__(self, "functions", {})  # of zoo.fitting.batched
        object.__setattr__(self, "parts_of_graphs", [])  # their ids
        object.__setattr__(self, "_added", threading.local())  # each replica is traced in its own thread

    def __setattr__(self, name: str, value: object) -> None:
        """Sets an attribute. A new value of an argument of the constructor counts from the next call on.

        Raises:
            ValueError: for a value that the constructor would refuse, which leaves the former one in place; and for
                another object in the place of `kl_weight`, a variable that callbacks set.
        """
        former = self.__dict__.get(name)
        simple = isinstance(former, (int, float, str)) and isinstance(value, (int, float, str))
        same = former is value or (simple and former == value)
        changed = not name.startswith("_") and former is not None and not same
        if changed and name == "kl_weight" and isinstance(former, keras.Variable):
            checks.fail(name, f"set by kl_weight.assign({value!r})", value)
        setting = getattr(type(self), name, None)
        if isinstance(setting, Setting):  # before Keras tracks the value
            value = setting.checked(self, value)
        super().__setattr__(name, value)
        if changed and is_argument(name, type(self)):
            try:
                self.check_settings()
            except ValueError:
                super().__setattr__(name, former)
                if isinstance(value, keras.layers.Layer):
                    keras_compat.untrack(self, value)
                raise
            if isinstance(former, keras.layers.Layer) and not self._holds(former):
                keras_compat.untrack(self, former, value)
            self.exchanged(name)

    def _holds(self, layer):
        """Whether the layer is an attribute, or in a list or a dict that is one."""
        for name, value in vars(self).items():
            held = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else [value]
            if not name.startswith("_") and any(each is layer for each in held):
                return True
        return False

    def exchanged(self, name: str) -> None:
        """Follows a new value of an argument of the constructor."""
        self.forget_graphs()
        for part in keras_compat.layers_of(self):
            if part is not self and isinstance(part, ObjectiveModel):  # a prior, which may hold the encoder
                part.forget_graphs()

    def forget_graphs(self) -> None:
        """Lets go of the compiled methods and steps, which hold networks, settings and priors as they were."""
        self.functions.clear()
        self.forget_steps()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.compute_loss is not keras.Model.compute_loss:
            raise TypeError(
                f"Expected {cls.__name__} to define its loss by compute_terms, or penalty for a VAE. Received: "
                "compute_loss, which the models of the zoo do not call"
            )
        own_step = cls.train_step is not ObjectiveModel.train_step  # which may call it
        if cls.compute_metrics is not keras.Model.compute_metrics and not own_step:
            raise TypeError(
                f"Expected {cls.__name__} to name its figures in `term_names`, and to give them in compute_terms. "
                "Received: compute_metrics, which the models of the zoo do not call"
            )

    def compute_terms(
        self, x: Tensor, labels: Tensor | None = None, training: bool = False, target: Tensor | None = None
    ) -> Tensors:
        """Computes the terms of the objective.

        Args:
            x: float32 `[B,…]`, the input.
            labels: int32 `[B]` or float32 `[B,d]`, for a conditional model.
            training: bool, whether the networks run as in training.
            target: data of the shape of `x` that the likelihood judges instead of `x`; None for `x` itself.

        Returns:
            dict of float32 `[B]`, nats per example; "loss" is minimised.
        """
        raise NotImplementedError

    def save_own_variables(self, store: MutableMapping[str, Any]) -> None:
        super().save_own_variables(store)
        store["denoises"] = np.int8(self.denoises)

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        values = {name: store[name] for name in store.keys()}  # noqa: SIM118  (of HDF5, with few methods)
        if "denoises" in values:  # not in files of earlier versions
            object.__setattr__(self, "denoises", bool(np.asarray(values.pop("denoises"))))
        super().load_own_variables(values)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        compiled = keras_compat.compiled_metrics(self)
        policy = [] if self.gradient_policy is None else [self.gradient_policy.skipped]
        return [*self.trackers.values(), *policy, *([] if compiled is None else [compiled])]

    def train_step(self, data: object) -> Tensors:
        batch = self._unpack(data)
        if batch.target is not None:
            object.__setattr__(self, "denoises", True)
        variables = self.trainable_variables
        if not variables:
            kind = type(self).__name__
            raise ValueError(f"Expected a {kind} with weights to train. Received: one whose weights are all frozen")
        with tf.GradientTape() as tape:
            terms, added = self._objective(batch, training=True)
            # Keras adds up the gradients of all replicas: each contributes its share.
            loss = replicas.share_of_mean(terms["loss"])
            if added:
                loss = loss + sum(added) * replicas.share_of_batch(terms["loss"])
            loss = self.optimizer.scale_loss(loss)
        gradients = cores.together([keras_compat.dense(gradient) for gradient in tape.gradient(loss, variables)])
        if self.gradient_policy is not None:
            gradients = self.gradient_policy(gradients, self.optimizer)
        self.optimizer.apply_gradients(zip(gradients, variables))
        terms = terms | {"loss": sum(added, terms["loss"])} | self.after_step(terms)
        return self._report(terms, batch, training=True)

    def after_step(self, terms: Tensors) -> Tensors:
        """Trains a further network at the end of each training step, for a model that has one.

        Args:
            terms: those of `compute_terms` for the batch of the step.

        Returns:
            dict of further terms to report, `[B]` or scalars.
        """
        return {}

    def build_optimizers(self) -> None:
        """Makes the variables of all optimizers of the model."""
        self.optimizer.build(self.trainable_variables)

    def optimizers(self) -> list[keras.optimizers.Optimizer]:
        """All optimizers of the compiled model."""
        return [self.optimizer]

    def _unpack(self, data: object) -> Batch:
        """Splits the input of a step into a `Batch` of tensors, checked and cast."""
        batch = self._split(data)
        x, labels = self._inputs(batch.x, batch.labels)
        if not self.built:  # networks of the user's own may be built by their first call
            self(x, labels)
        target = None if batch.target is None else ops.cast(batch.target, "float32")
        weights = None if batch.weights is None else ops.cast(batch.weights, "float32")
        return Batch(x, labels, target, weights)

    def _objective(self, batch: Batch, training: bool) -> tuple[Tensors, list[Tensor]]:
        """Computes the terms of a batch, and the losses that layers add.

        Returns:
            the terms, with the weights of the examples applied to "loss"; and scalars, the penalties of weights and of
            activities. A penalty of activities is a mean over a replica's examples.
        """
        added: list[Tensor] = []
        self._added.losses = added
        try:
            with phase.step_of(self, training):
                terms = self.compute_terms(batch.x, batch.labels, training=training, target=batch.target)
        finally:
            self._added.losses = None
        if "loss" not in terms:
            checks.fail("compute_terms", "a function that gives 'loss'", sorted(terms))
        checks.per_example("'loss' of compute_terms", terms["loss"], batch.x.shape[0])
        if batch.weights is not None:
            terms = terms | {"loss": batch.weights * terms["loss"]}
        penalties = [weight.regularizer(weight) for weight in self.trainable_variables if weight.regularizer]
        return terms, added + penalties

    @property
    def added(self) -> list[Tensor] | None:
        """The losses that layers have added since `_objective` of this replica began; None outside of it."""
        return getattr(self._added, "losses", None)

    def note_added(self, network: keras.layers.Layer) -> None:
        """Records the losses that the layers of `network` added in its latest call.

        It must follow the call at once: another replica that is traced meanwhile, or another sub-batch, would overwrite
        them.
        """
        if self.added is not None:
            self.added.extend(keras_compat.losses_of_call(network))

    @contextlib.contextmanager
    def nothing_added(self) -> Iterator[None]:
        """A context in which added losses are not recorded, for network calls on other data than the batch."""
        before, self._added.losses = self.added, None
        try:
            yield
        finally:
            self._added.losses = before

    def test_step(self, data: object) -> Tensors:
        batch = self._unpack(data)
        terms, added = self._objective(batch, training=False)
        return self._report(terms | {"loss": sum(added, terms["loss"])}, batch, training=False)

    def predict_step(self, data: object) -> Tensor:
        batch = self._unpack(data)
        return self(batch.x, batch.labels)

    def update_trackers(self, terms: Tensors, weights: Tensor | None = None) -> None:
        """Adds the terms of a batch to the reported means; the loss already includes the weights."""
        for name, tracker in self.trackers.items():
            if name in terms:
                of_batch = name == "loss" or not len(getattr(terms[name], "shape", ()))
                tracker.update_state(terms[name], sample_weight=None if of_batch else weights)

    def _report(self, terms, batch, training):
        self.update_trackers(terms, batch.weights)
        # A mean of no values is 0, which would stand for a term that a subclass does not compute.
        left_out = {name for name in (*self.term_names, "bits_per_dim") if name not in terms}
        left_out |= set() if training else {*self.training_only}
        results = {name: tracker.result() for name, tracker in self.trackers.items() if name not in left_out}
        if training and self.gradient_policy is not None:
            results["skipped"] = self.gradient_policy.skipped.result()
        results |= self._compare(batch)
        strategy = tf.distribute.get_strategy()
        if replicas.has_workers(strategy) and strategy.num_replicas_in_sync > 1:
            results = keras_compat.reducible_by_workers(results)
        return results

    def _compare(self, batch):
        """Updates the metrics of `compile` with the data and their reconstructions, and returns a dict of scalars."""
        metrics = keras_compat.compiled_metrics(self)
        if metrics is None:
            return {}
        target = batch.x if batch.target is None else batch.target
        metrics.update_state(target, self(batch.x, batch.labels), batch.weights)
        return metrics.result()

    def get_config(self) -> Config:
        policy = keras.saving.serialize_keras_object(self.dtype_policy)
        return {"name": self.name, "trainable": self.trainable, "dtype": policy}
