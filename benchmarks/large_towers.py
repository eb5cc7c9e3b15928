"""Towers for large_recipes.py beside it: full-sized without numbers, shrunken with random ones.

Also the painted smears that the shrunken recipes train on.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import timm
import torch
from open_clip.push_to_hf_hub import save_for_hf
from PIL import Image
from timm.models import save_for_hf as save_timm
from transformers import AutoModel, BertConfig, BertTokenizerFast

from regionmed.corpus.describe import describe
from regionmed.corpus.painted import paint_smear
from regionmed.corpus.shards import Corpus, write_corpus
from regionmed.geometry import Box, Frame, Mask
from regionmed.model.lora import add_adapters
from regionmed.model.open_clip_towers import OpenClipTower
from regionmed.model.timm_tower import TimmTower
from regionmed.model.towers import MiniLmTower
from regionmed.recipes_large import BIOMEDCLIP, VIT_B16
from regionmed.record import Provenance, Record, Region
from regionmed.training.stages import Recipe

SHORT = 32  # tokens of a text of the shrunken towers
BATCH, TIMED = 4, 2  # pictures of a shrunken step; steps timed a stage
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "red", "white", "cell", "platelet", "a"]


def full_towers(recipe: Recipe, folder: Path) -> tuple[Any, Any]:
    """The towers in their full size, on the meta device."""
    if recipe.model.image_tower == BIOMEDCLIP:
        settings = biomedclip_settings(folder / "full", "vit_base_patch16_224", 224, 256, {})
        with torch.device("meta"):
            image: Any = OpenClipTower(open_clip.CustomTextCLIP(**settings))
            text: Any = image
            add_adapters(image, image.groups(), recipe.model.lora)
    else:
        text = MiniLmTower()
        with torch.device("meta"):
            net = timm.create_model(VIT_B16.removeprefix("timm:"), num_classes=0)
            image = TimmTower(net, recipe.model.image_size)
            text.net = AutoModel.from_config(text.net.config)
    return image, text


def shrunken(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe with small random towers of the same kind, a few steps a stage."""
    torch.manual_seed(0)
    if recipe.model.image_tower == BIOMEDCLIP:
        name = f"open_clip:{write_biomedclip(folder)}"
        model = replace(recipe.model, image_tower=name, text_tower=name, image_size=160)
    else:
        save_timm(timm.create_model("test_vit"), folder / "vit", safe_serialization=True)
        model = replace(recipe.model, image_tower=f"timm:{folder / 'vit'}", image_size=160)
    stages = tuple(replace(stage, steps=1 + TIMED) for stage in recipe.stages)
    return replace(recipe, model=model, stages=stages, batch_size=BATCH, checkpoint_every=100)


def biomedclip_settings(
    place: Path, vit: str, size: int, tokens: int, bert: dict[str, int]
) -> dict[str, Any]:
    """What open_clip needs for a model of BiomedCLIP's shape; `bert` shrinks its text tower."""
    config = BertConfig(**{"vocab_size": 30_522, **bert})
    config.save_pretrained(place)
    return {
        "embed_dim": 512,
        "vision_cfg": {
            "timm_model_name": vit, "timm_model_pretrained": False, "timm_pool": "",
            "timm_proj": "linear", "image_size": size,
        },
        "text_cfg": {
            "hf_model_name": str(place), "hf_tokenizer_name": str(place),
            "hf_model_pretrained": False, "hf_proj_type": "mlp", "context_length": tokens,
            "hf_pooler_type": "cls_last_hidden_state_pooler",
        },
    }  # fmt: skip


def write_biomedclip(folder: Path) -> Path:
    """A small model of BiomedCLIP's shape in a folder, as open_clip writes it."""
    small = {"vocab_size": len(WORDS), "hidden_size": 64, "num_attention_heads": 4}
    small |= {"num_hidden_layers": 3, "intermediate_size": 128}
    text = folder / "text"
    settings = biomedclip_settings(text, "test_vit", 160, SHORT, small)
    (text / "vocab.txt").write_text("\n".join(WORDS))
    BertTokenizerFast(str(text / "vocab.txt")).save_pretrained(text)
    clip = open_clip.CustomTextCLIP(**settings)
    open_clip.set_model_preprocess_cfg(clip, {"mean": (0.5,) * 3, "std": (0.5,) * 3})
    tokenizer = open_clip.tokenizer.HFTokenizer(str(text), context_length=SHORT)
    save_for_hf(clip, tokenizer, settings, str(folder / "clip"), safe_serialization=True)
    return folder / "clip"


def paint_corpus(folder: Path, pictures: int = 8) -> Corpus:
    """Painted smears, all for training, with masks, texts and false twins."""
    chance, records = np.random.default_rng(0), []
    for number in range(pictures):
        study, stored = paint_smear(chance), io.BytesIO()
        frame = Frame("file", study.pixels.shape[1], study.pixels.shape[0])
        Image.fromarray(study.pixels).save(stored, "PNG")
        regions = tuple(
            Region(mark.label, Box(*mark.edges, frame), "mask", mask=Mask(mark.mask, frame))
            for mark in study.marks
        )
        record = Record(
            f"smears/{number}.png", "smears", f"{number}.png",
            hashlib.sha256(stored.getvalue()).hexdigest(), frame,
            Provenance("smears", "painted", synthetic=True), modality="microscopy",
            labels=tuple(sorted({region.label for region in regions})), regions=regions,
            split="train", picture=stored.getvalue(),
        )  # fmt: skip
        records.append(describe(record, {}))
    return write_corpus(records, folder, {"phrases": {}})
