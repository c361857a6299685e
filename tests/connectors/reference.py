"""transformers' own BLIP-2 and InstructBLIP, small, with random weights in which everything can be seen."""

from pathlib import Path

from torch import nn

from isthmus.checkpoints import Checkpoint

from .samples import WIDTH_IN, WIDTH_OUT, WORDS, disturb

QFORMER = {
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "vocab_size": WORDS,
    "max_position_embeddings": 12,
    "encoder_hidden_size": WIDTH_IN,
}
VISION = {
    "hidden_size": WIDTH_IN,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "image_size": 16,
    "patch_size": 8,
}
QUERIES = 5


def blip2() -> nn.Module:
    from transformers import Blip2Config, Blip2ForConditionalGeneration

    config = Blip2Config(
        vision_config=VISION, qformer_config=QFORMER, text_config=_language_model(), num_query_tokens=QUERIES
    )
    return disturb(Blip2ForConditionalGeneration(config)).eval()


def retrieval() -> nn.Module:
    from transformers import Blip2Config, Blip2ForImageTextRetrieval

    config = Blip2Config(
        vision_config=VISION,
        qformer_config={**QFORMER, "use_qformer_text_input": True},
        num_query_tokens=QUERIES,
        image_text_hidden_size=6,
    )
    return disturb(Blip2ForImageTextRetrieval(config)).eval()


def instructblip() -> nn.Module:
    from transformers import InstructBlipConfig, InstructBlipForConditionalGeneration

    config = InstructBlipConfig(
        vision_config=VISION, qformer_config=QFORMER, text_config=_language_model(), num_query_tokens=QUERIES
    )
    return disturb(InstructBlipForConditionalGeneration(config)).eval()


def bert(layers: int = 4) -> nn.Module:
    from transformers import BertConfig, BertForMaskedLM

    config = BertConfig(
        hidden_size=16,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=24,
        vocab_size=WORDS - 1,
        max_position_embeddings=12,
    )
    return disturb(BertForMaskedLM(config)).eval()


def saved(model: nn.Module, folder: Path) -> Checkpoint:
    """The model as save_pretrained writes it."""
    model.save_pretrained(folder)
    return Checkpoint(name="small", folder=folder, origin="folder")


def _language_model() -> dict[str, object]:
    from transformers import OPTConfig

    small = OPTConfig(
        hidden_size=WIDTH_OUT,
        num_hidden_layers=1,
        num_attention_heads=2,
        ffn_dim=8,
        vocab_size=20,
        word_embed_proj_dim=WIDTH_OUT,
        max_position_embeddings=16,
    )
    return small.to_dict()
