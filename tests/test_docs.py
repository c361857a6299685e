"""The documentation: its links lead somewhere, its generated pages are up to date, its commands exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert not [t for t in targets if "://" not in t and not (page.parent / t).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_benchmarks_that_pages_name_exist(page: Path) -> None:
    named = re.findall(r"python -m\s+benchmarks\.(\w+(?:\.\w+)*)", page.read_text(encoding="utf-8"))
    assert not [name for name in named if not (ROOT / "benchmarks" / f"{name.replace('.', '/')}.py").is_file()]


def test_the_model_card_is_what_the_measurements_say() -> None:
    command = [sys.executable, "docs/make.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
