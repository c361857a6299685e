"""A query and its results as the API answers them."""

import numpy as np

from isthmus.photos.query.model import Order
from isthmus.photos.serve.answers import ChipAnswer, GlossAnswer, QueryAnswer, SearchAnswer, UnsureAnswer
from isthmus.photos.serve.engine import Engine, Results
from isthmus.photos.serve.parts import BOXES


def described(found: Results, order: Order | None) -> QueryAnswer:
    query, fewer = found.query, dict(found.without)
    glossed = found.gloss
    by = order or query.order
    if by == "relevance" and not query.vector_text:
        by = "newest"
    return QueryAnswer(
        sentence=query.sentence,
        language=query.language,
        words=query.vector_text,
        order=by,
        chips=[
            ChipAnswer(
                kind=chip.kind,
                label=chip.label,
                text=" ".join(query.sentence[start:end] for start, end in chip.spans),
                negative=chip.negative,
                note=chip.note,
                alternatives=[other.label for other in chip.alternatives],
                without=fewer.get(at),
            )
            for at, chip in enumerate(query.chips)
        ],
        gloss=None
        if glossed is None
        else GlossAnswer(words=[list(pair) for pair in glossed.words], unknown=list(glossed.unknown)),
        unsure=[UnsureAnswer(text=each.text, reason=each.reason) for each in query.unsure],
    )


def answered(engine: Engine, found: Results, order: Order | None, version: str, limit: int | None) -> SearchAnswer:
    best = found.first(limit)
    sizes, colours = engine.tiles.of(best.photos)
    scores, parts = best.scores, best.parts
    # Built without checking: these are our own numbers, a hundred thousand of each.
    return SearchAnswer.model_construct(
        query=described(found, order),
        count=found.count,
        fitting=found.fitting,
        total=found.total,
        sure=found.sure,
        version=version,
        photos=best.photos.tolist(),
        widths=sizes[:, 0].tolist(),
        heights=sizes[:, 1].tolist(),
        colours=colours.tolist(),
        scores=None if scores is None else np.round(scores.astype(np.float64), 4).tolist(),
        parts=None if parts is None or not (parts >= 0).any() else parts.tolist(),
        boxes=BOXES,
    )
