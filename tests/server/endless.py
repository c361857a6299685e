"""A server as a process of its own, over a model that has no end of its own: `python -m tests.server.endless GRACE`."""

import sys
import time
from typing import Any

from isthmus.backends.backend import Delta, Finish, Options, Stream, Usage
from isthmus.server.run import serve
from isthmus.server.settings import Settings


class Endless:
    name = "endless"

    def stream(self, messages: Any, *, tools: Any = None, options: Options) -> Stream:  # noqa: ARG002
        for _ in range(options.max_tokens):
            time.sleep(0.001)  # as a model would: a client that looks away for a moment is not too slow
            yield Delta("a")
        yield Delta(finish=Finish("length", Usage(1, 0, options.max_tokens)))


def main() -> None:
    serve(
        Endless,
        ("endless",),
        settings=Settings(slots=1, grace=float(sys.argv[1])),
        embeddings=None,
        secret=None,
        port=0,
        begun=lambda address: print(address, flush=True),
        ready=lambda: print("ready", flush=True),
        browser=False,
    )


if __name__ == "__main__":
    main()
