"""The producer with one planted mistake.

``python -m infra.local.campaign.mutated <mutant>``

It is started in the place of ``producer.main`` and takes the same settings.
"""

import sys

from infra.local.campaign.mutants import IN_PRODUCER
from producer import main

if __name__ == "__main__":
    (mutant,) = (each for each in IN_PRODUCER if each.name == sys.argv[1])
    with mutant.planted():
        sys.exit(main.main())
