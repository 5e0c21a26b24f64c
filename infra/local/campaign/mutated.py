"""A module of the product with one planted mistake.

``python -m infra.local.campaign.mutated <mutant> <module> <arguments of the module>``
"""

import runpy
import sys

from infra.local.campaign.mutants import IN_PRODUCER


def main(name: str, module: str) -> None:
    """Run a module as ``python -m`` would, while the mutant is planted."""
    (mutant,) = (each for each in IN_PRODUCER if each.name == name)
    with mutant.planted():
        runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _, chosen, target, *sys.argv[1:] = sys.argv
    main(chosen, target)
