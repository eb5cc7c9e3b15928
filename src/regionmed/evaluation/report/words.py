"""What tasks, metrics, sets and controls are called on the page, and where a score stands in it."""

from __future__ import annotations

import re

from regionmed.evaluation.score import Score

TASK_TITLES = {
    "region_classification": "Regions named, from given boxes",
    "region_retrieval": "Regions found",
    "grounding": "Places found from a phrase",
    "retrieval": "Pictures and captions",
    "prompt_classification": "Whole pictures named",
    "vqa": "Questions, trained head",
    "vqa_ranking": "Questions, without training",
    "linear_probe": "Linear probe of the embeddings",
    "probe": "One word changed",
    "out_of_distribution": "Regions of other sets noticed",
}
SHORT_TITLES = {
    "region_classification": "regions named",
    "region_retrieval": "regions found",
    "grounding": "places found",
    "retrieval": "captions",
    "prompt_classification": "pictures named",
    "vqa": "questions",
    "vqa_ranking": "questions, untrained",
    "linear_probe": "linear probe",
    "probe": "one word changed",
    "out_of_distribution": "strangers noticed",
}
METRIC_TITLES = {
    "macro_accuracy": "macro accuracy",
    "accuracy": "accuracy",
    "pointing": "pointing",
    "miou": "mean overlap (IoU)",
    "cnr": "contrast to noise",
    "ap": "average precision",
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "ece": "calibration error",
    "aurc": "area under the risk",
}
SET_TITLES = {
    "mean:all": "mean over sets",
    "mean:several-labels": "mean, several labels a picture",
    "mean:one-label": "mean, one label a picture",
}
SOURCE_TITLES = {
    "given": "given",
    "jitter-10": "moved 10 %",
    "jitter-20": "moved 20 %",
    "jitter-40": "moved 40 %",
    "predicted": "predicted",
    "random": "random",
    "none": "none",
}
# The marks of the controls in the plots, in the order of the legend.
GLYPHS = {
    "majority": "▽",
    "box-only": "□",
    "whole-picture": "○",
    "blank": "◇",
    "wrong-region": "×",
    "context-free": "⊡",
    "marker": "⊕",
    "centre prior": "+",
    "question-only": "△",
    "text-only": "◁",
    "random box": "⋆",
}
# The controls that do not look where the question points; the first is written out in the tables.
RIVALS = {
    "region_classification": ("box-only", "whole-picture"),
    "region_retrieval": ("whole-picture", "box-only"),
    "grounding": ("centre prior", "blank"),
    "retrieval": ("blank",),
    "prompt_classification": ("blank",),
    "vqa": ("question-only", "blank"),
    "vqa_ranking": ("question-only", "blank"),
    "linear_probe": ("box-only",),
    "probe": ("text-only", "blank"),
}
# The figure that stands for a task where one must; prompts have no accuracy where labels join.
HEADLINE_METRICS = {
    "region_classification": ("macro_accuracy",),
    "region_retrieval": ("ap",),
    "grounding": ("pointing",),
    "retrieval": ("recall@5",),
    "prompt_classification": ("macro_accuracy", "auroc"),
    "vqa": ("accuracy",),
    "vqa_ranking": ("accuracy",),
    "linear_probe": ("macro_accuracy",),
    "probe": ("accuracy",),
    "out_of_distribution": ("auroc",),
}
UNITS = {
    "region_classification": "regions",
    "region_retrieval": "regions",
    "grounding": "phrases",
    "retrieval": "queries",
    "prompt_classification": "pictures",
    "vqa": "questions",
    "vqa_ranking": "questions",
    "probe": "pairs",
    "out_of_distribution": "regions",
}
LOWER_IS_BETTER = ("ece", "aurc")
UNBOUNDED = ("cnr",)  # has no place on an axis from 0 to 1


def number(value: float) -> str:
    """Three digits after the point, a true minus sign."""
    return f"{value:.3f}".replace("-", "−")


def signed(value: float) -> str:
    """Three digits with a plus where it gains."""
    return f"{value:+.3f}".replace("-", "−")


def metric_title(metric: str) -> str:
    """A metric in words."""
    return METRIC_TITLES.get(metric, metric.replace("@", " at ").replace("_", " "))


def set_title(name: str) -> str:
    """A set's name, or in words which mean over sets it is."""
    return SET_TITLES.get(name, name)


def qualifiers(score: Score) -> list[str]:
    """What tells a score from others of its task, set and metric, in words; without the stratum."""
    details = score.details
    found = [details[key] for key in ("direction", "target") if key in details]
    if details.get("shots", "all") != "all":
        found.append(f"{details['shots']} examples a label")
    if "iou" in details:
        found.append(f"IoU {details['iou']}")
    if score.task == "region_classification" and source_of(score) != "given":
        found.append(f"boxes {SOURCE_TITLES[source_of(score)]}")
    return [str(word) for word in found]


def stratum_title(stratum: str) -> str:
    """ "modality:xray" -> "xray", "regions:6+" -> "6+ regions"."""
    kind, colon, name = stratum.partition(":")
    if not colon:
        return kind
    if kind != "regions":
        return name
    return "1 region in the picture" if name == "1" else f"{name} regions in the picture"


def title_of(score: Score) -> str:
    """Set, stratum and qualifiers of a score: its name within its task."""
    words = [set_title(score.set), *qualifiers(score)]
    if score.stratum != "all":
        words.append(stratum_title(score.stratum))
    return ", ".join(words)


def source_of(score: Score) -> str:
    """Where a score's boxes came from: "given" where it does not say."""
    return str(score.details.get("boxes", "given"))


def counted(score: Score) -> str:
    """What `n` of a score counts, with the number: "57 regions"."""
    unit = UNITS.get(score.task, str(score.details.get("target", "answers")))
    if score.details.get("direction") == "text to region":
        unit = "phrases"
    if score.metric == "ap" and score.task == "grounding":
        unit = "regions"
    return f"{score.n:,} {unit.removesuffix('s') if score.n == 1 else unit}"


def anchor_of(score: Score) -> str:
    """The id of a score's row on the page, its own for each score."""
    words = [score.task, *qualifiers(score), score.set, score.stratum, score.metric]
    return "s-" + slug(" ".join(words))


def slug(text: str) -> str:
    """Text as an id: small letters, digits and hyphens. A plus stays told apart."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower().replace("+", " plus ")).strip("-")


def plural(count: int, word: str) -> str:
    """ "1 score", "3 scores", "1,204 regions"."""
    return f"{count:,} {word}" + ("" if count == 1 else "s")
