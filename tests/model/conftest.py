"""Small checkpoints that the original libraries write, and a machine without a network."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import open_clip
import pytest
import timm
import torch
from open_clip.push_to_hf_hub import save_config_for_hf, save_for_hf
from safetensors.torch import save_file
from timm.models import save_for_hf as save_timm
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertTokenizerFast,
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    PreTrainedTokenizerFast,
    SiglipConfig,
    SiglipImageProcessor,
    SiglipModel,
)

WORDS = ["<pad>", "<s>", "</s>", "<unk>", "a", "no", "nodule", "in", "the", "left", "lung"]
BERT_WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "no", "nodule", "lung", "left"]
SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4}
MEAN, STD = [0.4, 0.5, 0.6], [0.2, 0.25, 0.3]


@pytest.fixture
def no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever opens a socket fails, and nothing has told the hub's client to stay offline."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def word_tokenizer() -> PreTrainedTokenizerFast:
    """One number a word, between a start and an end token."""
    words = {word: number for number, word in enumerate(WORDS)}
    inner = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", bos_token="<s>", eos_token="</s>"
    )


def write_clip(folder: Path) -> CLIPModel:
    """A small CLIP with random weights, its tokenizer and its preprocessor."""
    torch.manual_seed(4)
    special = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    text = {**SIZES, **special, "vocab_size": 11, "max_position_embeddings": 16}
    vision = {**SIZES, "image_size": 64, "patch_size": 16, "num_hidden_layers": 4}
    text["num_hidden_layers"] = 2
    text["eos_token_id"] = 10  # 2 stands for an older way of finding the end, by the largest number
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=24))
    model.save_pretrained(folder)
    tokenizer = word_tokenizer()
    tokenizer.save_pretrained(folder)
    CLIPImageProcessor(
        size={"shortest_edge": 64},
        crop_size={"height": 64, "width": 64},
        image_mean=MEAN,
        image_std=STD,
    ).save_pretrained(folder)
    return model.eval()


def write_siglip(folder: Path) -> SiglipModel:
    """A small SigLIP with random weights, its tokenizer and its preprocessor."""
    torch.manual_seed(5)
    text = {**SIZES, "vocab_size": 11, "max_position_embeddings": 16, "num_hidden_layers": 2}
    vision = {**SIZES, "image_size": 64, "patch_size": 16, "num_hidden_layers": 4}
    model = SiglipModel(SiglipConfig(text_config=text, vision_config=vision))
    model.save_pretrained(folder)
    word_tokenizer().save_pretrained(folder)
    SiglipImageProcessor(
        size={"height": 64, "width": 64}, image_mean=MEAN, image_std=STD
    ).save_pretrained(folder)
    return model.eval()


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, CLIPModel]:
    folder = tmp_path_factory.mktemp("clip")
    return folder, write_clip(folder)


@pytest.fixture(scope="session")
def siglip(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SiglipModel]:
    folder = tmp_path_factory.mktemp("siglip")
    return folder, write_siglip(folder)


def write_biomedclip(folder: Path, text_config: BertConfig) -> Any:
    """A small model of BiomedCLIP's kind, written by open_clip itself; the model, for comparison.

    open_clip is shown the text model's config in a folder; what it writes names the hub, as
    BiomedCLIP does, and has no config.json.
    """
    torch.manual_seed(6)
    shown = folder.with_name(f"{folder.name}-text")
    text_config.save_pretrained(shown)
    (shown / "vocab.txt").write_text("\n".join(BERT_WORDS))
    BertTokenizerFast(str(shown / "vocab.txt")).save_pretrained(shown)
    settings: dict[str, Any] = {
        "embed_dim": 24,
        "vision_cfg": {
            "timm_model_name": "test_vit",
            "timm_model_pretrained": False,
            "timm_pool": "",
            "timm_proj": "linear",
            "image_size": 160,
        },
        "text_cfg": {
            "hf_model_name": str(shown),
            "hf_model_pretrained": False,
            "hf_tokenizer_name": str(shown),
            "hf_proj_type": "mlp",
            "hf_pooler_type": "cls_last_hidden_state_pooler",
            "context_length": 256,
        },
    }
    clip = open_clip.CustomTextCLIP(**settings)
    open_clip.set_model_preprocess_cfg(
        clip,
        {
            "mean": (0.48, 0.45, 0.4),
            "std": (0.26, 0.25, 0.27),
            "interpolation": "bicubic",
            "resize_mode": "shortest",
        },
    )
    tokenizer = open_clip.tokenizer.HFTokenizer(str(shown), context_length=256)
    hub = "microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract"
    named = {**settings["text_cfg"], "hf_model_name": hub, "hf_tokenizer_name": hub}
    save_for_hf(clip, tokenizer, {**settings, "text_cfg": named}, str(folder))
    (folder / "open_clip_model.safetensors").unlink()  # BiomedCLIP's weights are a .bin
    clip.tokenizer = tokenizer
    return clip.eval()


@pytest.fixture(scope="session")
def biomedclip(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """As wide as BERT base, but of one shallow layer."""
    folder = tmp_path_factory.mktemp("models") / "biomedclip"
    config = BertConfig(
        vocab_size=10, hidden_size=768, num_attention_heads=12, num_hidden_layers=1,
        intermediate_size=32, max_position_embeddings=256,
    )  # fmt: skip
    return folder, write_biomedclip(folder, config)


@pytest.fixture(scope="session")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A BERT whose shapes do not tell its heads, nor that its activation is a ReLU."""
    folder = tmp_path_factory.mktemp("models") / "narrow"
    config = BertConfig(
        vocab_size=10, hidden_size=32, num_attention_heads=8, num_hidden_layers=2,
        intermediate_size=48, max_position_embeddings=256, hidden_act="relu",
    )  # fmt: skip
    return folder, write_biomedclip(folder, config)


