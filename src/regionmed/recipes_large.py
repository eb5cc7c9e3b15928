"""Runs for the real thing: eight GPUs, towers of 86 million weights, corpora of millions.

`torchrun --nproc-per-node 8` starts them (docs/how-to/several-processes.md). Nobody has run them at
this size here: they run for a few steps on shrunken towers in tests/test_recipes_large.py, and
`python benchmarks/large_recipes.py` estimates their memory and time from such steps.

The batch is that of all processes together. Views are kept as pixels (a tower that is read in one
leg has no frozen stem), 150 kB each at 224 px: count on a local disk.
"""

from __future__ import annotations

from dataclasses import replace

from regionmed.model.config import ModelConfig
from regionmed.training.stages import Recipe, Stage

BIOMEDCLIP = "open_clip:hf-hub:microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224"
VIT_B16 = "timm:vit_base_patch16_224.augreg2_in21k_ft_in1k"
MEDTRINITY_PICTURES = 25_000_000  # arXiv 2408.02900

GLOBAL = Stage(
    name="global",
    steps=4_000,
    trains=("trunk", "text", "heads"),
    losses={"global": 1.0},
    learning_rate=5e-4,
    trunk_rate=1e-4,
)
# from here on the text tower stands still: what it says of every text is encoded once and kept, so
# that three false twins a text cost no forward
REGION = Stage(
    name="region",
    steps=6_000,
    trains=("trunk", "heads", "roi"),
    losses={"global": 0.3, "region": 1.0, "caption": 0.3, "ground": 1.0, "distil": 0.2},
    learning_rate=5e-4,
    trunk_rate=1e-4,
)
JOINT = replace(
    REGION,
    name="joint",
    steps=10_000,
    losses={**REGION.losses, "global": 1.0, "joined": 0.3, "hard": 0.5},
)


def biomedclip() -> Recipe:
    """BiomedCLIP base learns to read regions: adapters of rank 16, 1,024 pictures a step, bf16.

    Its own weights stay as published and are not stored again; the adapters are 20 MB.
    """
    return Recipe(
        name="biomedclip",
        model=ModelConfig(image_tower=BIOMEDCLIP, text_tower=BIOMEDCLIP, image_size=224, lora=16),
        stages=(GLOBAL, REGION, JOINT),
        batch_size=1_024,
        regions_per_picture=8,
        views=1,
        precision="bf16",
        average=0.9995,
        checkpoint_every=500,
    )


def vit_b16() -> Recipe:
    """ViT-B/16 of ImageNet-21k, all of it, beside MiniLM, its last two blocks."""
    stages = (replace(GLOBAL, trains=("trunk", "text:2", "heads")), REGION, JOINT)
    return replace(
        biomedclip(),
        name="vit_b16",
        model=ModelConfig(image_tower=VIT_B16, embedding_dim=512, image_size=224),
        stages=stages,
    )


def medtrinity() -> Recipe:
    """vit_b16 on 25 million pictures: one pass a stage, 4,096 pictures a step.

    MedTrinity's size is meant, not its files: what is published has its boxes drawn into the
    pixels. The text tower stands still throughout: 25 million texts of a tower that moves would
    have to be encoded again at every stage.
    """
    batch = 4_096
    steps = MEDTRINITY_PICTURES // batch
    whole = replace(GLOBAL, trains=("trunk", "heads"))
    return replace(
        vit_b16(),
        name="medtrinity",
        stages=tuple(replace(stage, steps=steps) for stage in (whole, REGION, JOINT)),
        batch_size=batch,
        checkpoint_every=250,
    )
