"""Prompt files are whole; a label is asked with the normalised mean of its prompts."""

from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest

from regionmed.corpus.shards import Corpus
from regionmed.errors import UsageError
from regionmed.evaluation.part import Part, open_parts
from regionmed.evaluation.prompt_files import ensemble, prompt_file, prompt_file_of, prompts_of
from regionmed.model.region_clip import RegionClip
from regionmed.record import MODALITIES


@pytest.fixture(scope="module")
def part(untrained: RegionClip, squares: Corpus) -> Part:
    return next(iter(open_parts(untrained, [squares], "test")))


@pytest.mark.parametrize("name", [*MODALITIES, "general"])
def test_every_modality_has_templates_with_one_place_and_names_without_any(name: str) -> None:
    file = prompt_file(name)
    assert file.name == f"prompts/{name}.yaml"
    assert file.templates[0] == "{}"
    templates = [*file.templates, *file.negative]
    assert all(template.count("{}") == 1 for template in templates)
    assert len(set(templates)) == len(templates)
    for phrase, synonyms in file.synonyms.items():
        assert phrase == phrase.casefold()
        assert len({phrase, *synonyms}) == 1 + len(synonyms)
        assert not any("{" in name for name in synonyms)


def test_no_file_is_without_a_modality() -> None:
    folder = files("regionmed.evaluation") / "prompts"
    assert {file.name for file in folder.iterdir()} == {
        f"{name}.yaml" for name in (*MODALITIES, "general")
    }


def test_pictures_of_two_modalities_are_asked_with_the_general_file(part: Part) -> None:
    one = part.records[0]
    assert prompt_file_of([one, one]).name == "prompts/photo.yaml"
    assert prompt_file_of([one, replace(one, modality="ct")]).name == "prompts/general.yaml"
    assert prompt_file_of([replace(one, modality=None)]).name == "prompts/general.yaml"


def test_a_label_is_asked_with_every_template_of_phrase_and_synonyms(part: Part) -> None:
    ulcers = replace(part, phrases={"u": "Foot ulcer"})
    (prompts,) = prompts_of(ulcers, ["u"])
    assert prompts.plain == prompts.positive[0] == "Foot ulcer"
    assert "a clinical photograph of diabetic foot ulcer" in prompts.positive
    assert len(prompts.positive) == 3 * 3
    assert "no ulcer of the foot" in prompts.negative


def test_a_label_that_a_file_names_needs_no_phrase_in_the_corpus(part: Part) -> None:
    films = [replace(record, modality="xray") for record in part.records]
    chest = replace(part, records=tuple(films), phrases={})
    (prompts,) = prompts_of(chest, ["Pleural_Thickening"])
    assert prompts.plain == "pleural thickening"
    assert "thickened pleura" in prompts.positive


def test_a_label_that_nobody_gave_words_to_is_one_clear_sentence(part: Part) -> None:
    message = "set 'squares': label 'odd' has no phrase in the corpus and no entry in prompts/photo"
    with pytest.raises(UsageError, match=message):
        prompts_of(part, ["bright", "odd"])


def test_the_vector_of_a_label_is_the_normalised_mean_of_its_prompts(
    untrained: RegionClip,
) -> None:
    texts = ["a bright square", "a dark square", "something else entirely"]
    alone = untrained.encode_text(texts)
    mean = alone[0] + alone[1]
    found = ensemble(untrained, [texts[:2], texts[2:]])
    np.testing.assert_allclose(found[0], mean / np.linalg.norm(mean), atol=1e-6)
    np.testing.assert_allclose(found[1], alone[2], atol=1e-6)
