"""A made photo library of which everything is known, sentences that ask for its photos, and what search makes of them.

    python -m benchmarks.photo_library.make OUT [--photos 10000] [--seed 0]    # the pictures and truth.jsonl
    python -m benchmarks.photo_library.run OUT [--json]                        # index, ask, score
    python -m benchmarks.photo_library.answers OUT                             # what would be right, to be read
    python -m benchmarks.photo_library.move OUT [--share 0.1]                  # as people do after indexing

`story.py` says who photographs what, when and where; `plan.py` draws up the photos by a seed; `draw.py`, `written.py`
and `metadata.py` make the files; `truth.py` is what is known of each. `questions.py` holds what is asked, with its
meaning as `rules.py` has it; `score.py` compares. No picture is kept in this project: all come from installed packages.
"""
