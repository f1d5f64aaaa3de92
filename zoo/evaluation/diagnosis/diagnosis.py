"""Names the faults of a trained model in plain words, and says what to do."""

import keras

from zoo.evaluation.diagnosis.faults import judge
from zoo.evaluation.diagnosis.findings import Finding
from zoo.evaluation.diagnosis.symptoms import measure
from zoo.evaluation.rows import Examples, as_float
from zoo.models import VAEAC
from zoo.runtime import checks
from zoo.runtime.types import ArrayLike, Labels

LEAST_EXAMPLES = 20


def diagnose(
    model: keras.Model,
    data: ArrayLike,
    validation: ArrayLike | None = None,
    labels: Labels = None,
    validation_labels: Labels = None,
    seed: int = 0,
) -> list[Finding]:
    """Names the faults of a trained model.

    It looks for: data outside the likelihood's range, a decoder variance that does not fit the errors, a KL weight that
    is too high or too low, posterior collapse, unused codes, over-fitting, and more latents than the data need. All of
    them are measured; the model's settings are named beside.

    Args:
        model: a trained model of the zoo.
        data: float `[N,…]`, examples of the training data; uint8 is divided by 255. Some thousands suffice.
        validation: float `[M,…]`, examples that the model was not trained on; None leaves over-fitting out.
        labels, validation_labels: one for each example, for a conditional model or prior.
        seed: int, of the samples of the posterior.

    Returns:
        list of `Finding`, the most fundamental first; empty for a model without a fault.

    Raises:
        ValueError: for missing labels, fewer than 20 examples or equal ones, and for a `zoo.VAEAC`, which is trained to
            judge the missing part of an example.

    Example:
        >>> for finding in zoo.evaluation.diagnose(model, images):
        ...     print(finding)
    """
    if isinstance(model, VAEAC):
        checks.fail("model", "one that is trained to judge whole examples", type(model).__name__)
    examples = Examples(model, data, labels)
    held_out = None if validation is None else Examples(model, validation, validation_labels)
    for name, part in (("data", examples), ("validation", held_out)):
        if part is None:
            continue
        if len(part) < LEAST_EXAMPLES:
            checks.fail(name, f"at least {LEAST_EXAMPLES} examples, as a diagnosis rests on their spread", len(part))
        if model.num_codes is None and _are_equal(part):  # latents have nothing to tell then, and look collapsed
            checks.fail(name, "examples that differ, as a diagnosis rests on their spread", f"{len(part)} equal ones")
    return judge(measure(model, examples, held_out, seed))


def _are_equal(examples):
    first = as_float(examples.images[:1])
    return not any((x != first).any() for _, x, _, _ in examples.batches(checked=False))
