"""Index a folder of hostile files to the end: each is indexed or listed with its reason, and memory stays bounded.

Contents: every format cut, spoiled in its header and anywhere, bombs, noise, nothing, links in loops and out of the
folder, pipes, unreadable files (root reads them all the same: then they count as what they contain), names that are
not text, names and folders at the system's limits. See tests/photos/hostile.py.

    python -m benchmarks.hostile_folder [--files 10000] [--seed 0] [--json]
"""

import argparse
import logging
import os
import resource
import sys
import tempfile
import time
import warnings
from pathlib import Path

from benchmarks.machine import show
from tests.photos.hostile import make_hostile
from tests.photos.run_index import TorchFree

from isthmus.photos.index import index
from isthmus.photos.report import coverage, unread_files
from isthmus.photos.store import Library

LIMIT = 2000
"""MB. The largest picture that is opened at all has 200 megapixels and takes 800 MB while it is decoded."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", category=Warning, module="PIL")
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        root = Path(name) / "hostile"
        made = make_hostile(root, options.files, options.seed)
        with Library.write(Path(name) / "library") as library:
            start = time.perf_counter()
            report = index(library, [root], TorchFree(), quiet=options.json)
            seconds = time.perf_counter() - start
            found, listed = coverage(library), unread_files(library)
            vectors = library.check()
            again = index(library, [root], TorchFree(), quiet=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    checks = {
        "every entry was met": report.met == made == found.met,
        "every entry is indexed or listed": found.known + len(listed) == made and found.pending == 0,
        "every listed one has a reason": all(file.reason for file in listed),
        "no decoder failed in an unknown way": found.unread.get("error", 0) == 0,
        "every photo has its vector": vectors == found.photos,
        "a second run changes nothing": (again.embedded, again.known, again.left, again.gone) == (0, 0, 0, 0),
        f"memory stayed below {LIMIT} MB": peak < LIMIT,
    }
    table = [{"what": "indexed", "files": found.known}] + [{"what": r, "files": n} for r, n in found.unread.items()]
    notes = [
        f"{made} entries in {seconds:.1f} s, peak {peak:.0f} MB" + (", as root" if os.geteuid() == 0 else ""),
        *(f"{'yes' if good else 'NO '}  {what}" for what, good in checks.items()),
    ]
    show("hostile folder", table, notes, options.json)
    sys.exit(0 if all(checks.values()) else 1)


if __name__ == "__main__":
    main()
