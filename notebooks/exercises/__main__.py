"""`python -m exercises [NAME ...]`, in notebooks/."""

import sys

from exercises import NAMES, check

for name in sys.argv[1:] or NAMES:
    if name in NAMES:
        check(name)
    else:
        sys.exit(f"no exercise {name!r} (there are {', '.join(NAMES)})")
