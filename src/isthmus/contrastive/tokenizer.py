"""Text to token ids by the `tokenizers` library alone, with each family's special tokens, length and padding.

A checkpoint's tokenizer.json is read as it is; one that ships only vocab.txt (Chinese-CLIP), vocab.json and
merges.txt (OpenAI) or spiece.model (SigLIP) is put together here. Importing `transformers` for this would
cost a search its start-up time.
"""

import hashlib
import string
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tokenizers import Regex, normalizers, pre_tokenizers, processors
from tokenizers import Tokenizer as Backend
from tokenizers.models import BPE, WordPiece

from isthmus.checkpoints import Checkpoint
from isthmus.contrastive.spiece import read_spiece
from isthmus.errors import CorruptPart, MissingPart

if TYPE_CHECKING:  # who asks for rows alone goes without it
    from torch import Tensor

Cleaning = Literal["none", "lower", "canonical"]


@dataclass(frozen=True)
class TextTokens:
    """ids [B, T] int64, right-padded; mask [B, T] bool, True where there is a token. Both on the CPU."""

    ids: "Tensor"
    mask: "Tensor"


@dataclass(frozen=True)
class Tokenizer:
    """Texts -> TextTokens. Truncation keeps the closing token, as every family was trained.

    `fixed`: pad every batch to `max_tokens` (SigLIP reads its padding and pools the last place); otherwise to
    the longest text of the batch, which is enough for causal towers and for masked ones.
    """

    backend: Backend
    max_tokens: int
    padding: int
    fixed: bool
    cleaning: Cleaning
    source: str
    """SHA-256 over the files it was read from: other ids, other vectors."""

    def __call__(self, texts: Sequence[str]) -> TextTokens:
        import torch

        rows = self.rows(texts)
        length = self.max_tokens if self.fixed else max((len(row) for row in rows), default=0)
        ids = torch.full((len(rows), length), self.padding, dtype=torch.int64)
        mask = torch.zeros((len(rows), length), dtype=torch.bool)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = torch.tensor(row, dtype=torch.int64)
            mask[i, : len(row)] = True
        return TextTokens(ids, mask)

    def rows(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text with special tokens, truncated, not padded."""
        cleaned = [clean(text, self.cleaning) for text in texts]
        return [encoding.ids for encoding in self.backend.encode_batch(cleaned)]


def load_tokenizer(
    checkpoint: Checkpoint,
    *,
    max_tokens: int,
    fixed: bool = False,
    cleaning: Cleaning = "none",
    padding: int | None = None,
) -> Tokenizer:
    """The checkpoint's tokenizer.

    `fixed`: see Tokenizer. `max_tokens`: what the text tower takes; a smaller `model_max_length` of the
    checkpoint wins. `padding`: the id to use where the tokenizer files name no padding token.
    Raises MissingPart where there are no such files, CorruptPart where they are damaged or name no padding.
    """
    settings = checkpoint.json("tokenizer_config.json") or {}
    special = {**(checkpoint.json("special_tokens_map.json") or {}), **settings}
    backend, files = _backend(checkpoint, settings)
    named = _name(special.get("pad_token"))
    pad = backend.token_to_id(named) if named is not None else None
    if pad is None:
        pad = (backend.padding or {}).get("pad_id", padding)
    if pad is None:
        raise CorruptPart(f"{checkpoint.folder} names no padding token", todo="add pad_token to tokenizer_config.json")
    if fixed:
        _close(backend, _name(special.get("eos_token")) or str(backend.id_to_token(pad)))
    limit = settings.get("model_max_length")
    if isinstance(limit, int | float) and 0 < limit < max_tokens:
        max_tokens = int(limit)
    backend.no_padding()
    backend.enable_truncation(max_tokens)
    source = hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files)).hexdigest()
    return Tokenizer(backend, max_tokens, int(pad), fixed, cleaning, source)


def clean(text: str, cleaning: Cleaning) -> str:
    """ "lower": SigLIP 2. "canonical": SigLIP's lower case, no ASCII punctuation, single spaces."""
    if cleaning == "none":
        return text
    text = text.lower()
    if cleaning == "canonical":
        text = " ".join(text.translate(_NO_PUNCTUATION).split())
    return text


_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def _backend(checkpoint: Checkpoint, settings: dict[str, Any]) -> tuple[Backend, list[Path]]:
    """The library's tokenizer and the files that made it."""
    whole, vocab = checkpoint.path("tokenizer.json"), checkpoint.path("vocab.txt")
    pairs, merges, pieces = (checkpoint.path(file) for file in ("vocab.json", "merges.txt", "spiece.model"))
    try:
        if whole is not None:
            return Backend.from_file(str(whole)), [whole]
        if vocab is not None:
            return _bert(str(vocab), settings), [vocab]
        if pairs is not None and merges is not None:
            return _clip(str(pairs), str(merges)), [pairs, merges]
        if pieces is not None:
            return read_spiece(pieces), [pieces]
    except Exception as error:  # noqa: BLE001 - the library raises bare Exception for every damage
        raise CorruptPart(
            f"the tokenizer of {checkpoint.folder} cannot be read", why=str(error), todo="fetch the model again"
        ) from None
    raise MissingPart(
        f"{checkpoint.folder} has no tokenizer",
        why="none of tokenizer.json, vocab.txt, vocab.json with merges.txt, spiece.model is there",
        todo="save it with AutoTokenizer.from_pretrained(...).save_pretrained(...)",
    )


def _bert(vocab: str, settings: dict[str, Any]) -> Backend:
    """WordPiece with BERT's cleaning: what Chinese-CLIP's bare vocab.txt stands for."""
    backend = Backend(WordPiece.from_file(vocab, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=settings.get("tokenize_chinese_chars", True),
        strip_accents=settings.get("strip_accents"),
        lowercase=settings.get("do_lower_case", True),
    )
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    ends = [(name, backend.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    backend.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    backend.enable_padding(pad_id=backend.token_to_id("[PAD]"), pad_token="[PAD]")
    return backend


def _clip(vocab: str, merges: str) -> Backend:
    """CLIP's byte-level BPE from OpenAI's two files."""
    start, end = "<|startoftext|>", "<|endoftext|>"
    backend = Backend(
        BPE.from_file(
            vocab,
            merges,
            unk_token=end,
            continuing_subword_prefix="",
            end_of_word_suffix="</w>",
            fuse_unk=False,
        )
    )
    backend.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    words = Regex(r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(words, behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    backend.add_special_tokens([start, end])
    ends = [(name, backend.token_to_id(name)) for name in (start, end)]
    backend.post_processor = processors.TemplateProcessing(single=f"{start} $A {end}", special_tokens=ends)
    backend.enable_padding(pad_id=backend.token_to_id(end), pad_token=end)
    return backend


def _close(backend: Backend, end: str) -> None:
    """SigLIP wants the closing token and nothing in front, which some of its tokenizer files leave to the
    loader."""
    place = backend.token_to_id(end)
    if backend.encode("").ids != [place]:
        backend.post_processor = processors.TemplateProcessing(single=f"$A {end}", special_tokens=[(end, place)])


def _name(token: Any) -> str | None:
    """tokenizer_config.json writes a token as a string or as an object with `content`."""
    if isinstance(token, dict):
        token = token.get("content")
    return token if isinstance(token, str) else None
