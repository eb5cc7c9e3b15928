"""Findings: what the tasks of one evaluation answered, from which scores and report are made."""

from __future__ import annotations

from dataclasses import dataclass, field

from regionmed.evaluation import (
    grounding_scores,
    linear_probe,
    probes,
    region_retrieval,
    retrieval,
    vqa_scores,
    zero_shot_scores,
)
from regionmed.evaluation.grounding import GroundingAnswers
from regionmed.evaluation.grounding_scores import score_grounding
from regionmed.evaluation.linear_probe import LinearProbe, score_linear_probe
from regionmed.evaluation.outcomes import Outcomes
from regionmed.evaluation.part import Part
from regionmed.evaluation.probes import Probes, score_probes
from regionmed.evaluation.region_confidence import RegionConfidence, score_selective
from regionmed.evaluation.region_retrieval import RegionRetrieval, score_region_retrieval
from regionmed.evaluation.region_scores import region_outcomes, score_regions
from regionmed.evaluation.regions import RegionAnswers
from regionmed.evaluation.retrieval import Retrieval, score_retrieval
from regionmed.evaluation.score import Score
from regionmed.evaluation.vqa import VqaAnswers
from regionmed.evaluation.vqa_scores import score_vqa
from regionmed.evaluation.zero_shot import PromptAnswers
from regionmed.evaluation.zero_shot_scores import score_prompts


@dataclass
class Findings:
    """Answers of every task, in the order of the sets' names."""

    parts: list[Part] = field(default_factory=list)
    regions: list[RegionAnswers] = field(default_factory=list)
    grounding: list[GroundingAnswers] = field(default_factory=list)
    retrieval: list[Retrieval] = field(default_factory=list)
    prompts: list[PromptAnswers] = field(default_factory=list)
    vqa: list[VqaAnswers] = field(default_factory=list)
    region_retrieval: list[RegionRetrieval] = field(default_factory=list)
    linear_probes: list[LinearProbe] = field(default_factory=list)
    probes: list[Probes] = field(default_factory=list)
    confidence: list[RegionConfidence] = field(default_factory=list)

    def scores(self) -> list[Score]:
        """All scores, task by task."""
        return [
            *score_regions(self.regions),
            *score_grounding(self.grounding),
            *(score for found in self.retrieval for score in score_retrieval(found)),
            *(score for found in self.prompts for score in score_prompts(found)),
            *(score for found in self.vqa for score in score_vqa(found)),
            *(score for found in self.region_retrieval for score in score_region_retrieval(found)),
            *score_linear_probe(self.linear_probes),
            *score_probes(self.probes),
            *score_selective(self.confidence),
        ]

    def outcomes(self) -> list[Outcomes]:
        """What every item earned, for pairing this model with another."""
        return [
            *region_outcomes(self.regions),
            *(one for found in self.grounding for one in grounding_scores.outcomes_of(found)),
            *(one for found in self.retrieval for one in retrieval.outcomes_of(found)),
            *(one for found in self.prompts for one in zero_shot_scores.outcomes_of(found)),
            *(one for found in self.vqa for one in vqa_scores.outcomes_of(found)),
            *(
                one
                for found in self.region_retrieval
                for one in region_retrieval.outcomes_of(found)
            ),
            *linear_probe.outcomes_of(self.linear_probes),
            *probes.outcomes_of(self.probes),
        ]
