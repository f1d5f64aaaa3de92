"""Examples and their classes, as classifiers of embeddings take them."""

import numpy as np

from zoo.runtime import checks
from zoo.runtime.types import ArrayLike

Labelled = tuple[np.ndarray, np.ndarray]


def labelled(
    name: str, features: ArrayLike, labels_name: str, labels: ArrayLike, training: Labelled | None = None
) -> Labelled:
    """Features `[N,E]` and the classes `[N]` of the same examples, as NumPy arrays.

    Args:
        name, labels_name: the arguments' names.
        training: what this function gave for the training examples, if these are test examples.

    Raises:
        ValueError: for features that are no finite numbers, labels that are no classes or of another number, fewer than
            two classes in training, and test examples of classes that training lacks, about which every classifier is
            wrong.
    """
    found = checks.numpy_array(name, features)
    if found.ndim != 2 or not len(found) or found.dtype.kind not in "fiub":
        checks.fail(name, "an array of numbers of shape [N,E], N >= 1", f"{found.dtype} of shape {found.shape}")
    if not np.isfinite(found).all():
        checks.fail(name, "an array of finite numbers", f"{np.sum(~np.isfinite(found))} that are not")
    if training is not None and found.shape[1] != training[0].shape[1]:
        checks.fail(name, f"an array of shape [N,{training[0].shape[1]}], as in training", found.shape)
    classes = _classes(labels_name, labels)
    if classes.shape != found.shape[:1]:
        checks.fail(labels_name, f"an array of shape [{len(found)}]", classes.shape)
    known = np.unique(classes if training is None else training[1])
    if len(known) < 2:
        checks.fail(labels_name, "of at least two classes", known)
    unknown = np.setdiff1d(classes, known)
    if len(unknown):
        checks.fail(labels_name, "of classes that training has", f"{unknown[:5].tolist()}, which it lacks")
    return found, classes


def label_array(labels: ArrayLike) -> np.ndarray:
    """Labels as an array; texts of dtype object, as pandas has them, as NumPy's own texts."""
    found = np.asarray(labels)
    of_texts = found.dtype.kind == "O" and all(isinstance(each, str) for each in found.ravel())
    return found.astype(str) if of_texts else found


def _classes(name, labels):
    """Classes as integers or texts."""
    if isinstance(labels, np.ma.MaskedArray) and np.ma.is_masked(labels):
        checks.fail(name, "an array without a mask", f"{np.ma.count_masked(labels)} masked values")
    classes = label_array(labels)
    whole = classes.dtype.kind == "f" and bool((classes == np.round(classes)).all())  # NaN is not
    if classes.dtype.kind not in "iubUS" and not whole:
        checks.fail(name, "an array of classes, integers or texts", f"{type(labels).__name__} of {classes.dtype}")
    return classes
