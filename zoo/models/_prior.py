"""`model.prior`, which can be exchanged at any time; and layers that a model's own `fit` does not train."""

import keras

from zoo.fitting.model import ObjectiveModel


class HoldsApart(keras.Model):
    """A Keras model that keeps the weights of some of its layers out of its own training.

    These weights are saved with the model, and count as non-trainable.
    """

    def apart(self) -> tuple[keras.layers.Layer, ...]:
        """The layers that `fit` does not train, though they have trainable weights."""
        return ()

    @property
    def weights_not_apart(self) -> list[keras.Variable]:
        """All weights but those of the layers apart."""
        return self._not_apart(self.weights)

    @property
    def trainable_weights(self) -> list[keras.Variable]:
        return self._not_apart(super().trainable_weights)

    def _not_apart(self, weights):
        apart = {id(weight) for layer in self.apart() for weight in layer.weights}
        return [weight for weight in weights if id(weight) not in apart]

    @property
    def non_trainable_weights(self) -> list[keras.Variable]:
        trainable = {id(weight) for weight in self.trainable_weights}
        return [weight for weight in self.weights if id(weight) not in trainable]

    @property
    def trainable_variables(self) -> list[keras.Variable]:
        return self.trainable_weights

    @property
    def non_trainable_variables(self) -> list[keras.Variable]:
        trainable = {id(variable) for variable in self.trainable_weights}
        return [variable for variable in self.variables if id(variable) not in trainable]


class HasPrior(HoldsApart, ObjectiveModel):
    """A model with a `prior`, set at construction, or later by `model.prior = prior`.

    The model's constructor sets `self.prior_slot = PriorSlot()` and then `self.prior`. The model defines `check_prior`,
    and the property `prior` with a setter that calls `attach_prior`.
    """

    prior_slot: "PriorSlot"

    def __setattr__(self, name: str, value: object) -> None:
        if name == "prior":
            object.__setattr__(self, name, value)  # Keras would track the prior as a layer that cannot be removed
        else:
            super().__setattr__(name, value)

    def check_prior(self, prior: object) -> None:
        """Raises ValueError for a prior that does not fit the model."""
        raise NotImplementedError

    def attach_prior(self, prior: keras.Model | None) -> None:
        """Checks a prior, and exchanges the former one for it."""
        if prior is not None:
            self.check_prior(prior)
        self.prior_slot.exchange(prior)
        self.forget_graphs()


class PriorSlot(keras.layers.Layer):
    """Holds a prior that can be exchanged at any time; a model's own layers are fixed once it is built."""

    def __init__(self) -> None:
        super().__init__()
        self.built = True
        self.held: list[keras.Model] = []  # a list, as Keras stops tracking a layer that leaves one

    @property
    def prior(self) -> keras.Model | None:
        """The prior, or None."""
        return self.held[0] if self.held else None

    def exchange(self, prior: keras.Model | None) -> None:
        """Holds `prior` instead of the former one."""
        self.held.clear()
        if prior is not None:
            self.held.append(prior)
