"""The recipe: everything an experiment depends on, typed and validated, one section per stage.

Each section is the frozen settings of one component and is handed to it whole; no component sees
the recipe of another. `dfray.recipe` reads one from YAML; `Recipe.fingerprint()` names its content.
Sections import nothing but pydantic, so that reading a recipe costs milliseconds.
"""

from dfray.config.batches import AffineSection, AugmentSection, BatchesSection, SelfBlendSection
from dfray.config.data import ClusterSection, CorpusSection, DemoSection, FacesSection
from dfray.config.evaluation import EvaluationSection, WantedRate
from dfray.config.model import (
    Deviations,
    HypersphereSection,
    Levels,
    MetricSection,
    ModelSection,
    ObjectiveSection,
    TripletSection,
)
from dfray.config.recipe import Recipe
from dfray.config.registry import GatesSection, RegistrySection
from dfray.config.search import ParameterSection, SearchSection
from dfray.config.section import Section
from dfray.config.training import TrainingSection

__all__ = [
    "AffineSection",
    "AugmentSection",
    "BatchesSection",
    "ClusterSection",
    "CorpusSection",
    "DemoSection",
    "Deviations",
    "EvaluationSection",
    "FacesSection",
    "GatesSection",
    "HypersphereSection",
    "Levels",
    "MetricSection",
    "ModelSection",
    "ObjectiveSection",
    "ParameterSection",
    "Recipe",
    "RegistrySection",
    "SearchSection",
    "Section",
    "SelfBlendSection",
    "TrainingSection",
    "TripletSection",
    "WantedRate",
]
