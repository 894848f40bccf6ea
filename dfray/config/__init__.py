"""Recipe of an experiment: typed and validated settings, one section per stage.

A section holds the frozen settings of one component, which receives it whole and no other.
`dfray.recipe` reads a recipe from YAML; `Recipe.fingerprint()` identifies its content. To add a key, add a
field with a description and, if it has one, a `Unit` to its section. Sections import only pydantic, so that
reading a recipe takes milliseconds.
"""

from dfray.config.batches import (
    AffineSection,
    AugmentSection,
    BatchesSection,
    PairShiftSection,
    SelfBlendSection,
)
from dfray.config.data import ClusterSection, CorpusSection, DemoSection, FacesSection
from dfray.config.degrade import DegradeSection
from dfray.config.evaluation import (
    BALANCED_ACCURACY,
    PASSES,
    UNFITTED_THRESHOLD,
    EvaluationSection,
    View,
    WantedRate,
)
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
    "BALANCED_ACCURACY",
    "PASSES",
    "UNFITTED_THRESHOLD",
    "AffineSection",
    "AugmentSection",
    "BatchesSection",
    "ClusterSection",
    "CorpusSection",
    "DegradeSection",
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
    "PairShiftSection",
    "ParameterSection",
    "Recipe",
    "RegistrySection",
    "SearchSection",
    "Section",
    "SelfBlendSection",
    "TrainingSection",
    "TripletSection",
    "View",
    "WantedRate",
]
