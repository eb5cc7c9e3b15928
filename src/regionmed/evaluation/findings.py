"""Findings: what the tasks of one evaluation answered, from which scores and report are made."""

from __future__ import annotations

from dataclasses import dataclass, field

from regionmed.evaluation.grounding import GroundingAnswers
from regionmed.evaluation.grounding_scores import score_grounding
from regionmed.evaluation.part import Part
from regionmed.evaluation.region_scores import score_regions
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

    def scores(self) -> list[Score]:
        """All scores: regions, grounding, retrieval, prompts, questions."""
        return [
            *score_regions(self.regions),
            *score_grounding(self.grounding),
            *(score for found in self.retrieval for score in score_retrieval(found)),
            *(score for found in self.prompts for score in score_prompts(found)),
            *(score for found in self.vqa for score in score_vqa(found)),
        ]
