"""Features of a frozen encoder, computed once and kept on disk: later epochs and runs need no encoder."""

from isthmus.training.feature_cache.cache import FeatureCache, Stats
from isthmus.training.feature_cache.upkeep import Usage, Verified, evict, usage, verify

__all__ = ["FeatureCache", "Stats", "Usage", "Verified", "evict", "usage", "verify"]
