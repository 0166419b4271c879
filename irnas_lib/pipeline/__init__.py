"""Running the notebooks of a profile, and publishing what they made."""

import sys

from irnas_lib.files import INSTALLED

# jsonschema, by which nbformat checks notebooks, would compile a grammar of IRIs that no notebook's schema asks for: a
# second of every job. Where the package is missing it does without.
sys.modules.setdefault("rfc3987_syntax", None)


def main() -> int:
    """The command `irnas`, which is `python -m irnas_lib.pipeline.batch`; its exit status."""
    if INSTALLED:
        print("irnas needs the project's folder with its notebooks: get the project and run `make install` in it. "
              "irnas-restore works without", file=sys.stderr)
        return 1
    from irnas_lib.pipeline import batch

    return batch.main()
