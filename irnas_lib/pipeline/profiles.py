"""The jobs of a profile: which notebooks run, with which parameters, after which others (profiles.toml)."""

import re
import tomllib
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from itertools import product
from pathlib import Path
from typing import Annotated, NamedTuple, NotRequired

from pydantic import Field, Strict, TypeAdapter
from typing_extensions import TypedDict

from irnas_lib.data.tasks import TASKS
from irnas_lib.experiments.config import slug
from irnas_lib.files import LARGEST, ROOT, problem
from irnas_lib.genotypes import BOUNDS
from irnas_lib.training.recipes import RECIPES

SOURCE = ROOT / "profiles.toml"
PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._,-]*")  # of profiles and jobs, which become files and arguments

Name = Annotated[str, Field(pattern=rf"^{PLAIN_NAME.pattern}$")]
Scalar = str | Annotated[int, Strict()] | Annotated[float, Strict(), Field(allow_inf_nan=False)]
Settings = dict[str, dict[str, str | dict[str, Scalar]]]  # of a profile: datasets, and by notebook and task the scale


class Entry(TypedDict):
    """What stands under [[jobs]]."""

    notebook: Name
    name: NotRequired[str]
    parameters: NotRequired[dict[str, Scalar]]
    needs: NotRequired[list[str]]
    profiles: NotRequired[list[str]]
    each: NotRequired[dict[str, list[Scalar]]]


JOBS, PATTERNS, PROFILES = TypeAdapter(list[Entry]), TypeAdapter(list[str]), TypeAdapter(dict[Name, Settings])
LISTS = ("jobs", "worth", "light")  # at the top of the file; what else stands there is a profile
# What parameters may be, whichever notebook has them; 0 often stands for "as it is".
RANGES = {"sigma": (0, 255), "seed": (0, LARGEST - 1), "iterations": (1, 10 ** 8), "schedule": (0, 10 ** 8),
          "batch": (1, 4096), "crop": (1, 4096), "layers": (1, BOUNDS["layers"]), "nodes": (1, BOUNDS["nodes"]),
          "width": (0, BOUNDS["width"]),
          "epochs": (1, 10 ** 6), "warmup_epochs": (0, 10 ** 6), "crops_per_picture": (1, 10 ** 6),
          "validate_every": (1, 10 ** 8), "loss_lambda": (0, 1000), "every": (1, 10 ** 6), "number": (1, 10 ** 6),
          "test_pictures": (0, 10 ** 6), "pixels": (1, 10 ** 15)}
CHOICES = {"task": tuple(TASKS), "recipe": tuple(RECIPES), "precision": ("float32", "bfloat16")}


class ProfileError(ValueError):
    """An unknown profile or job, or a profiles.toml that contradicts itself; the message is one line."""


class Job(NamedTuple):
    """One run of a notebook."""

    notebook: str  # the stem of its source in notebooks/
    name: str  # unique in its profile; the executed notebook is called so
    parameters: dict  # plain scalars, `profile` among them
    needs: tuple[str, ...]  # names of the jobs that go before


def names(source: Path = SOURCE) -> list[str]:
    """Names of the known profiles, in the order of the file."""
    return [name for name in _read(source) if name not in LISTS]


def datasets(profile: str, source: Path = SOURCE) -> dict[str, str]:
    """The data set of each task, such as {"denoising": "BSD500", "deraining": "Rain800"}."""
    return _settings(profile, source).get("datasets", {})


def load(profile: str, source: Path = SOURCE) -> list[Job]:
    """Jobs of a profile, in reading order, each after those that it needs.

    Raises ProfileError for an unknown profile, a key that means nothing, a repeated name, or a need that
    no earlier job meets.
    """
    settings, known = _settings(profile, source), names(source)
    jobs: list[Job] = []
    for entry in _expanded(_read(source)["jobs"]):
        name = entry.get("name", entry["notebook"])
        if stray := sorted(set(entry) - Entry.__annotations__.keys()):
            raise ProfileError(f"{source.name}, job {name}: unknown key {', '.join(stray)}")
        if stray := sorted(set(entry.get("profiles", [])) - set(known)):
            raise ProfileError(f"{source.name}, job {name}: unknown profile {', '.join(stray)}")
        if "profile" in entry["parameters"]:
            raise ProfileError(f"{source.name}, job {name}: `profile` is given to every job, and is no parameter here")
        if profile not in entry.get("profiles", [profile]):
            continue
        if not PLAIN_NAME.fullmatch(name):
            raise ProfileError(f"{source.name}: a job's name has letters, digits and . _ , - only, not {name!r}")
        if name in (job.name for job in jobs):
            raise ProfileError(f"{source.name}: two jobs of profile {profile} are called {name}")
        jobs.append(Job(entry["notebook"], name, _parameters(profile, settings, entry),
                        _needs(name, entry.get("needs", []), jobs, source)))
    return jobs


