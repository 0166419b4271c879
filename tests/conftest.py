import os
from pathlib import Path

os.environ.setdefault("MPLBACKEND", "Agg")
if os.environ.get("IRNAS_DATA"):  # some tests run in another folder
    os.environ["IRNAS_DATA"] = str(Path(os.environ["IRNAS_DATA"]).expanduser().resolve())
