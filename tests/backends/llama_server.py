"""llama.cpp's own HTTP server, the real thing that speaks the OpenAI API, on a loopback port of this process."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from isthmus.backends.llama_cpp_engine import find_gguf
from tests.evaluation.packages import default_part, required


@contextmanager
def llama_server(
    model: str | Path = "default/smollm2", *, context: int = 1024, api_key: str | None = None
) -> Iterator[str]:
    """Its address, to which `/v1` belongs: http://127.0.0.1:PORT. Of the model, a name or a path to a .gguf.

    Skips where the package or the default part is not installed, except in CI.
    """
    xllamacpp = required("xllamacpp", "llama")
    if str(model).startswith("default/"):
        default_part(str(model))
    params = xllamacpp.CommonParams()
    params.model.path = str(find_gguf(str(model)))
    params.n_ctx = context
    params.n_parallel = 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.verbosity = -1
    params.warmup = params.ui = params.fit_params = False
    params.endpoint_metrics = True
    params.api_keys = [] if api_key is None else [api_key]
    server = xllamacpp.Server(params)  # on 127.0.0.1, at a port that is free
    try:
        yield server.listening_address
    finally:
        del server  # stops it, and waits until it has
