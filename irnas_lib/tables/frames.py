"""Small tables for the pages, as DataFrames; the whole tables are files, of `writers`."""

import hashlib
import math
from collections.abc import Iterable

import pandas as pd
from IPython.display import HTML

from irnas_lib.data.tasks import TASKS
from irnas_lib.experiments.config import pixels
from irnas_lib.experiments.results import Result, best
from irnas_lib.tables import printed
from irnas_lib.tables.comparison import Comparison, difference, over_pictures
from irnas_lib.tables.trace import NOT_COMPARABLE, Traced


def beside_printed(traced: Iterable[Traced], table: int, metric: str = "PSNR", sigma: str = "",
                   task: str = "") -> pd.DataFrame:
    """One row a system: the printed number, ours under the protocol that the printed one agrees with, and the verdict.
    What keeps two numbers from being compared stands in notes below the table, each once, by number.

    traced: of `trace.trace`; sigma: "30", "50" or "70", where the table has several; task: where it has two.
    """
    found = [item for item in traced if (item.printed.where, item.printed.metric) == (str(table), metric)
             and sigma in ("", item.printed.sigma) and task in ("", item.printed.task)]
    decimals = 4 if metric == "SSIM" else 2
    notes = list(dict.fromkeys(note for item in found for note in _obstacles(item)))

    def verdict(item: Traced) -> str:
        numbers = ", ".join(str(1 + notes.index(note)) for note in _obstacles(item))
        return f"{item.verdict} ({numbers})" if numbers else item.verdict

    frame = _frame({
        "system": item.printed.system, f"{metric} printed": f"{item.printed.number:.{decimals}f}",
        "here": "" if item.measured is None else f"{item.measured:.{decimals}f}", "protocol": item.protocol,
        "million pixels seen": "" if item.pixels is None else f"{item.pixels / 1e6:,.0f}",
        "difference": "" if item.difference is None else f"{item.difference:+.{decimals}f}", "verdict": verdict(item)}
        for item in found)
    shown = frame.loc[:, (frame != "").any()]  # where nothing can be compared there are no differences
    return _with_notes(shown, *(f"({number}) {note}" for number, note in enumerate(notes, 1)))


def _obstacles(item: Traced) -> list[str]:
    """What keeps a measured number from being compared with the printed one."""
    return item.why.split("; ") if item.verdict == NOT_COMPARABLE else []


def at_one_budget(compared: Comparison) -> pd.DataFrame:
    """One row a system of `comparison.side_by_side`, the best first; ± gives the half-width of the 95% confidence
    interval, over pictures and, where they are known, seeds."""
    def differs(mean: float, half: float, decimals: int) -> str:
        return "" if math.isnan(half) else f"{mean:+.{decimals}f} ± {half:.{decimals}f}"

    words = {"level": "not told apart"}
    frame = _frame({
        "system": row.result.system, "PSNR (dB)": f"{row.psnr:.2f}",
        f"over {compared.reference} (dB)": differs(row.ahead, row.both, 2),
        "in PSNR it is": "failed" if row.failed else words.get(row.verdict, row.verdict), "SSIM": f"{row.ssim:.4f}",
        "SSIM over it": differs(row.ssim_ahead, row.ssim_both, 3)}
        for row in compared.rows)
    seeds, ssim_seeds = (max((getattr(row, name) for row in compared.rows), default=0.0)
                         for name in ("over_seeds", "ssim_over_seeds"))
    return _with_notes(frame, "± gives the half-width of the 95% confidence interval over the pictures" + (
        f" and over seeds. Other seeds alone move a difference of two training runs by ± {seeds:.2f} dB"
        f"{f' and ± {ssim_seeds:.3f} in SSIM' if ssim_seeds else ''}. Not told apart: within that interval."
        if seeds else "."))


def on_all_pictures(results: Iterable[Result], sigma: int = 50, rival: str = "BM3D",
                    smoke: bool = False) -> pd.DataFrame:
    """One row a denoising system that was measured on every test picture, with its longest training, the best first:
    PSNR (dB) under each protocol, and in `strict` SSIM and how far PSNR is above that of `rival`."""
    results, task = list(results), TASKS["denoising"]
    noisy = best(results, "denoising", task.unrestored, sigma, smoke=smoke)
    whole = noisy.metrics["strict"]["pictures"] if noisy else None
    rows = {}
    for name in dict.fromkeys(result.system for result in results if result.task == "denoising"):
        found = {protocol: best(results, "denoising", name, sigma, protocol, smoke) for protocol in task.protocols}
        complete = {protocol: result for protocol, result in found.items()
                    if result and result.metrics.get(protocol, {}).get("pictures") == whole}
        if complete and name != task.unrestored:
            rows[name] = complete
    psnr = {name: {protocol: result.metrics[protocol]["psnr"] for protocol, result in complete.items()}
            for name, complete in rows.items()}

    def ssim(name: str) -> str:
        return f"{rows[name]['strict'].metrics['strict']['ssim']:.4f}" if "strict" in rows[name] else ""

    def over(name: str) -> str:
        pair = psnr[name].get("strict"), psnr.get(rival, {}).get("strict")
        return "" if name == rival or None in pair else f"{pair[0] - pair[1]:+.2f}"

    return _frame({
        "system": name, **{f"{protocol} (dB)": f"{psnr[name][protocol]:.2f}" if protocol in psnr[name] else ""
                           for protocol in task.protocols},
        f"strict, over {rival} (dB)": over(name), "SSIM, strict": ssim(name), "million pixels seen":
        f"{seen / 1e6:,.0f}" if (seen := pixels(next(iter(rows[name].values())))) else "not trained"}
        for name in sorted(rows, key=lambda name: -psnr[name].get("strict", 0)))


