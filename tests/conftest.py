import os
from pathlib import Path

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.pop("IRNAS_RUNS", None)
if os.environ.get("IRNAS_DATA"):  # some tests run in another folder
    os.environ["IRNAS_DATA"] = str(Path(os.environ["IRNAS_DATA"]).expanduser().resolve())
if workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 0)):  # which share the cores
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, os.cpu_count() // workers)))
