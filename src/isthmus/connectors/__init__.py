"""The strip of land: features of a frozen encoder become tokens of a frozen language model."""

from isthmus.connectors.align import AlignConnector
from isthmus.connectors.connector import Connector, Text, Tokens
from isthmus.connectors.hint import HintConnector, HintShape
from isthmus.connectors.linear import LinearConnector
from isthmus.connectors.mlp import MlpConnector
from isthmus.connectors.names import NamesConnector, NamesShape
from isthmus.connectors.objectives import Losses, Stage1
from isthmus.connectors.qformer import QFormer, QFormerConfig, QFormerConnector, without_text
from isthmus.connectors.qformer_checkpoint import load_qformer, qformer_from_bert
from isthmus.connectors.qformer_names import export_config, export_qformer
from isthmus.connectors.resampler import ResamplerConnector
from isthmus.connectors.soft_prompt import SoftPromptConnector
from isthmus.connectors.stage1_checkpoint import load_stage1, start_word_head

__all__ = [
    "AlignConnector",
    "Connector",
    "HintConnector",
    "HintShape",
    "LinearConnector",
    "Losses",
    "MlpConnector",
    "NamesConnector",
    "NamesShape",
    "QFormer",
    "QFormerConfig",
    "QFormerConnector",
    "ResamplerConnector",
    "SoftPromptConnector",
    "Stage1",
    "Text",
    "Tokens",
    "export_config",
    "export_qformer",
    "load_qformer",
    "load_stage1",
    "qformer_from_bert",
    "start_word_head",
    "without_text",
]
