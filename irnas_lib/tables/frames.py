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
from irnas_lib.tables.comparison import Comparison
from irnas_lib.tables.trace import COMPARED, Traced


def beside_printed(traced: Iterable[Traced], table: int, metric: str = "PSNR", sigma: str = "",
                   task: str = "") -> pd.DataFrame:
    """One row a system: the printed number, ours under the protocol that the printed one agrees with, and the verdict.

    traced: of `trace.trace`; sigma: "30", "50" or "70", where the table has several; task: where it has two.
    """
    found = [item for item in traced if (item.printed.where, item.printed.metric) == (str(table), metric)
             and sigma in ("", item.printed.sigma) and task in ("", item.printed.task)]
    decimals = 4 if metric == "SSIM" else 2
    return _frame({
        "system": item.printed.system, f"{metric} printed": f"{item.printed.number:.{decimals}f}",
        "here": "" if item.measured is None else f"{item.measured:.{decimals}f}", "protocol": item.protocol,
        "million pixels seen": "" if item.pixels is None else f"{item.pixels / 1e6:,.0f}",
        "difference": "" if item.difference is None else f"{item.difference:+.{decimals}f}",
        "verdict": item.verdict if item.verdict in COMPARED else f"{item.verdict}: {item.why}"}
        for item in found)


def at_one_budget(compared: Comparison) -> pd.DataFrame:
    """One row a system of `comparison.side_by_side`, the best first; ± is the standard error over pictures."""
    def differs(mean: float, error: float, decimals: int) -> str:
        return "" if math.isnan(error) else f"{mean:+.{decimals}f} ± {error:.{decimals}f}"

    return _frame({
        "system": row.result.system, "PSNR (dB)": f"{row.psnr:.2f}",
        f"over {compared.reference} (dB)": differs(row.ahead, row.error, 2),
        "this system is": "failed" if row.failed else row.verdict, "SSIM": f"{row.ssim:.4f}",
        "SSIM over it": differs(row.ssim_ahead, row.ssim_error, 3),
        "parameters": "" if row.result.parameters is None else f"{row.result.parameters:,}",
        "multiply-adds a pixel": "" if row.result.macs_per_pixel is None else f"{row.result.macs_per_pixel:,.0f}"}
        for row in compared.rows)


def over_input(results: Iterable[Result], task: str, smoke: bool = False) -> pd.DataFrame:
    """One row a system of a task without noise levels, each with its longest training, the best first: what is printed,
    PSNR and SSIM of whole pictures, and the gain in dB over the degraded input under each protocol. Systems measured on
    fewer pictures than the input are left out."""
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

    rows = sorted(filter(alike, found.values()), key=lambda result: -gain(result, "strict")) if unrestored else []
    return _frame({
        "system": result.system, "PSNR printed": printed_psnr.get(result.system, ""),
        "PSNR here (dB)": f"{result.metrics['strict']['psnr']:.2f}",
        "SSIM here": f"{result.metrics['strict']['ssim']:.4f}",
        **{f"over the input, {name} (dB)": f"{gain(result, name):+.2f}" for name in protocols},
        "million pixels seen": f"{pixels(result) / 1e6:,.0f}" if pixels(result) else ""} for result in rows)


def _frame(rows: Iterable[dict]) -> pd.DataFrame:
    """Rows by their system; without columns where there are none."""
    frame = pd.DataFrame(rows)
    return frame if frame.empty else frame.set_index("system")


def show(frame: pd.DataFrame, caption: str) -> HTML:
    """A frame as a page shows it: its caption above, text to the left, numbers to the right; its index where that has a
    name."""
    if frame.empty:
        return HTML(f"<p>{caption}: not run</p>")
    words = [name for name, column in frame.items() if column.str.contains("[a-z]").any()]
    name = hashlib.sha256(caption.encode()).hexdigest()[:8]  # tables of one page must not share it
    styled = frame.rename_axis(None).style.set_caption(caption).set_uuid(name)
    styled = styled.set_properties(**{"text-align": "right"}).set_properties(subset=words, **{"text-align": "left"})
    if frame.index.name is None:
        styled = styled.hide(axis="index")
    return HTML(styled.set_table_styles([
        {"selector": "caption", "props": "caption-side: top; text-align: left; font-weight: bold"},
        {"selector": "th", "props": "text-align: left"},
        {"selector": "th.row_heading", "props": "white-space: nowrap"}]).to_html())
