"""A sentence becomes a Query: rules find conditions, negation turns some, and what is left describes the picture."""

from datetime import datetime

from isthmus.photos.query import (
    cameras,
    chinese_when,
    chinese_where,
    conditions,
    english_when,
    english_where,
    merge,
    names,
    negation,
)
from isthmus.photos.query.explain import label_of
from isthmus.photos.query.filler import END, LEADING, START, TRAILING, is_filler
from isthmus.photos.query.fold import fold, is_han
from isthmus.photos.query.found import Doubt, Found
from isthmus.photos.query.model import (
    Chip,
    Language,
    Names,
    Query,
    Settings,
    Span,
    Text,
    Unsure,
    Vocabulary,
    Words,
)

LONGEST = 1000
"""Characters of a sentence that are read; the rest goes to the vector as it is."""


def read(sentence: str, now: datetime, vocabulary: Vocabulary, settings: Settings) -> Query:
    """What `isthmus.photos.query.parse` gives."""
    text = fold(sentence[:LONGEST])
    language = language_of(sentence)
    founds, doubts = _conditions(text, sentence[:LONGEST], now, vocabulary, settings)
    founds, denied = negation.apply(text, founds)
    chips = [_chip(found, language) for found in founds]
    covered = bytearray(len(sentence))
    for found in founds:
        _cover(covered, (found.start, found.end))
    for denial in denied:
        # A trigger may stand before words that were understood in the meantime: then it is only theirs.
        words = denial.text or sentence[slice(*denial.words)]
        if not any(covered[denial.words[0] : denial.words[1]]):
            whole = _uncovered(covered, denial.whole)
            chips.append(Chip(Words(words.strip()), tuple(whole), words.strip(), negative=True))
            _cover(covered, denial.whole)
    filler: list[Span] = []
    for segment in _segments(text, covered, filler, doubts):
        chips += _left_over(segment, sentence, text, language, filler)
    if len(sentence) > LONGEST:
        chips.append(Chip(Words(sentence[LONGEST:].strip()), ((LONGEST, len(sentence)),), "…"))
        doubts.append(Doubt(LONGEST, len(sentence), f"only the first {LONGEST} characters are read"))
    chips = [chip for chip in chips if not isinstance(chip.value, Words) or chip.value.text]
    chips.sort(key=lambda chip: chip.spans[0])
    chips = merge.exclusive(chips, language)
    unsure = _unsure(doubts, chips, sentence)
    return Query(sentence, now, language, tuple(chips), tuple(sorted(filler)), unsure)


def language_of(sentence: str) -> Language:
    """Chinese where it has at least as many Chinese characters as other words."""
    han = sum(map(is_han, sentence))
    others = len([word for word in sentence.split() if not any(map(is_han, word))])
    return "zh" if han and han >= others else "en"


def _conditions(
    text: str, sentence: str, now: datetime, vocabulary: Vocabulary, settings: Settings
) -> tuple[list[Found], list[Doubt]]:
    """What was understood, in order and without overlaps, and what looked like it and was not."""
    hits: list[Found | Doubt] = []
    hits += conditions.find_texts(text, sentence)
    hits += names.find(text, sentence, vocabulary)
    hits += english_when.find(text, sentence, now, settings)
    hits += chinese_when.find(text, now, settings)
    hits += cameras.find(text, vocabulary)
    hits += conditions.find_kinds(text)
    hits += conditions.find_counts(text)
    hits += conditions.find_sorts(text)
    covered = bytearray(len(text) + 1)
    for hit in _choose(hits):
        _cover(covered, (hit.start, hit.end))
    hits += chinese_where.find(text)
    hits += english_where.find(text, sentence, lambda at, strong: _is_taken(covered, at, strong, hits))
    chosen = _choose(hits)
    founds = [hit for hit in chosen if isinstance(hit, Found)]
    doubts = [hit for hit in hits if isinstance(hit, Doubt)]
    return founds, doubts


def _is_taken(covered: bytearray, at: int, strong: bool, hits: list[Found | Doubt]) -> bool:
    if at >= len(covered) or not covered[at]:
        return False
    # A name may also be a place: "in Paris" is the city though Paris is in the library, "with Paris" is not.
    over = [hit for hit in hits if hit.start <= at < hit.end and isinstance(hit, Found)]
    return not (strong and over and all(isinstance(hit.value, Names) and hit.start == at for hit in over))


def _choose(hits: list[Found | Doubt]) -> list[Found | Doubt]:
    """Without overlaps: the strongest first. Of doubts only those that block take part."""
    ready = [hit for hit in hits if isinstance(hit, Found) or hit.blocks]
    ready.sort(key=_strength, reverse=True)
    chosen: list[Found | Doubt] = []
    for hit in ready:
        if not any(hit.start < other.end and other.start < hit.end for other in chosen):
            chosen.append(hit)
    return sorted(chosen, key=lambda hit: hit.start)


def _strength(hit: Found | Doubt) -> tuple[int, int, bool, bool, int]:
    if isinstance(hit, Found):
        return *hit.strength, True, isinstance(hit.value, Names), -hit.start
    return 0, hit.end - hit.start, False, False, -hit.start


