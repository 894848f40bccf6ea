"""Versions registered before the scorer moved still find it where they import it from."""

from dfray.serving.scorer import MediaScorer


def test_the_scorers_old_import_path_leads_to_it():
    from dfray.registry.inference import PictureScorer

    assert PictureScorer is MediaScorer
