"""Stand-in for dbt's graph: two versions of a feature store with two features each."""

from types import SimpleNamespace


def _feature(name: str) -> SimpleNamespace:
    return SimpleNamespace(
        name=name,
        data_type="float64",
        description="A feature.",
        meta={
            "feature": {
                "group": "group",
                "unit": "unit",
                "window": "window",
                "calculation": "calculation",
                "range_min": 0,
                "range_max": 1,
                "null_means": "never",
                "known_at": "schedule",
                "requires": "availability",
                "example": 0,
                "source_model": "model",
            }
        },
    )


nodes = {
    f"feature_store.v{version}": SimpleNamespace(
        resource_type="model",
        name="feature_store",
        alias=f"feature_store_v{version}",
        version=version,
        columns={name: _feature(name) for name in ("is_home", "pace")},
    )
    for version in (1, 2)
}
sources: dict = {}
