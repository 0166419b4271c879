"""What records hold that are read back from files: the types, ranges and shapes on which whoever reads them relies.

The records stay plain dictionaries. What is not named here, such as versions and commits, may be anything.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal, NotRequired

from pydantic import AfterValidator, Field, Strict, TypeAdapter
from typing_extensions import TypedDict

from irnas_lib.data.tasks import TASKS
from irnas_lib.files import LARGEST, CheckpointError, problem, read_json
from irnas_lib.genotypes import BOUNDS, Genotype, check_path
from irnas_lib.search_space import MOVES, OPERATIONS, edges, source_rows


def _task(name: str) -> str:
    if name not in TASKS:
        raise ValueError(f"unknown task {name!r} (known: {', '.join(TASKS)})")
    return name


def _budget(budget: dict) -> dict:
    if not isinstance(budget.get("iterations"), int):
        raise ValueError("says no iterations")
    return budget


def _rows(grown: dict) -> dict:
    for axis, rows in grown["axes"].items():
        if any(row.keys() != {axis, "megabytes", "seconds"} for row in rows):
            raise ValueError(f"a row of {axis} is not {axis}, megabytes and seconds")
    return grown


def _trained(line: dict) -> dict:
    if (line["status"] == "ok") != (line["validation"] is not None and line["test"] is not None):
        raise ValueError(f"status is {line['status']}, which its scores are not")
    return line


def _whole_search(record: dict) -> dict:
    """That the parts of a search fit each other."""
    shapes = {"alpha": len(edges(len(record["genotype"]))), "beta": len(source_rows(len(record["path"])))}
    for place in (record, *record["history"]):
        for name, rows in shapes.items():
            if len(place[name]) != rows:
                raise ValueError(f"{name} has {len(place[name])} rows, not {rows}")
    if not record["best"] < len(record["history"]):
        raise ValueError(f"best is {record['best']} of {len(record['history'])} validations")
    return record


Real = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Count = Annotated[int, Strict(), Field(ge=0, lt=LARGEST)]
Number = Annotated[int, Strict(), Field(ge=1, lt=LARGEST)]
Seconds = Annotated[Real, Field(ge=0)]
Positive = Annotated[Real, Field(gt=0)]
Decibels = Annotated[Real, Field(ge=-100, le=200)]
Ssim = Annotated[Real, Field(ge=-1, le=1)]
Task = Annotated[str, AfterValidator(_task)]
Cell = Annotated[list, AfterValidator(Genotype)]
# pydantic 2.7 would give check_path itself two arguments
Levels = Annotated[list, AfterValidator(lambda levels: check_path(levels))]
Width = Annotated[int, Strict(), Field(ge=1, le=BOUNDS["width"])]
Alpha = list[Annotated[list[Real], Field(min_length=len(OPERATIONS), max_length=len(OPERATIONS))]]
Beta = list[Annotated[list[Real], Field(min_length=len(MOVES), max_length=len(MOVES))]]
Curve = list[tuple[Count, Real, Real]]  # iteration, loss, PSNR


class Validation(TypedDict):
    iteration: Count
    psnr: Decibels
    ssim: Ssim
    loss: Real
    alpha: Alpha
    beta: Beta
    counts: Annotated[bool, Strict()]


class Settings(TypedDict):
    seed: Count


class Searched(TypedDict):
    """What a search has found and how, whatever it was made for."""

    profile: str
    data_sha256: str
    device: str
    settings: Settings
    genotype: Cell
    path: Levels
    relative_path: Levels
    path_log_probability: Real
    alpha: Alpha
    beta: Beta
    best: Count
    history: list[Validation]
    seconds: Seconds


class Search(Searched):
    task: Task
    dataset: str


class Signal(TypedDict):
    size: Seconds
    spread: Seconds
    batches: Seconds


class Inherited(TypedDict):
    mixture: Decibels
    decoded: Decibels
    random: list[Decibels]


class SearchChoice(Searched):
    name: str
    question: str
    scale: str
    alpha_signal: dict[Literal["as left", "untouched"], Signal]
    inherited: NotRequired[Inherited]


class TrainedCell(TypedDict):
    name: str
    genotype: Cell
    seed: Count
    psnr: Decibels | None
    ssim: Ssim | None
    seconds: Seconds | None
    parameters: Number


class Cells(TypedDict):
    task: Task
    group: str
    profile: str
    budget: Annotated[dict[str, str | Count | Real | None], AfterValidator(_budget)]
    cells: list[TrainedCell]


class CellScores(TypedDict):
    psnr: Decibels
    ssim: Ssim
    each: list[Decibels]


class CellTraining(TypedDict):
    """A line of the table of cells."""

    task: Task
    name: str
    cell: Cell
    seed: Count
    pixels: Number
    iterations: Number
    parameters: Number
    macs_per_pixel: Positive
    validation: CellScores | None
    test: CellScores | None
    curve: list[tuple[Count, Decibels]]
    status: Literal["ok", "failed"]
    seconds: Seconds | None


class Choice(TypedDict):
    name: str
    question: str
    system: str
    seed: Count
    pixels: Number
    iterations: Number
    curve: Curve
    scores: dict[str, tuple[Decibels, Ssim, Decibels]] | None


class Timed(TypedDict):
    dataset: str
    device: str
    test_pictures: Number
    pictures: dict[str, dict[str, Seconds]]


class Benchmark(TypedDict):
    value: Real
    unit: str
    against: str | None
    ratio: Positive | None
    spread: Real | None
    device: str


class Frame(TypedDict):
    psnr: Decibels
    frame: Decibels
    inside: Decibels
    pictures: Number


class Brightness(TypedDict):
    psnr: Decibels
    ssim: Ssim
    shifted_psnr: Decibels
    shifted_ssim: Ssim
    off: Real
    pictures: Number


class Pair(TypedDict):
    pair: str
    deviation: Positive
    estimate: Positive
    correlation: Annotated[Real, Field(ge=-1, le=1)]
    input: Decibels
    told_deviation: Decibels


class CameraPair(Pair):
    told_spectrum: Decibels
    without_noise: Decibels
    networks: dict[str, Decibels]
    at_the_means: dict[str, Decibels]


class CameraNoise(TypedDict):
    camera: Annotated[list[CameraPair], Field(min_length=1)]
    noise: Annotated[list[Pair], Field(min_length=1)]
    stationary: Annotated[list[Pair], Field(min_length=1)]
    channels: Annotated[list[Pair], Field(min_length=1)]
    white: Annotated[list[Pair], Field(min_length=1)]
    weak_white: Annotated[list[Pair], Field(min_length=1)]


Grown = TypedDict("Grown", {"from": dict[str, Number], "axes": dict[str, Annotated[list[dict[str, Positive]],
                                                                               Field(min_length=2)]]})


class Trained(TypedDict):
    curve: Annotated[Curve, Field(min_length=1)]
    seconds: Seconds


class Scores(TypedDict):
    psnr: Decibels
    ssim: Ssim
    pictures: Number
    each: NotRequired[dict[str, tuple[Decibels, Ssim]] | None]


class Result(TypedDict):
    """What `results.check` does not look into."""

    seed: Count
    sigma: Annotated[Real, Field(gt=0, le=255)] | None
    genotype: Cell | None
    path: Levels | None
    width: Width | None
    metrics: dict[str, Scores]
    versions: dict[str, str]
    curve: NotRequired[Curve | None]
    validation: NotRequired[list[tuple[Count, Real]] | None]


SEARCH = TypeAdapter(Annotated[Search, AfterValidator(_whole_search)])
SEARCH_CHOICE = TypeAdapter(Annotated[SearchChoice, AfterValidator(_whole_search)])
CELLS = TypeAdapter(Cells)
CELL_TRAINING = TypeAdapter(Annotated[CellTraining, AfterValidator(_trained)])
CHOICE = TypeAdapter(Choice)
FRAME = TypeAdapter(dict[str, Frame])
BRIGHTNESS = TypeAdapter(dict[str, Brightness])
CAMERA_NOISE = TypeAdapter(CameraNoise)
TIMES = TypeAdapter(dict[Task, Timed])
BENCH = TypeAdapter(dict[str, Benchmark])
GROWTH = TypeAdapter(Annotated[Grown, AfterValidator(_rows)])
PRECISION = TypeAdapter(dict[Literal["float32", "bfloat16"], Trained])
RESULT = TypeAdapter(Result)


def read(path: str | Path, kind: TypeAdapter) -> dict:
    """The record in a JSON file. Raises CheckpointError, in one line that names the file, unless it is of this kind."""
    try:
        record = read_json(path)
    except ValueError as error:
        raise CheckpointError(str(error)) from None
    if wrong := problem(record, kind):
        raise CheckpointError(f"{path}: damaged or foreign ({wrong})")
    return record


def read_all(folders: Iterable[str | Path], kind: TypeAdapter) -> list[dict]:
    """Every record in the folders, all of one kind; of two with one name, that of the earlier folder. Raises as
    `read`."""
    found = {}
    for folder in folders:
        for path in sorted(Path(folder).glob("[!.]*.json")):
            found.setdefault(path.name, path)
    return [read(path, kind) for path in found.values()]
