import numpy as np
import torch

from isthmus.labs.asked import CLASS, COLOUR, COUNT, KINDS, POSITION, TEXT
from isthmus.labs.drawn import scene
from isthmus.labs.kept import Ridge, labels, probe, rebuilt
from isthmus.labs.reader import Schedule
from isthmus.progress import progress

SCENES = [scene(np.random.default_rng(seed)) for seed in range(300)]
TRAINING, TEST = torch.arange(240), torch.arange(240, 300)


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_labels_are_what_is_on_the_picture() -> None:
    known = labels(SCENES)
    assert [len(known.groups[kind]) for kind in (CLASS, POSITION, COLOUR, TEXT, COUNT)] == [1, 1, 1, 3, 1]
    assert (known.groups[CLASS][0].sum(1) == 3).all()
    assert (known.groups[POSITION][0].sum(1) <= 3).all()
    digits = torch.stack([group.argmax(1) for group in known.groups[TEXT]], dim=1)
    assert ["".join(map(str, row)) for row in digits.tolist()] == [each.written for each in SCENES]
    assert (known.groups[COUNT][0].argmax(1) + 1).tolist() == [each.dots for each in SCENES]


def test_ridge_finds_a_linear_map_and_generalises() -> None:
    x = noise(300, 12)
    targets = x @ noise(12, 3) + 5
    torch.testing.assert_close(Ridge(x, targets, TRAINING)(TEST).float(), targets[TEST], atol=0.1, rtol=0)


def test_a_probe_reads_what_tokens_hold_and_nothing_else() -> None:
    known = labels(SCENES)
    held = torch.cat([group for groups in known.groups.values() for group in groups], dim=1)
    mixed = (held @ noise(held.shape[1], 80)).view(300, 4, 20)
    found, nothing = probe(mixed, known, TRAINING, TEST), probe(noise(300, 4, 20), known, TRAINING, TEST)
    for kind in KINDS:
        assert found[kind] > 0.95, kind
        assert nothing[kind] < 0.6, kind


def test_features_are_rebuilt_from_tokens_that_hold_them() -> None:
    tokens = noise(300, 2, 8)
    features = tokens @ noise(8, 4)  # cell by cell
    with progress("", 1, "", quiet=True) as bar:
        held = rebuilt(tokens, features, TRAINING, TEST, Schedule(steps=200, batch=16, rate=1e-2), 0, bar)
        none = rebuilt(tokens.flip(0), features, TRAINING, TEST, Schedule(steps=20, batch=16), 0, bar)
    assert held > 0.6
    assert none < 0.1