def over_input(results: Iterable[Result], task: str, smoke: bool = False) -> pd.DataFrame:
    """One row a system of a task without noise levels, each with its longest training, the best first: what is printed,
    PSNR and SSIM of whole pictures, and the gain in dB over the degraded input under each protocol, ± the half-width of
    its 95% confidence interval over pictures where the scores of single pictures were kept. Systems measured on fewer
    pictures than the input are left out."""
    results = list(results)
    printed_psnr = {item.system: item.value for item in printed.load() if (item.task, item.metric) == (task, "PSNR")}
    names = dict.fromkeys(result.system for result in results if result.task == task)
    found = {name: best(results, task, name, None, smoke=smoke) for name in names}
    unrestored, protocols = found.get(TASKS[task].unrestored), TASKS[task].protocols

    def alike(result: Result | None) -> bool:
        return bool(result) and all(result.metrics.get(name, {}).get("pictures") == scores["pictures"]
                                    for name, scores in unrestored.metrics.items() if name in protocols)

    def gain(result: Result, name: str) -> float:
        return result.metrics[name]["psnr"] - unrestored.metrics[name]["psnr"]

    def in_words(result: Result, name: str) -> str:
        half = math.nan if result is unrestored else over_pictures(
            difference(result, unrestored, name)[0][1], unrestored.metrics[name]["pictures"])
        return f"{gain(result, name):+.2f}" + ("" if math.isnan(half) else f" ± {half:.2f}")

    rows = sorted(filter(alike, found.values()), key=lambda result: -gain(result, "strict")) if unrestored else []
    frame = _frame({
        "system": result.system, "PSNR printed": printed_psnr.get(result.system, ""),
        "PSNR here (dB)": f"{result.metrics['strict']['psnr']:.2f}",
        "SSIM here": f"{result.metrics['strict']['ssim']:.4f}",
        **{f"over the input, {name} (dB)": in_words(result, name) for name in protocols},
        "million pixels seen": f"{pixels(result) / 1e6:,.0f}" if pixels(result) else ""} for result in rows)
    known = any("±" in cell for _, column in frame.items() for cell in column)
    twice = "The pictures show fewer photographs, so that it is somewhat too narrow. " if task == "deraining" else ""
    return _with_notes(frame, "± gives the half-width of the 95% confidence interval over the pictures. "
                              f"{twice}Rows without it kept no score of single pictures." if known else
                              "No score of single pictures was kept, so that no error over the pictures is known.")


def _with_notes(frame: pd.DataFrame, *notes: str) -> pd.DataFrame:
    """A frame with lines that `show` prints below it."""
    frame.attrs["notes"] = notes
    return frame


def _frame(rows: Iterable[dict]) -> pd.DataFrame:
    """Rows by their system; without columns where there are none."""
    frame = pd.DataFrame(rows)
    return frame if frame.empty else frame.set_index("system")


def show(frame: pd.DataFrame, caption: str, *notes: str) -> HTML:
    """A frame as a page shows it: its caption above, text to the left, numbers to the right, its index where that has a
    name; below it its own notes, and `notes`."""
    if frame.empty:
        return HTML(f"<p>{caption}: not run</p>")
    words = [name for name, column in frame.items() if column.str.contains("[a-z]").any()]
    name = hashlib.sha256(caption.encode()).hexdigest()[:8]  # tables of one page must not share it
    styled = frame.rename_axis(None).style.set_caption(caption).set_uuid(name)
    styled = styled.set_properties(**{"text-align": "right", "white-space": "nowrap"})
    styled = styled.set_properties(subset=words, **{"text-align": "left", "white-space": "normal"})
    if frame.index.name is None:
        styled = styled.hide(axis="index")
    below = "<br>".join((*frame.attrs.get("notes", ()), *notes))
    return HTML(styled.set_table_styles([
        {"selector": "caption", "props": "caption-side: top; text-align: left; font-weight: bold"},
        {"selector": "th", "props": "text-align: left"},
        {"selector": "th.row_heading", "props": "white-space: nowrap"}]).to_html()
        + (f'<p style="font-size: smaller">{below}</p>' if below else ""))
