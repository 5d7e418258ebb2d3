"""Stand-in for dbt's graph: one feature store with two features."""

from types import SimpleNamespace


def _feature(name: str, order: int) -> SimpleNamespace:
    return SimpleNamespace(
        name=name,
        data_type="float64",
        description="A feature.",
        meta={
            "feature": {
                "order": order,
                "group": "group",
                "unit": "unit",
                "window": "window",
                "calculation": "calculation",
                "range_min": 0,
                "range_max": 1,
                "null_means": "never",
                "known_at": "schedule",
                "example": 0,
                "source_model": "model",
            }
        },
    )


nodes = {
    "feature_store": SimpleNamespace(
        resource_type="model",
        name="feature_store",
        alias="feature_store_v1",
        version=1,
        columns={"is_home": _feature("is_home", 1), "pace": _feature("pace", 2)},
    )
}
sources: dict = {}
