"""llama.cpp's engine in this process, from the package xllamacpp: a GGUF file -> the server that answers.

llama.cpp ends the whole process over some damaged files, and on a processor without the instructions it was built for.
So a process of its own first loads the file and makes one token, once for each state of the file:
`python -m isthmus.backends.llama_cpp_engine SETTINGS`.
"""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from textwrap import shorten
from typing import Any

from isthmus.checkpoints.cache import cache_folder, state_of, written_whole
from isthmus.checkpoints.parts import part
from isthmus.errors import CorruptPart, InputError, IsthmusError, MissingPart

PACKAGE = "xllamacpp"
BATCH = 256
"""Tokens of a prompt read in one step, and so what closing a stream may wait for."""

KEPT_MIB = 512
"""Memory for what was read of dialogues that wait for their next turn, besides the last one's."""


@dataclass(frozen=True)
class EngineSettings:
    """Files, tokens of context, threads, and whether layers go to a GPU."""

    model: str
    mmproj: str | None
    context: int
    threads: int
    gpu: bool


def find_gguf(name: str) -> Path:
    """The file of a default part that is GGUF, verified, or that at a path. Raises MissingPart, CorruptPart,
    InputError."""
    if name.startswith("default/"):
        wanted = part(name)
        if wanted.variant != "gguf":
            raise InputError(f"{name} is no GGUF file", todo="default/smollm2 is one; or give a path")
        return wanted.verify()
    path = Path(name).expanduser()
    if not path.is_file():
        raise InputError(f"there is no file {name}", todo="give the path of a .gguf, or default/smollm2")
    return path


def has_gpu() -> bool:
    """Whether the installed build can use one, and there is one. Raises MissingPart."""
    xllamacpp = _xllamacpp()
    kinds = xllamacpp.ggml_backend_dev_type
    gpus = (kinds.GGML_BACKEND_DEVICE_TYPE_GPU, kinds.GGML_BACKEND_DEVICE_TYPE_IGPU)
    return any(device["type"] in gpus for device in xllamacpp.get_device_info())


def start(settings: EngineSettings, name: str, socket: Path) -> Any:
    """xllamacpp's Server for the model that its user calls `name`, listening on that Unix socket alone.

    Raises MissingPart without the package, CorruptPart for a file that llama.cpp cannot load, InputError for an
    architecture it does not know.
    """
    xllamacpp = _xllamacpp()
    _try(settings, name)
    try:
        return xllamacpp.Server(_params(xllamacpp, settings, socket))
    except RuntimeError as error:
        # it could be loaded alone, so this is room: memory for the weights and the context, a place for the socket
        todo = "give a smaller context, or close something"
        raise IsthmusError(f"{name} cannot be loaded", why=shorten(str(error), 300), todo=todo) from None


def physical_cores() -> int:
    """Of the processors this process may use; two threads of a core count once, for they share its arithmetic."""
    usable = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    return len({_core(number) for number in usable})


def _core(number: int) -> tuple[str, ...]:
    topology = Path(f"/sys/devices/system/cpu/cpu{number}/topology")
    try:
        return tuple((topology / each).read_text() for each in ("physical_package_id", "core_id"))
    except OSError:
        return (str(number),)


def _xllamacpp() -> Any:
    try:
        import xllamacpp
    except ImportError as error:
        todo = "pip install 'isthmus[llama]'"
        raise MissingPart("llama.cpp is not installed", why=shorten(str(error), 200), todo=todo) from None
    return xllamacpp


def _params(xllamacpp: Any, settings: EngineSettings, socket: Path, *, verbosity: int = -1) -> Any:
    """`verbosity` -1: nothing is written to stderr; 1: errors."""
    params = xllamacpp.CommonParams()
    params.model.path = settings.model
    if settings.mmproj is not None:
        params.mmproj.path = settings.mmproj
    params.n_ctx = settings.context
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = settings.threads
    params.n_gpu_layers = -1 if settings.gpu else 0  # -1: as many as there is room for
    params.fit_params = params.mmproj_use_gpu = settings.gpu
    params.n_batch = params.n_ubatch = BATCH
    params.n_parallel = 1  # answers made side by side would round differently
    params.cache_ram_mib = KEPT_MIB
    params.warmup = False  # no answer is worth delaying the first one
    params.verbosity = verbosity
    # Its HTTP server cannot be left out. So it listens where no browser and no other user can speak to it.
    params.hostnames = [str(socket)]
    params.n_threads_http = 2
    params.ui = False
    params.endpoint_slots = False
    params.endpoint_metrics = True
    return params


def _try(settings: EngineSettings, name: str) -> None:
    """Raises unless a process of its own could load the files and make a token, now or before."""
    note = _note(settings)
    if note.is_file():
        return
    done = subprocess.run(
        [sys.executable, "-m", __name__, json.dumps(asdict(settings))],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "GGML_NO_BACKTRACE": "1"},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise _refusal(name, done.returncode, done.stderr)
    with suppress(MissingPart), written_whole(note) as temporary:  # a cache that cannot be written only costs time
        temporary.write_text(name, encoding="utf-8")


def _note(settings: EngineSettings) -> Path:
    """The file that says it went well. Another state of the files, other settings or another build: another one."""
    files = [state_of(Path(file)) for file in (settings.model, settings.mmproj) if file]
    key = json.dumps([files, asdict(settings), version(PACKAGE)])
    return cache_folder() / "llama.cpp" / hashlib.sha256(key.encode()).hexdigest()


def _refusal(name: str, code: int, said: str) -> IsthmusError:
    """In our words, with the first that llama.cpp said: what follows is only who passed it on."""
    if code == -signal.SIGILL:
        why, todo = "it was built for AVX2", f"build {PACKAGE} from its source on this machine"
        return MissingPart("llama.cpp cannot run on this processor", why=why, todo=todo)
    found = re.search(r" E \S+: +(?:error loading model: )?(.+)|(GGML_ASSERT.+|terminate called.+|\w+Error: .+)", said)
    why = shorten((found[1] or found[2]) if found else f"it ended with {code}", 300)
    if "unknown model architecture" in why:
        return InputError(f"llama.cpp cannot run {name}", why=why, todo=f"a newer {PACKAGE} may know it")
    return CorruptPart(f"llama.cpp cannot load {name}", why=why, todo="fetch it again")


def _trial(settings: EngineSettings) -> None:
    import resource
    import tempfile

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # what it leaves behind where it ends is of no use to anybody
    with tempfile.TemporaryDirectory() as folder:
        xllamacpp = _xllamacpp()
        server = xllamacpp.Server(_params(xllamacpp, settings, Path(folder) / "engine.sock", verbosity=1))
        server.handle_completions({"prompt": "a", "max_tokens": 1})
        del server


if __name__ == "__main__":
    _trial(EngineSettings(**json.loads(sys.argv[1])))
