"""What stands in Tables 1 to 6: every number with what is printed, what measures it, and what must be said beside it.

Made from the result files, the times and the printed numbers, and from nothing else. `writers` writes the entries for
readers and programs, `trace` judges them.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import NamedTuple

from irnas_lib.data.tasks import TASKS, TITLES
from irnas_lib.experiments.config import budget
from irnas_lib.experiments.results import Result, best
from irnas_lib.experiments.times import restored_by, scaled
from irnas_lib.tables import printed
from irnas_lib.tables.comparison import LEAST_GAIN, gains_too_little

NOT_RUN, FAILED = "not run", "failed"
MILLION = 2**20  # the unit of the printed parameter counts
DECIMALS = {"PSNR": 2, "SSIM": 4, "parameters": 2, "time": 2}  # as printed; the CSV has two more

# The same training under another name: what Tables 5 and 6 call IR-NAS** is IR-NAS of Tables 1, 3 and 4.
SAME_TRAINING = {"IR-NAS**": "IR-NAS"}
TOO_LITTLE = "counts as failed: gains less over its input than " + ", ".join(
    f"{gain:g} dB at sigma {sigma}" for sigma, gain in LEAST_GAIN.items())
REBUILT = ("sim1800",)  # tasks on pictures other than the paper's, which were never published


class Layout(NamedTuple):
    """extras: systems shown below the printed ones. is_open: so is any other system that has a result, and
    the unrestored input comes first."""

    caption: str
    extras: tuple[str, ...]
    is_open: bool


LAYOUTS = {
    1: Layout("Denoising on BSD500", ("DnCNN", "IR-NAS + residual", "IR-NAS (searched here)"), True),
    2: Layout("Denoising on SIM1800 (rebuilt from BSD500)", ("BM3D", "DnCNN", "IR-NAS + residual"), True),
    3: Layout("De-raining on Rain800", ("IR-NAS + residual", "IR-NAS (searched here)"), True),
    4: Layout("The cell as found, with other operations (R1), with other connections (R2)", (), False),
    5: Layout("Loss without (*) and with (**) log-SSIM, on BSD500", ("IR-NAS + residual",), False),
    6: Layout("Loss without (*) and with (**) log-SSIM, on Rain800", ("IR-NAS + residual",), False),
}


class Entry(NamedTuple):
    """One number: where it stands in the table, what is printed there, and the result that measures it; `timed`: the
    task's record of `timing.run`, for a time."""

    table: int
    task: str
    system: str
    sigma: str
    metric: str
    protocol: str
    printed: printed.Printed | None
    result: Result | None
    smoke: bool
    timed: Mapping | None = None
    too_little: bool = False  # whether its training gained too little over its input to count

    @property
    def number(self) -> float | None:
        """What was measured, in the unit of the table, if anything was."""
        if self.metric == "time":
            return scaled(self.timed).get(self.system)
        if self.result is None or self.result.status == FAILED:
            return None
        if self.metric == "parameters":
            return self.result.parameters / MILLION
        return self.result.metrics[self.protocol][self.metric.lower()]

    def measured(self, more_decimals: int = 0) -> str:
        if self.number is not None:
            return f"{self.number:.{DECIMALS[self.metric] + more_decimals}f}"
        return NOT_RUN if self.result is None else FAILED

    def difference(self) -> str:
        """Here minus printed, n/c where the two cannot be compared, empty where one is missing."""
        if self.printed is None or self.number is None:
            return ""
        if self.obstacle():
            return "n/c"
        return f"{self.number - self.printed.number:+.{DECIMALS[self.metric]}f}"

    def obstacle(self) -> str:
        """Why printed and measured, where there are both, cannot be compared; empty where they can."""
        if self.smoke:
            return "smoke scale, not a result"
        if self.metric == "time":
            return f"another machine's time ({self.timed['device']})"
        if self.task in REBUILT:
            return f"other pictures: ours is {TITLES[TASKS[self.task].dataset]}"
        if self.printed.protocol != self.protocol:
            return f"ours is {self.protocol}, " + (f"the printed number agrees with {self.printed.protocol}"
                                                   if self.printed.protocol else "the printed protocol is unknown")
        fewer = self.fewer_pictures()
        return f"ours is from {fewer}" if fewer else ""

    def fewer_pictures(self) -> str:
        """How many of the test pictures ours is from; empty if from all, or for what is not measured on pictures."""
        if not self.protocol:
            return ""
        pictures, all_of_them = self.result.metrics[self.protocol]["pictures"], TASKS[self.task].measures[self.protocol]
        return f"{pictures} of {all_of_them} test pictures" if pictures < all_of_them else ""

    def notes(self) -> list[str]:
        """What a reader must know beside the numbers: slips of the printed, how the measured was had."""
        notes = self.printed.note.split("; ") if self.printed and self.printed.note else []
        if self.timed:
            return [*notes, f"times are of {self.timed['device']}, all systems in one run, this one on "
                    f"{restored_by(self.timed, self.system)} pictures, scaled to {self.timed['test_pictures']}"]
        if self.result is None:
            return notes
        trained_as = SAME_TRAINING.get(self.system)
        notes += [f"measured on the training named {trained_as}"] if trained_as else []
        if self.metric == "parameters":
            macs = self.result.macs_per_pixel
            return [*notes, f"here {self.result.parameters:,} registered"
                    + (f", {macs:,.0f} multiply-adds a pixel" if macs else "")]
        if self.result.recipe:
            loss_lambda = self.result.loss_lambda
            loss = "" if loss_lambda is None else f", lambda {loss_lambda:g}"
            if self.result.crop:
                loss += (f", {self.result.batch} crops of {self.result.crop}x{self.result.crop} a step, "
                         f"{budget(self.result)}")
            notes.append(f"recipe {self.result.recipe}{loss}")
        if self.result.iterations and (self.result.schedule or 0) > self.result.iterations:
            notes.append(f"stopped after {self.result.iterations:,} of {self.result.schedule:,} iterations, "
                         "before its learning rate had decayed")
        if self.too_little:
            notes.append(TOO_LITTLE)
        if self.number is None:
            return notes
        scores = self.result.metrics[self.protocol]
        if fewer := self.fewer_pictures():
            notes.append(fewer)
        if self.metric == "SSIM" and scores.get("ssim_padded") is not None:
            notes.append(f"{scores['ssim_padded']:.4f} with zero padding, as the authors' program has it")
        return notes


