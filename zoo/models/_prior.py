"""`model.prior`, which can be exchanged at any time; and layers whose weights a model's own `fit` leaves alone."""

import keras


class HoldsApart:
    """A Keras model that keeps the weights of some of its layers out of its own training.

    They are saved with the model, and count as non-trainable.
    """

    def apart(self):
        """The layers that `fit` leaves as they are, though they have trainable weights."""
        return ()

    @property
    def trainable_weights(self):
        apart = {id(weight) for layer in self.apart() for weight in layer.weights}
        return [weight for weight in super().trainable_weights if id(weight) not in apart]

    @property
    def non_trainable_weights(self):
        trainable = {id(weight) for weight in self.trainable_weights}
        return [weight for weight in self.weights if id(weight) not in trainable]

    @property
    def trainable_variables(self):
        return self.trainable_weights

    @property
    def non_trainable_variables(self):
        trainable = {id(variable) for variable in self.trainable_weights}
        return [variable for variable in self.variables if id(variable) not in trainable]


class HasPrior(HoldsApart):
    """A model with a `prior`: given at construction, or attached later by `model.prior = prior`.

    The model's constructor sets `self.prior_slot = PriorSlot()` and then `self.prior`.
    """

    def __setattr__(self, name, value):
        if name == "prior":
            self._attach(value)
        else:
            super().__setattr__(name, value)

    @property
    def prior(self):
        """The attached prior, or None."""
        return self.prior_slot.prior

    def check_prior(self, prior):
        """Raises ValueError for a prior that does not fit the model."""
        raise NotImplementedError

    def _attach(self, prior):
        if prior is not None:
            self.check_prior(prior)
        self.prior_slot.exchange(prior)
        self.functions.clear()  # they hold the one before
        # So do the steps of Keras's verbs.
        self.train_function = self.test_function = self.predict_function = None


class PriorSlot(keras.layers.Layer):
    """Holds a prior that can be exchanged at any time, where a model's own layers are fixed once it is built."""

    def __init__(self):
        super().__init__()
        self.built = True
        self.held = []  # a list, as Keras forgets what leaves one

    @property
    def prior(self):
        return self.held[0] if self.held else None

    def exchange(self, prior):
        self.held.clear()
        if prior is not None:
            self.held.append(prior)
