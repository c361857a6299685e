"""Pictures per second of indexing, against the loop one would write with transformers, at equal model and files.

The model is CLIP ViT-B/32 with random weights: speed does not depend on what they are. Files are 12-megapixel JPEGs as
phones write them. Both sides start with a loaded model and files in the page cache; indexing includes hashing, turning
pictures upright and the database. Runs are interleaved; figures are medians.

    python -m benchmarks.index_throughput [--photos 32] [--runs 5] [--json]
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from benchmarks.machine import show
from PIL import Image, ImageOps

from isthmus.contrastive import load_embedder
from isthmus.photos.index import index
from isthmus.photos.speed import indexing_threads
from isthmus.photos.store import Library


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=32)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--model", type=Path, help="a CLIP folder to use instead of random weights")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        files = take_photos(base / "photos", options.photos)
        model = options.model or random_clip(base / "clip")
        sizes = [file.stat().st_size / 1e6 for file in files]
        sides, upright = contestants(model, files, base)
        truth = upright()
        speeds: dict[str, list[float]] = {side: [] for side in sides}
        vectors = {side: go() for side, go in sides.items()}  # also warms everything up
        for _ in range(options.runs):
            for side, go in sides.items():
                start = time.perf_counter()
                go()
                speeds[side].append(len(files) / (time.perf_counter() - start))
    best_plain = max(statistics.median(speeds[side]) for side in speeds if side.startswith("transformers"))
    rows = []
    for side in sides:
        cosine = (vectors[side] * truth).sum(1)
        speed = statistics.median(speeds[side])
        rows.append(
            {
                "loop": side,
                "pictures/s": speed,
                "least": min(speeds[side]),
                "most": max(speeds[side]),
                "times the better plain loop": speed / best_plain,
                "cosine, median": float(np.median(cosine)),
                "cosine, least": float(cosine.min()),
            }
        )
    notes = [
        f"{len(files)} JPEGs of 12 megapixels, {min(sizes):.1f} to {max(sizes):.1f} MB",
        f"{options.runs} interleaved runs after one to warm up",
        "cosine: with the fp32 vector that transformers makes of the fully decoded picture, turned upright by its EXIF",
    ]
    show("indexing against a plain transformers loop, CLIP ViT-B/32", rows, notes, options.json)


def contestants(
    model: Path, files: list[Path], base: Path
) -> tuple[dict[str, Callable[[], np.ndarray]], Callable[[], np.ndarray]]:
    """The loops, each giving the unit vectors [B, D] of all files in order; and the plain one with upright pictures."""
    from transformers import CLIPImageProcessorPil, CLIPModel

    processor = CLIPImageProcessorPil.from_pretrained(model)
    clip = CLIPModel.from_pretrained(model).eval()
    ours = {"fp32": load_embedder(str(model)), "bf16": load_embedder(str(model), dtype=torch.bfloat16)}

    @torch.no_grad()
    def plain(batch: int, turn: Callable[[Image.Image], Image.Image] = lambda picture: picture) -> np.ndarray:
        made = []
        for start in range(0, len(files), batch):
            pictures = [turn(Image.open(file)) for file in files[start : start + batch]]
            found = clip.get_image_features(**processor(images=pictures, return_tensors="pt"))
            found = found if isinstance(found, torch.Tensor) else found.pooler_output
            made.append(torch.nn.functional.normalize(found, dim=-1))
        return torch.cat(made).numpy()

    def alone(loop: Callable[[], np.ndarray]) -> np.ndarray:
        before = torch.get_num_threads()
        torch.set_num_threads(1)  # on a busy machine the plain loop, too, is faster so
        try:
            return loop()
        finally:
            torch.set_num_threads(before)

    def indexed(precision: str) -> np.ndarray:
        embedder = ours[precision]
        with (
            tempfile.TemporaryDirectory(dir=base) as folder,
            Library.write(Path(folder)) as library,
            indexing_threads(),
        ):
            report = index(library, [files[0].parent], embedder, quiet=True)
            assert report.embedded == len(files), report
            stored = library.query("SELECT v.vector FROM vectors v JOIN files f ON f.photo = v.photo ORDER BY f.path")
        rows = np.stack([np.frombuffer(vector, "<f2").astype(np.float32) for (vector,) in stored])
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    loops: dict[str, Callable[[], np.ndarray]] = {
        "transformers, batch 1": lambda: plain(1),
        "transformers, batch 16": lambda: plain(16),
        "transformers, batch 16, one thread": lambda: alone(lambda: plain(16)),
        "isthmus, fp32": lambda: indexed("fp32"),
        "isthmus, bf16": lambda: indexed("bf16"),
    }
    return loops, lambda: plain(1, ImageOps.exif_transpose)


def random_clip(folder: Path) -> Path:
    """CLIP ViT-B/32 in true size with random weights, saved as Hugging Face saves it, with a small tokenizer."""
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel

    torch.manual_seed(0)
    CLIPModel(CLIPConfig()).save_pretrained(folder)
    CLIPImageProcessorPil().save_pretrained(folder)
    write_tokenizer(folder)
    return folder


def write_tokenizer(folder: Path) -> None:
    """CLIP's byte-level tokenizer without its merges: the picture side does not read it."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = letters + [letter + "</w>" for letter in letters] + ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: at for at, word in enumerate(words)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], end_of_word_suffix="</w>", unk_token="<|endoftext|>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    ends = [("<|endoftext|>", vocabulary["<|endoftext|>"]), ("<|startoftext|>", vocabulary["<|startoftext|>"])]
    tokenizer.post_processor = processors.RobertaProcessing(*ends, add_prefix_space=False, trim_offsets=False)
    from transformers import CLIPTokenizerFast

    CLIPTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<|startoftext|>", eos_token="<|endoftext|>", pad_token="<|endoftext|>"
    ).save_pretrained(folder)


def take_photos(folder: Path, count: int) -> list[Path]:
    """12-megapixel JPEGs from scikit-image's photographs: different parts of them, enlarged, with a sensor's grain.

    Landscape, and every fourth portrait by its EXIF orientation, as phones store them; quality 90 and 94, 4:2:0.
    """
    from skimage import data

    folder.mkdir(parents=True)
    sources = [
        Image.fromarray(make()).convert("RGB") for make in (data.astronaut, data.coffee, data.chelsea, data.rocket)
    ]
    random = np.random.default_rng(0)
    files = []
    for at in range(count):
        source = sources[at % len(sources)]
        share = random.uniform(0.75, 1.0)
        width = int(min(source.width, source.height * 4 / 3) * share)
        height = int(width * 3 / 4)
        left = int(random.integers(0, source.width - width + 1))
        top = int(random.integers(0, source.height - height + 1))
        part = source.crop((left, top, left + width, top + height)).resize((4000, 3000), Image.Resampling.BICUBIC)
        pixels = np.asarray(part, np.float32)
        grain = random.standard_normal(pixels.shape, np.float32) * 6
        exif = Image.Exif()
        exif[274] = 6 if at % 4 == 3 else 1
        path = folder / f"{at:04}.jpg"
        Image.fromarray((pixels + grain).clip(0, 255).astype(np.uint8)).save(path, quality=(90, 94)[at % 2], exif=exif)
        files.append(path)
    return files


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    main()
