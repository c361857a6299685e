"""`isthmus` in a process of its own, on pipes and on a terminal."""

import os
import pty
import select
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

PATIENCE = 120.0
"""Seconds of silence, at which a test is given up."""
COMMAND = (sys.executable, "-m", "isthmus.cli.main")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "TERM": "xterm", "NO_COLOR": ""}


def start(*words: object, stdin: int = subprocess.DEVNULL) -> "subprocess.Popen[bytes]":
    """stdout and stderr are pipes, without buffers: `communicate` does not give what a `read` before took into one."""
    pipe = subprocess.PIPE
    command = [*COMMAND, *map(str, words)]
    return subprocess.Popen(command, bufsize=0, stdin=stdin, stdout=pipe, stderr=pipe, env=ENVIRONMENT)


def stdout_without(modules: Iterable[str], *words: object, code: int = 0) -> str:
    """Of a command that ends with this exit code and imports none of these modules."""
    program = (
        "import sys; sys.argv[0] = 'isthmus'\n"
        "from isthmus.cli.main import main\n"
        "try: main()\n"
        f"except SystemExit as end: assert (end.code or 0) == {code}, end.code\n"
        f"imported = {set(modules)} & set(sys.modules)\n"
        "assert not imported, imported"
    )
    command = [sys.executable, "-c", program, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@dataclass
class Terminal:
    """A process whose stdin, stdout and stderr are one terminal."""

    process: "subprocess.Popen[bytes]"
    screen: int
    seen: str = ""

    def wait_for(self, text: str) -> str:
        """All up to and with `text`, which must come; what follows it is for the next wait."""
        while text not in self.seen:
            self.seen += self._read()
        before, _, self.seen = self.seen.partition(text)
        return before + text

    def type(self, text: str) -> None:
        os.write(self.screen, text.encode())

    def end(self) -> tuple[int, str]:
        """(exit code, all that was still shown)."""
        try:
            while True:
                self.seen += self._read()
        except EOFError:
            return self.process.wait(60), self.seen

    def _read(self) -> str:
        if not select.select([self.screen], [], [], PATIENCE)[0]:
            raise TimeoutError(f"nothing for {PATIENCE} s after {self.seen!r}")
        try:
            data = os.read(self.screen, 4096)
        except OSError:  # Linux: the other side has closed
            data = b""
        if not data:
            raise EOFError(f"the process ended after {self.seen!r}")
        return data.decode(errors="replace").replace("\r\n", "\n")


def on_terminal(words: Sequence[object]) -> Terminal:
    screen, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *map(str, words)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=ENVIRONMENT,
        start_new_session=True,
        preexec_fn=_own_the_terminal,
    )
    os.close(theirs)
    return Terminal(process, screen)


def _own_the_terminal() -> None:
    """Ctrl-C typed there then reaches the process as a signal."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