def _expanded(entries: list[dict]) -> Iterator[dict]:
    """The entries, those with `each` once for every combination of its values."""
    for entry in entries:
        each = entry.get("each", {})
        for values in product(*each.values()):
            chosen = dict(zip(each, values))
            shown = {key: slug(value) if isinstance(value, str) else value for key, value in chosen.items()}
            name = entry.get("name", entry["notebook"])
            try:
                named = "".join(str(shown[part[1:-1]]) if part.startswith("{") else part
                                for part in re.split(r"({\w+})", name))
                yield entry | {"name": named, "parameters": entry.get("parameters", {}) | chosen}
            except KeyError as error:
                raise ProfileError(f"job {name}: `each` has no {error}") from None


def by_worth(jobs: Iterable[Job], source: Path = SOURCE) -> list[Job]:
    """The jobs in the order in which time is best spent on them: by the first pattern of `worth` that fits, then as
    they are; those that no pattern fits come last."""
    patterns = _read(source).get("worth", [])

    def rank(job):
        return next((i for i, pattern in enumerate(patterns) if fnmatch(job.name, pattern)), len(patterns))
    return sorted(jobs, key=rank)


def light(job: Job, source: Path = SOURCE) -> bool:
    """Whether a job is so small that it needs no machine of its own: by the patterns of `light`."""
    return any(fnmatch(job.name, pattern) for pattern in _read(source).get("light", []))


def find(profile: str, name: str, source: Path = SOURCE) -> Job:
    """The job of that name; ProfileError names the known ones if there is none."""
    jobs = load(profile, source)
    for job in jobs:
        if job.name == name:
            return job
    known = ", ".join(job.name for job in jobs)
    raise ProfileError(f"unknown job {name!r} in profile {profile}; known: {known}")


def misfit(name: str, value: object, default: object) -> str | None:
    """What keeps a value from being that of a notebook's parameter, whose default is given; None where nothing does."""
    if type(value) is not type(default) and (type(value), type(default)) != (int, float):
        return f"{name} is {value!r}, which should be {type(default).__name__} as {default!r} is"
    low, high = RANGES.get(name, (value, value))
    if not low <= value <= high:
        return f"{name} is {value}, which should be {low:,} to {high:,}"
    known = _systems() if name == "system" else CHOICES.get(name, (value,))
    if value not in known:
        return f"{name} is {value!r}, which should be one of {', '.join(known)}"
    return None


def _systems() -> tuple[str, ...]:
    from irnas_lib.evaluation.systems import BASELINES, IR_NAS  # takes seconds: it imports torch

    return (*IR_NAS, *BASELINES)


def _read(source: Path) -> dict:
    try:
        content = tomllib.loads(source.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ProfileError(f"{source.name}: {error}") from None
    rest = {name: part for name, part in content.items() if name not in LISTS}
    for part, kind, place in ((content.get("jobs"), JOBS, "jobs."), (content.get("worth", []), PATTERNS, "worth."),
                              (content.get("light", []), PATTERNS, "light."), (rest, PROFILES, "")):
        if wrong := problem(part, kind):
            raise ProfileError(f"{source.name}: {place}{wrong}")
    return content


def _settings(profile: str, source: Path) -> dict:
    if profile not in (known := names(source)):
        raise ProfileError(f"unknown profile {profile!r}; known: {', '.join(known)}")
    return _read(source)[profile]


def _parameters(profile: str, settings: dict, entry: dict) -> dict:
    parameters = entry.get("parameters", {})
    if entry["notebook"] not in settings:
        return {"profile": profile, **parameters}
    task = parameters.get("task")
    try:
        scale = {"dataset": settings["datasets"][task], **settings[entry["notebook"]][task]}
    except KeyError:
        raise ProfileError(f"profile {profile} has no scale for {entry['notebook']}, task {task!r}") from None
    return {"profile": profile, **scale, **parameters}


def _needs(name: str, wanted: list[str], earlier: list[Job], source: Path) -> tuple[str, ...]:
    found: list[str] = []
    for need in wanted:
        met = [job.name for job in earlier if need in (job.name, job.notebook)]
        if not met:
            raise ProfileError(f"{source.name}: job {name} needs {need}, and no job before it is called so")
        found += [job for job in met if job not in found]
    return tuple(found)
