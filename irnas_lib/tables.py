"""Tables 1 to 6 from the result files, the times and the printed numbers, and from nothing else.

CSV is tidy, for programs: one row for each table, task, system, sigma, metric and protocol. Markdown and
LaTeX are for readers: one small table for each noise level and protocol, for no measured column may mix them.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from irnas_lib import printed
from irnas_lib.comparison import LEAST_GAIN, gains_too_little
from irnas_lib.files import atomically
from irnas_lib.results import TASKS, TITLES, best
from irnas_lib.times import restored_by, scaled

COLUMNS = ("table", "task", "system", "sigma", "metric", "printed", "measured", "protocol", "iterations",
           "seed", "note")
NOT_RUN, FAILED = "not run", "failed"
MILLION = 2**20  # the unit of the printed parameter counts
UNITS = {"PSNR": " (dB)", "SSIM": "", "parameters": " (M of 2^20)", "time": " (s)"}
DECIMALS = {"PSNR": 2, "SSIM": 4, "parameters": 2, "time": 2}  # as printed; the CSV has two more

# The same training under another name: what Tables 5 and 6 call IR-NAS** is IR-NAS of Tables 1, 3 and 4.
SAME_TRAINING = {"IR-NAS**": "IR-NAS"}
TOO_LITTLE = f"counts as failed: gains less than {LEAST_GAIN[50]:g} dB over its input at sigma 50"
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

LEGEND = ("Here: measured in this project. Difference: here minus printed. n/c: not comparable, for the "
          "printed number agrees with another protocol or an unknown one, or ours is from fewer or other "
          "pictures, or another machine's time.")
SMOKE_WARNING = "Smoke scale, not a result: tiny networks, a few steps, embedded pictures."


class Cell(NamedTuple):
    """One number: where it stands in the table, what is printed there, and the result that measures it; `timed`: the
    task's record of `timing.run`, for a time."""

    table: int
    task: str
    system: str
    sigma: str
    metric: str
    protocol: str
    printed: printed.Printed | None
    result: dict | None
    smoke: bool
    timed: Mapping | None = None
    too_little: bool = False  # whether its training gained too little over its input to count

    @property
    def number(self) -> float | None:
        """What was measured, in the unit of the table, if anything was."""
        if self.metric == "time":
            return scaled(self.timed).get(self.system)
        if self.result is None or self.result["status"] == FAILED:
            return None
        if self.metric == "parameters":
            return self.result["parameters"] / MILLION
        return self.result["metrics"][self.protocol][self.metric.lower()]

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
            return f"another machine's time ({self.timed['device']}): only ratios compare"
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
        pictures, all_of_them = self.result["metrics"][self.protocol]["pictures"], TASKS[self.task].pictures
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
            macs = self.result["macs_per_pixel"]
            return [*notes, f"here {self.result['parameters']:,} registered"
                    + (f", {macs:,.0f} multiply-adds a pixel" if macs else "")]
        if self.result["recipe"]:
            loss_lambda = self.result["lambda"]
            said = "" if loss_lambda is None else f", lambda {loss_lambda:g}"
            if self.result.get("crop"):
                said += ", {batch} crops of {crop}x{crop} a step".format(**self.result)
            notes.append(f"recipe {self.result['recipe']}{said}")
        if (self.result.get("schedule") or 0) > (self.result["iterations"] or 0):
            notes.append(f"stopped after {self.result['iterations']:,} of {self.result['schedule']:,} iterations, "
                         "before its learning rate had decayed")
        if self.too_little:
            notes.append(TOO_LITTLE)
        if self.number is None:
            return notes
        scores = self.result["metrics"][self.protocol]
        if fewer := self.fewer_pictures():
            notes.append(fewer)
        if self.metric == "SSIM" and scores.get("ssim_padded") is not None:
            notes.append(f"{scores['ssim_padded']:.4f} with zero padding, as the authors' program has it")
        return notes


def rows(number: int, results: Iterable[dict], smoke: bool = False,
         times: Mapping[str, Mapping] = {}) -> list[dict[str, str]]:
    """The tidy rows of table 1 to 6, all text as in the CSV.

    `printed` is empty where the paper has no such number; `measured` is a number, "not run" or "failed";
    parameters are in units of 2^20, as printed. Smoke results fill nothing unless `smoke` is set, and then
    only they do. times: what `times.load` gives.
    """
    return [_row(cell) for cell in cells(number, results, smoke, times)]


