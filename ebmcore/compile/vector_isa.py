"""The vector instruction sets that compiled code may use: tried once on a machine, then kept.

torch tries every set that the processor has: it compiles a kernel with ATen's headers, 4 s of
processor time a set, and loads it. Here it asks the same of a kernel without headers that needs the
same instructions and the same function of its library, so it picks the same set.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

_KERNEL = """
typedef float V __attribute__((vector_size({bytes})));
extern "C" V Sleef_expf{numbers}_u10(V);
extern "C" V __avx_chk_kernel(V x) {{ return Sleef_expf{numbers}_u10(x + x); }}
"""


def answer_vector_isa() -> None:
    """Have torch find the instruction sets, if it hasn't and no setting of the user's decides.

    Leaves it to torch on all but Linux on x86-64, and where torch's own check isn't as expected.
    """
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        return
    with suppress(ImportError, AttributeError, TypeError, StopIteration, RuntimeError, OSError):
        from torch._inductor import config, cpu_vec_isa

        if config.cpp.vec_isa_ok is None and not cpu_vec_isa.valid_vec_isa_list.cache_info().misses:
            find_sets(cpu_vec_isa, describe_machine())


def find_sets(sets: Any, machine: dict[str, Any]) -> None:
    """Let torch's module go through its sets, with answers in place of its own trials."""
    base = sets.VecISA
    try_set, load, kernel = base.check_build, base._probe_load, base._avx_code
    file = cache_file(machine)
    known = _read(file, machine)
    answers, compiled = dict(known), set()

    def answer(isa: Any, code: str) -> bool:
        width, flags = isa.bit_width(), isa.build_arch_flags()
        text = code if code != kernel else _KERNEL.format(bytes=width // 8, numbers=width // 32)
        key = hashlib.sha256(f"{flags}\n{text}".encode()).hexdigest()
        if key not in answers:
            # torch begins with most flags; what compiled with them needs none that later sets lack
            answers[key] = (width, code) in compiled or bool(try_set(isa, text))
        if answers[key]:
            compiled.add((width, code))
        return answers[key]

    try:
        base.check_build, base._probe_load = answer, lambda isa, path: _loads(path)
        sets.valid_vec_isa_list()
    finally:
        base.check_build, base._probe_load = try_set, load
    if answers != known:
        with suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            beside = file.with_suffix(f".{os.getpid()}.part")
            beside.write_text(json.dumps({"machine": machine, "answers": answers}))
            beside.replace(file)


def describe_machine() -> dict[str, Any]:
    """Return all that the answers depend on."""
    from torch._inductor.cpp_builder import get_compiler_version_info, get_cpp_compiler

    lines = Path("/proc/cpuinfo").read_text().splitlines()
    compiler, library = get_cpp_compiler(), Path(torch.__file__).parent / "lib/libtorch_cpu.so"
    return {
        "flags": next(line for line in lines if line.startswith("flags")).split(),
        "compiler": [compiler, get_compiler_version_info(compiler), shutil.which(compiler)],
        "torch": [torch.__version__, str(library), library.stat().st_mtime_ns],
        "capability": os.environ.get("ATEN_CPU_CAPABILITY"),
    }


def cache_file(machine: dict[str, Any]) -> Path:
    """Return the file with the answers for a machine, in the user's cache."""
    number = hashlib.sha256(json.dumps(machine).encode()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "ebmcore" / f"vector-isa-{number}.json"


def _loads(path: str) -> bool:
    with suppress(OSError):
        ctypes.CDLL(path)
        return True
    return False


def _read(file: Path, machine: dict[str, Any]) -> dict[str, bool]:
    """Return the answers for exactly this machine, or none."""
    with suppress(OSError, ValueError):
        found = json.loads(file.read_text())
        if isinstance(found, dict) and found.get("machine") == machine:
            answers = found.get("answers")
            if isinstance(answers, dict) and all(type(v) is bool for v in answers.values()):
                return answers
    return {}
