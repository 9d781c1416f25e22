"""Imports before a run's first step: nothing that costs seconds and isn't needed."""

import json
import subprocess
import sys

import pytest

HEAVY = ("torch._dynamo", "mlflow", "matplotlib.pyplot", "sklearn")


@pytest.mark.slow
def test_an_eager_run_imports_neither_the_compiler_nor_mlflow(config, tmp_path):
    config["monitors"] = []
    (tmp_path / "c.json").write_text(json.dumps(config))
    code = (
        "import sys, ebmcore; run = ebmcore.run('c.json', progress=False); "
        f"print(run.status, [name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "FINISHED []"