def write_open_clip(folder: Path, vision_cfg: dict[str, Any]) -> Any:
    """A small model with open_clip's own text tower and tokenizer, written as open_clip does."""
    torch.manual_seed(7)
    text_cfg = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 4, "layers": 2}
    settings = {"embed_dim": 24, "vision_cfg": vision_cfg, "text_cfg": text_cfg}
    custom = "timm_model_name" in vision_cfg  # else both towers share one module, as OpenAI's do
    clip = open_clip.CustomTextCLIP(**settings) if custom else open_clip.CLIP(**settings)
    open_clip.set_model_preprocess_cfg(clip, {"mean": tuple(MEAN), "std": tuple(STD)})
    folder.mkdir(parents=True)
    stored = {**settings, "custom_text": custom}
    save_config_for_hf(clip, folder / "open_clip_config.json", stored)
    save_file(clip.state_dict(), folder / "open_clip_model.safetensors")
    return clip.eval()


OPEN_CLIP = {
    "vit": {"layers": 4, "width": 32, "head_width": 8, "patch_size": 16, "image_size": 64},
    "resnet": {"layers": [1, 1, 1, 1], "width": 8, "head_width": 32, "image_size": 64},
    "convnext": {"timm_model_name": "test_convnext", "timm_pool": "", "image_size": 160},
    "siglip": {
        "timm_model_name": "test_vit3", "timm_pool": "map", "timm_proj": "linear",
        "image_size": 160,
    },
}  # fmt: skip


@pytest.fixture(scope="session")
def open_clip_model(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str], tuple[Path, Any]]:
    """A folder and its model by the kind of image tower, each written once."""
    place, written = tmp_path_factory.mktemp("open_clip"), {}

    def get(kind: str) -> tuple[Path, Any]:
        if kind not in written:
            written[kind] = place / kind, write_open_clip(place / kind, OPEN_CLIP[kind])
        return written[kind]

    return get


@pytest.fixture(scope="session")
def timm_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, Any]]:
    """A folder and its network by timm's name, written by timm, classifier and all."""
    place, written = tmp_path_factory.mktemp("timm"), {}

    def get(name: str) -> tuple[Path, Any]:
        if name not in written:
            torch.manual_seed(8)
            net = timm.create_model(name, num_classes=5).eval()
            save_timm(net, place / name, safe_serialization="both")
            written[name] = place / name, net
        return written[name]

    return get


@pytest.fixture
def tower_name(request: pytest.FixtureRequest) -> str:
    """The image tower's name for "LIBRARY KIND"."""
    library, _, kind = request.param.partition(" ")
    if library in ("open_clip", "timm"):
        folder: Path = request.getfixturevalue(f"{library}_model")(kind)[0]
    else:
        folder = request.getfixturevalue(kind or library)[0]
    return f"{'open_clip' if library == 'biomedclip' else library}:{folder}"
