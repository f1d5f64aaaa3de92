"""What makes a file of `recipes/` a program."""

import dataclasses
import pathlib

from zoo.training import run
from zoo.training.recipe import Recipe


@dataclasses.dataclass(frozen=True)
class Main:
    """The `main` of a recipe's script: called with arguments, or without for those of the command line, it trains."""

    recipe: Recipe

    def __call__(self, argv=None):
        return run.main(self.recipe, argv)


def script(module, file, description, **settings):
    """The `main` of a script, as its last statement; it runs at once if Python was called with the script.

    Args:
        module, file, description: the script's `__name__`, `__file__` and `__doc__`. The recipe is named after the
            file.
        settings: what a `Recipe` takes besides.

    Returns:
        `Main`.
    """
    main = Main(Recipe(pathlib.Path(file).stem, description, **settings))
    if module == "__main__":
        main()
    return main