def write(number: int, results: Iterable[dict], folder: str | Path, smoke: bool = False,
          times: Mapping[str, Mapping] = {}) -> list[Path]:
    """Writes table1.csv, table1.md and table1.tex (or 2 to 6) into `folder`; returns the three files.

    The LaTeX needs \\usepackage{booktabs}. With `smoke` it is made of smoke results and says so on top.
    """
    shown = cells(number, results, smoke, times)
    blocks, notes = _blocks(shown)
    texts = {"csv": _csv(shown), "md": _markdown(number, blocks, notes, smoke),
             "tex": _latex(number, blocks, notes, smoke)}
    paths = []
    for suffix, text in texts.items():
        paths.append(Path(folder) / f"table{number}.{suffix}")
        with atomically(paths[-1]) as partial:
            partial.write_text(text, encoding="utf-8", newline="\n")
    return paths


def cells(number: int, results: Iterable[dict], smoke: bool = False,
          times: Mapping[str, Mapping] = {}) -> list[Cell]:
    """Every number of a table: by system, then task and noise level, then protocol, then metric."""
    results = list(results)
    here = [item for item in printed.load() if item.where == str(number)]
    known = {(item.task, item.system, item.sigma, item.metric): item for item in here}
    settings = list(dict.fromkeys((item.task, item.sigma) for item in here if item.metric == "PSNR"))
    made = []

    @cache
    def found(task, system, sigma, protocol=None):
        trained_as = SAME_TRAINING.get(system, system)
        return best(results, task, trained_as, _level(sigma), protocol, smoke)

    def add(task, system, sigma, metric, protocol, result, timed=None):
        item = known.get((task, system, sigma, metric))
        unrestored = found(task, TASKS[task].unrestored, sigma, "strict")
        too_little = bool(result and protocol and not smoke) and gains_too_little(result, unrestored)
        made.append(Cell(number, task, system, sigma, metric, protocol, item, result, smoke, timed, too_little))

    for system in _systems(number, here, settings, results, smoke):
        for task, sigma in settings:
            for protocol in TASKS[task].protocols:
                result = found(task, system, sigma, protocol)
                for metric in ("PSNR", "SSIM"):
                    add(task, system, sigma, metric, protocol, result)
        for task in dict.fromkeys(task for task, _ in settings):
            runs = [found(task, system, sigma) for each, sigma in settings if each == task]
            counted = next((run for run in runs if run and run["status"] == "ok" and run["parameters"]), None)
            if counted or (task, system, "", "parameters") in known:
                add(task, system, "", "parameters", "", counted)
            timed = times.get(task) if system in scaled(times.get(task)) and LAYOUTS[number].is_open else None
            if timed or (task, system, "", "time") in known:
                add(task, system, "", "time", "", None, timed)
    return made


def _systems(number: int, here: list[printed.Printed], settings: list[tuple[str, str]],
             results: list[dict], smoke: bool) -> list[str]:
    """The systems of a table in its order: input, printed ones, extras, whatever else has a result."""
    shown = [item.system for item in here] + list(LAYOUTS[number].extras)
    if LAYOUTS[number].is_open:
        task = settings[0][0]
        elsewhere = {item.system for item in printed.load()}
        others = {result["system"] for result in results if result["task"] == task} - elsewhere
        shown = [TASKS[task].unrestored, *shown] + sorted(
            system for system in others
            if any(best(results, task, system, _level(sigma), smoke=smoke) for _, sigma in settings))
    return list(dict.fromkeys(shown))


def _level(sigma: str) -> int | None:
    return int(sigma) if sigma else None


def _row(cell: Cell) -> dict[str, str]:
    notes = cell.notes()
    if cell.printed and cell.printed.protocol not in ("", cell.protocol):
        notes.append(f"the printed number agrees with {cell.printed.protocol}")
    if cell.smoke and cell.result:
        notes.append("smoke scale, not a result")
    run = cell.result if cell.result and cell.protocol else {}
    iterations, seed = (run.get(key) for key in ("iterations", "seed"))
    return dict(zip(COLUMNS, (
        str(cell.table), cell.task, cell.system, cell.sigma, cell.metric,
        cell.printed.value if cell.printed else "", cell.measured(more_decimals=2), cell.protocol,
        "" if iterations is None else str(iterations), "" if seed is None else str(seed), "; ".join(notes)),
        strict=True))


def _csv(cells: list[Cell]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(_row, cells))
    return text.getvalue()


class Block(NamedTuple):
    """A small table for readers; lines: system, numbers of its notes, further columns."""

    title: str
    columns: list[str]
    lines: list[tuple[str, list[int], list[str]]]


