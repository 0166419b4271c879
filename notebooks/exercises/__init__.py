"""Exercises that check themselves: fill in notebooks/exercises/NAME.py, then

    from exercises import check
    check("NAME")

in the notebook that sets it, or `python -m exercises NAME` in notebooks/. Solutions are in solutions/.
"""

import importlib

from exercises import checks

NAMES = ("second_order", "eq2", "count", "collapse", "greedy", "neighbours", "one_field")


def check(name: str) -> None:
    """Says whether the exercise is solved, and if not, what is wrong; a blank is read anew each time."""
    module = importlib.reload(importlib.import_module(f"exercises.{name}"))
    try:
        getattr(checks, name)(module)
    except Exception as error:  # whatever the student's code raises
        print(f"{name}: not yet ({type(error).__name__}: {' '.join(str(error).split()) or 'no message'})")
    else:
        print(f"{name}: solved")