def _chip(found: Found, language: Language) -> Chip:
    return Chip(
        found.value, ((found.start, found.end),), label_of(found.value, language), found.negative,
        found.keep_words and not found.negative, found.note, found.alternatives,
    )  # fmt: skip


def _segments(text: str, covered: bytearray, filler: list[Span], doubts: list[Doubt]) -> list[Span]:
    """The spans that are left for the vector; what asks for nothing is added to `filler`."""
    at, begun = 0, False
    while (gap := _next_gap(text, covered, at)) is not None:
        if not begun and (match := START.match(text, gap[0], len(text))) and match.end() > gap[0]:
            end = min(match.end(), gap[1])
            filler.append((gap[0], end))
            _cover(covered, (gap[0], end))
            at = end
            continue
        begun = begun or not is_filler(text[slice(*_trimmed(text, gap, []))])
        at = gap[1]
    last = True
    kept: list[Span] = []
    for gap in reversed(_gaps(text, covered)):
        start, end = gap
        while last and end > start and text[end - 1] in " ,;":
            end -= 1
            filler.append((end, end + 1))
        while last and (match := END.search(text[start:end])):
            filler.append((start + match.start(), end))
            end = start + match.start()
            while end > start and text[end - 1].isspace():
                end -= 1
        trimmed = _trimmed(text, (start, end), filler)
        if is_filler(text[slice(*trimmed)]) and not any(d.start < trimmed[1] and trimmed[0] < d.end for d in doubts):
            filler.append(trimmed)
        else:
            kept.append(trimmed)
            last = False
    filler[:] = [span for span in filler if text[slice(*span)].strip()]
    return list(reversed(kept))


def _trimmed(text: str, gap: Span, filler: list[Span]) -> Span:
    """`gap` without the joints at its ends: "and", "with", 的."""
    start, end = gap
    while start < end:
        match = LEADING.match(text, start, end)
        # "and" at the very start of a sentence joins nothing.
        if text[start].isspace():
            start += 1
        elif match and match.end() > start:
            filler.append((start, match.end()))
            start = match.end()
        else:
            break
    while end > start:
        # The joints are short; searching all of a long gap again for each would take its square.
        match = TRAILING.search(text, max(start, end - 40), end)
        if text[end - 1].isspace():
            end -= 1
        elif match and match.group():
            filler.append((match.start(), end))
            end = match.start()
        else:
            break
    return start, end


def _left_over(segment: Span, sentence: str, text: str, language: Language, filler: list[Span]) -> list[Chip]:
    """Words, and the text in the picture that stands without quotes after "that says"."""
    start, end = segment
    says = conditions.UNQUOTED.search(text, start, end)
    if says is None:
        words = " ".join(sentence[start:end].split())
        return [Chip(Words(words), (segment,), words)]
    # 写着你好的牌子: what is written ends at 的.
    of = text.find("的", says.end() + 1, end) if is_han(text[says.end() - 1]) else -1
    stop = end if of < 0 else of
    read = Text(sentence[says.end() : stop].strip())
    chips = [Chip(read, ((says.start(), stop),), label_of(read, language))]
    for around in ((start, says.start()), (stop, end)):
        rest = _trimmed(text, around, filler)
        if rest[1] > rest[0]:
            chips += _left_over(rest, sentence, text, language, filler)
    return chips


def _unsure(doubts: list[Doubt], chips: list[Chip], sentence: str) -> tuple[Unsure, ...]:
    """Doubts about words that went to the vector, the widest where they overlap."""
    spans = [s for chip in chips if not isinstance(chip.value, Words) for s in chip.spans]
    words = [s for chip in chips if isinstance(chip.value, Words) for s in chip.spans]
    kept: list[Doubt] = []
    for doubt in sorted(doubts, key=lambda doubt: (doubt.start - doubt.end, doubt.start)):
        if any(doubt.start < end and start < doubt.end for start, end in spans):
            continue
        if not any(doubt.start < end and start < doubt.end for start, end in words):
            continue
        if not any(doubt.start < other.end and other.start < doubt.end for other in kept):
            kept.append(doubt)
    kept.sort(key=lambda doubt: doubt.start)
    return tuple(Unsure((d.start, d.end), sentence[d.start : d.end], d.reason) for d in kept)


def _cover(covered: bytearray, span: Span) -> None:
    covered[span[0] : span[1]] = b"\1" * (min(span[1], len(covered)) - span[0])


def _uncovered(covered: bytearray, span: Span) -> list[Span]:
    """The parts of `span` that nothing has taken."""
    parts: list[Span] = []
    for at in range(*span):
        if covered[at]:
            continue
        if parts and parts[-1][1] == at:
            parts[-1] = (parts[-1][0], at + 1)
        else:
            parts.append((at, at + 1))
    return parts


def _gaps(text: str, covered: bytearray) -> list[Span]:
    gaps, at = [], 0
    while (gap := _next_gap(text, covered, at)) is not None:
        gaps.append(gap)
        at = gap[1]
    return gaps


def _next_gap(text: str, covered: bytearray, at: int) -> Span | None:
    """The next span of characters nothing has taken, from its first that is no space."""
    while at < len(text) and (covered[at] or text[at].isspace()):
        at += 1
    if at >= len(text):
        return None
    end = at
    while end < len(text) and not covered[end]:
        end += 1
    return at, end
