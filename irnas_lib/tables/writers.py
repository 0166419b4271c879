"""Tables 1 to 6 as files, from their entries.

CSV is tidy, for programs: one row for each table, task, system, sigma, metric and protocol. Markdown and
LaTeX are for readers: one small table for each noise level and protocol, for no measured column may mix them.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from irnas_lib.experiments.results import Result
from irnas_lib.files import atomically
from irnas_lib.tables import entries
from irnas_lib.tables.entries import LAYOUTS, Entry

COLUMNS = ("table", "task", "system", "sigma", "metric", "printed", "measured", "protocol", "iterations",
           "seed", "note")
UNITS = {"PSNR": " (dB)", "SSIM": "", "parameters": " (M of 2^20)", "time": " (s)"}

LEGEND = ("Here: measured in this project. Difference: here minus printed. n/c: not comparable, for the "
          "printed number agrees with another protocol or an unknown one, or ours is from fewer or other "
          "pictures, or another machine's time.")
SMOKE_WARNING = "Smoke scale, not a result: tiny networks, a few steps, embedded pictures."


def rows(number: int, results: Iterable[Result], smoke: bool = False,
         times: Mapping[str, Mapping] = {}) -> list[dict[str, str]]:
    """The tidy rows of table 1 to 6, all text as in the CSV.

    `printed` is empty where the paper has no such number; `measured` is a number, "not run" or "failed";
    parameters are in units of 2^20, as printed. Smoke results fill nothing unless `smoke` is set, and then
    only they do. times: what `times.load` gives.
    """
    return [_row(entry) for entry in entries.of_table(number, results, smoke, times)]


def write(number: int, results: Iterable[Result], folder: str | Path, smoke: bool = False,
          times: Mapping[str, Mapping] = {}) -> list[Path]:
    """Writes table1.csv, table1.md and table1.tex (or 2 to 6) into `folder`; returns the three files.

    The LaTeX needs \\usepackage{booktabs}. With `smoke` it is made of smoke results and says so on top.
    """
    shown = entries.of_table(number, results, smoke, times)
    blocks, notes = _blocks(shown)
    texts = {"csv": _csv(shown), "md": _markdown(number, blocks, notes, smoke),
             "tex": _latex(number, blocks, notes, smoke)}
    paths = []
    for suffix, text in texts.items():
        paths.append(Path(folder) / f"table{number}.{suffix}")
        with atomically(paths[-1]) as partial:
            partial.write_text(text, encoding="utf-8", newline="\n")
    return paths


def _row(entry: Entry) -> dict[str, str]:
    notes = entry.notes()
    if entry.printed and entry.printed.protocol not in ("", entry.protocol):
        notes.append(f"the printed number agrees with {entry.printed.protocol}")
    if entry.smoke and entry.result:
        notes.append("smoke scale, not a result")
    run = entry.result if entry.protocol else None
    iterations, seed = (run.iterations, run.seed) if run else (None, None)
    return dict(zip(COLUMNS, (
        str(entry.table), entry.task, entry.system, entry.sigma, entry.metric,
        entry.printed.value if entry.printed else "", entry.measured(more_decimals=2), entry.protocol,
        "" if iterations is None else str(iterations), "" if seed is None else str(seed), "; ".join(notes)),
        strict=True))


def _csv(shown: list[Entry]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(_row, shown))
    return text.getvalue()


class Block(NamedTuple):
    """A small table for readers; lines: system, numbers of its notes, further columns."""

    title: str
    columns: list[str]
    lines: list[tuple[str, list[int], list[str]]]


def _blocks(shown: list[Entry]) -> tuple[list[Block], list[str]]:
    """The small tables for readers, parameters and time last, and the notes that they share."""
    groups: dict[tuple, dict[str, list[Entry]]] = {}
    for entry in shown:
        groups.setdefault((entry.task, entry.protocol, entry.sigma), {}).setdefault(entry.system, []).append(entry)
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
                entry = next((entry for entry in of_system if entry.metric == metric), None)
                if entry is None:
                    values += ["", "", ""]
                else:
                    values += [entry.printed.value if entry.printed else "", entry.measured(), entry.difference()]
            if protocol:
                row, item = _row(of_system[0]), of_system[0].printed
                values += [(item.protocol or "unknown") if item else "", row["iterations"], row["seed"]]
            remarks = list(dict.fromkeys(note for entry in of_system for note in entry.notes()))
            notes += [note for note in remarks if note not in notes]
            lines.append((system, [notes.index(note) + 1 for note in remarks], values))
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

    parts = ["% made from result files by irnas_lib/tables/writers.py; needs \\usepackage{booktabs}"]
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