def of_table(number: int, results: Iterable[Result], smoke: bool = False,
          times: Mapping[str, Mapping] = {}) -> list[Entry]:
    """Every entry of a table: by system, then task and noise level, then protocol, then metric."""
    results = list(results)
    here = [item for item in printed.load() if item.where == str(number)]
    known = {(item.task, item.system, item.sigma, item.metric): item for item in here}
    settings = list(dict.fromkeys((item.task, item.sigma) for item in here if item.metric == "PSNR"))
    shown = {task: [*TASKS[task].protocols, *_further(results, task)] for task, _ in settings}
    made = []

    @cache
    def found(task, system, sigma, protocol=None):
        trained_as = SAME_TRAINING.get(system, system)
        return best(results, task, trained_as, _level(sigma), protocol, smoke)

    def add(task, system, sigma, metric, protocol, result, timed=None):
        item = known.get((task, system, sigma, metric))
        unrestored = found(task, TASKS[task].unrestored, sigma, "strict")
        too_little = bool(result and protocol and not smoke) and gains_too_little(result, unrestored)
        made.append(Entry(number, task, system, sigma, metric, protocol, item, result, smoke, timed, too_little))

    for system in _systems(number, here, settings, results, smoke):
        for task, sigma in settings:
            for protocol in shown[task]:
                result = found(task, system, sigma, protocol)
                for metric in ("PSNR", "SSIM"):
                    add(task, system, sigma, metric, protocol, result)
        for task in dict.fromkeys(task for task, _ in settings):
            runs = [found(task, system, sigma) for each, sigma in settings if each == task]
            counted = next((run for run in runs if run and run.status == "ok" and run.parameters), None)
            if counted or (task, system, "", "parameters") in known:
                add(task, system, "", "parameters", "", counted)
            timed = times.get(task) if system in scaled(times.get(task)) and LAYOUTS[number].is_open else None
            if timed or (task, system, "", "time") in known:
                add(task, system, "", "time", "", None, timed)
    return made


def _further(results: list[Result], task: str) -> list[str]:
    """What has been measured on further test sets of a task."""
    measured = {protocol for result in results if result.task == task for protocol in result.metrics}
    return [protocol for protocol in TASKS[task].measures if protocol in measured - set(TASKS[task].protocols)]


def _systems(number: int, here: list[printed.Printed], settings: list[tuple[str, str]],
             results: list[Result], smoke: bool) -> list[str]:
    """The systems of a table in its order: input, printed ones, extras, whatever else has a result."""
    shown = [item.system for item in here] + list(LAYOUTS[number].extras)
    if LAYOUTS[number].is_open:
        task = settings[0][0]
        elsewhere = {item.system for item in printed.load()}
        unprinted = {result.system for result in results if result.task == task} - elsewhere
        shown = [TASKS[task].unrestored, *shown] + sorted(
            system for system in unprinted
            if any(best(results, task, system, _level(sigma), smoke=smoke) for _, sigma in settings))
    return list(dict.fromkeys(shown))


def _level(sigma: str) -> int | None:
    return int(sigma) if sigma else None
