"""Make `han.txt`, which traditional characters have which simplified ones, from Unicode's Unihan_Variants.txt.

    python -m isthmus.photos.text.derive_han Unihan_Variants.txt

Debian's package unicode-data has that file (packed with bzip2). Its licence stands in NOTICE.
"""

import sys
from pathlib import Path

HERE = Path(__file__).parent


def main(source: str) -> None:
    pairs = sorted(simplified(Path(source).read_text(encoding="utf-8")).items())
    (HERE / "han.txt").write_text("".join(old + new + "\n" for old, new in pairs), encoding="utf-8")


def simplified(variants: str) -> dict[str, str]:
    """Of several simplified characters the first that is another one; only characters that fonts commonly have."""
    found: dict[str, str] = {}
    for line in variants.splitlines():
        if line.startswith("#") or "\tkSimplifiedVariant\t" not in line:
            continue
        one, _, others = line.split("\t")
        character = _character(one)
        choice = [other for other in map(_character, others.split()) if other != character and _is_common(other)]
        if choice and _is_common(character):
            found[character] = choice[0]
    return found


def _character(code: str) -> str:
    return chr(int(code.removeprefix("U+"), 16))


def _is_common(character: str) -> bool:
    return "\u4e00" <= character <= "\u9fff"


if __name__ == "__main__":
    main(sys.argv[1])