def _blocks(cells: list[Cell]) -> tuple[list[Block], list[str]]:
    """The small tables for readers, parameters and time last, and the notes that they share."""
    groups: dict[tuple, dict[str, list[Cell]]] = {}
    for cell in cells:
        groups.setdefault((cell.task, cell.protocol, cell.sigma), {}).setdefault(cell.system, []).append(cell)
    notes: list[str] = []
    blocks = []
    for (task, protocol, sigma), systems in sorted(groups.items(), key=lambda group: not group[0][1]):
        metrics = ("PSNR", "SSIM") if protocol else ("parameters", "time")
        title = f"{task}, protocol {protocol}" if protocol else f"{task}, parameters and time"
        title += f", sigma {sigma}" if sigma else ""
        columns = ["System"]
        for metric in metrics:
            columns += [f"{metric}{UNITS[metric]} printed", "here", "difference"]
        columns += ["printed agrees with", "iterations", "seed"] if protocol else []
        lines = []
        for system, of_system in systems.items():
            values = []
            for metric in metrics:
                cell = next((cell for cell in of_system if cell.metric == metric), None)
                if cell is None:
                    values += ["", "", ""]
                else:
                    values += [cell.printed.value if cell.printed else "", cell.measured(), cell.difference()]
            if protocol:
                row, item = _row(of_system[0]), of_system[0].printed
                values += [(item.protocol or "unknown") if item else "", row["iterations"], row["seed"]]
            said = list(dict.fromkeys(note for cell in of_system for note in cell.notes()))
            notes += [note for note in said if note not in notes]
            lines.append((system, [notes.index(note) + 1 for note in said], values))
        blocks.append(Block(title, columns, lines))
    return blocks, notes


def _markdown(number: int, blocks: list[Block], notes: list[str], smoke: bool) -> str:
    def line(cells):
        return f"| {' | '.join(cells)} |"

    parts = [f"# Table {number}: {_escape_markdown(LAYOUTS[number].caption)}"]
    parts += [f"**{SMOKE_WARNING}**"] if smoke else []
    parts.append(LEGEND)
    for title, columns, lines in blocks:
        table = [line(columns), line([":--", *["--:"] * (len(columns) - 1)])]
        for system, marks, values in lines:
            name = _escape_markdown(f"{system} {marks}" if marks else system)
            table.append(line([name, *values]))
        parts += [f"## {title}", "\n".join(table)]
    if notes:
        parts += ["## Notes", "\n".join(f"{i}. {_escape_markdown(note)}" for i, note in enumerate(notes, 1))]
    return "\n\n".join(parts) + "\n"


def _latex(number: int, blocks: list[Block], notes: list[str], smoke: bool) -> str:
    def line(cells):
        return f"{' & '.join(cells)} \\\\"

    parts = ["% made from result files by irnas_lib/tables.py; needs \\usepackage{booktabs}"]
    parts += [f"\\noindent\\textbf{{{_escape_latex(SMOKE_WARNING)}}}"] if smoke else []
    for title, columns, lines in blocks:
        table = ["\\begin{table}[htbp]", "\\centering\\scriptsize",
                 f"\\caption{{Table {number} of the paper: {_escape_latex(LAYOUTS[number].caption)} "
                 f"({_escape_latex(title)}).}}",
                 f"\\begin{{tabular}}{{l{'r' * (len(columns) - 1)}}}", "\\toprule",
                 line(map(_escape_latex, columns)), "\\midrule"]
        for system, marks, values in lines:
            name = _escape_latex(system)
            name += f"\\textsuperscript{{{','.join(map(str, marks))}}}" if marks else ""
            table.append(line([name, *map(_escape_latex, values)]))
        parts.append("\n".join([*table, "\\bottomrule", "\\end{tabular}", "\\end{table}"]))
    parts.append(f"\\noindent {_escape_latex(LEGEND)}")
    if notes:
        parts.append("\n".join(["\\begin{enumerate}", *(f"\\item {_escape_latex(note)}" for note in notes),
                                "\\end{enumerate}"]))
    return "\n\n".join(parts) + "\n"


def _escaper(pattern: str, replacements: dict[str, str]) -> Callable[[str], str]:
    return lambda text: re.sub(pattern, lambda match: replacements.get(match[0], f"\\{match[0]}"), text)


_escape_markdown = _escaper(r"[\\|*_<>\[\]`]", {})
_escape_latex = _escaper(r"[\\&%$#_{}~^*]", {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}",
                                            "^": r"\textasciicircum{}", "*": r"\textasteriskcentered{}"})
