"""Make the goldens anew from the present code: `python Testing/golden/make.py [NAME ...]`; without names, all.

The bundles beside them are not made anew: they are what version 0.1.0.dev0 left on a user's disk.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path

TESTING = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTING), str(TESTING.parent / "SparseToPrecise")]

# As in Testing/conftest.py: several threads add up in another order.
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

from golden_cases import GOLDEN, NAMES, observed  # noqa: E402

for name in sys.argv[1:] or NAMES:
    started = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        content = json.dumps(observed(name, Path(folder)), indent=1, ensure_ascii=False, sort_keys=True)
    (GOLDEN / f"{name}.json").write_text(content + "\n", encoding="utf-8")
    print(f"{name}: {time.process_time() - started:.1f} s", flush=True)
