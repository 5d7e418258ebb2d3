"""Training: one configuration, one split by date, one look at the test rows."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, ClassVar
from uuid import uuid4

import numpy as np
import pandas as pd
import pandera.pandas as pa
import xgboost as xgb
import yaml
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, with_config
from rich.console import Console
from rich.progress import Progress, TaskID
from typing_extensions import TypedDict

from nba_ml import artefact, evaluation, model_card, registry, settings, spool
from nba_ml.artefact import FeatureSet, Manifest, feature_matrix, predict
from nba_ml.evaluation import BASELINES, Levels
from nba_ml.settings import Home, UserError
from nba_ml.store import open_store, resolve
from nba_ml.warehouse import Warehouse, connect

UNREPORTED = "without_report"  # the population of all rows, as if nobody knew who plays
AGREEMENT = 1.5  # points, between the evaluated and the refitted model
_STRICT = ConfigDict(extra="forbid", strict=True)
_PARAMETERS: dict[str, Any] = {
    **dict.fromkeys(("max_depth", "max_leaves", "max_bin"), int),
    **dict.fromkeys(("learning_rate", "min_child_weight", "subsample"), float),
    **dict.fromkeys(("colsample_bytree", "colsample_bylevel"), float),
    **dict.fromkeys(("colsample_bynode", "lambda", "alpha", "gamma"), float),
    **dict.fromkeys(("tree_method", "grow_policy"), str),
}
Parameters = with_config(_STRICT)(TypedDict("Parameters", _PARAMETERS, total=False))


@dataclass(frozen=True)
class Window:
    """First and last game date of the rows that are split; no end is today."""

    __pydantic_config__: ClassVar = _STRICT
    start: date
    end: date | None


@dataclass(frozen=True)
class Shares:
    """Shares of the rows; they sum to 1."""

    __pydantic_config__: ClassVar = _STRICT
    train: float
    validation: float
    test: float


@dataclass(frozen=True)
class Config:
    """What a training run depends on besides its rows and libraries."""

    __pydantic_config__: ClassVar = _STRICT
    feature_version: str
    window: Window
    earlier_seasons: bool
    split: Shares
    objective: str
    parameters: Parameters
    num_boost_round: Annotated[int, Field(gt=0)]
    early_stopping_rounds: Annotated[int, Field(gt=0)]
    seed: int
    min_prior_games: Annotated[int, Field(ge=0)]
    unreported_share: Annotated[float, Field(ge=0, le=1)] = 0.0

    def as_json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(registry.canonical(asdict(self)))
        return found


def read_config(path: Path) -> Config:
    """Read `path` strictly: unknown or absent keys and wrong types are errors."""
    try:
        found = json.dumps(yaml.safe_load(path.read_text()), default=str)
        config = TypeAdapter(Config).validate_json(found)
    except FileNotFoundError:
        raise UserError(f"There is no configuration {path}; see --config.") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path} is no YAML: {error}") from error
    except ValidationError as error:
        reasons = [
            f"  {'.'.join(map(str, e['loc']))}: {e['msg']}, found {e['input']!r}"
            for e in error.errors()
        ]
        raise UserError(f"{path} is refused:\n" + "\n".join(reasons)) from None
    shares = asdict(config.split)
    if abs(sum(shares.values()) - 1) > 1e-9 or min(shares.values()) <= 0:
        raise UserError(f"{path}: split {shares} must be positive shares of 1.")
    if config.window.end and config.window.end <= config.window.start:
        raise UserError(f"{path}: window ends {config.window.end}, before it starts.")
    return config


def read_features(warehouse: Warehouse, version: str) -> pd.DataFrame:
    """The catalogue of one feature version in its order: feature_name, range_min,
    range_max and requires.

    Raises UserError when the version has no features.
    """
    catalog = warehouse.read(
        "select feature_name, range_min, range_max, requires from feature_catalog"
        " where feature_version = ? order by feature_order",
        [version],
    )
    if catalog.empty:
        raise UserError(
            f"feature_catalog has no feature of version {version}. "
            "Run: dbt build -s feature_catalog, or change feature_version."
        )
    return catalog


def feature_set(version: str, catalog: pd.DataFrame) -> FeatureSet:
    """The features that `read_features` found."""
    reported = catalog["feature_name"][catalog["requires"] == "availability"]
    return FeatureSet(version, tuple(catalog["feature_name"]), tuple(reported))


def read_build(warehouse: Warehouse) -> dict[str, Any]:
    """Source: build_info. Its `as_of` is the clock's when that is earlier: a clock in
    the past hides what the tables have known since.
    """
    [build] = warehouse.read("select * from build_info").to_dict("records")
    return build | {"as_of": min(settings.clock(), build["as_of"])}


def read_frame(warehouse: Warehouse, config: Config, as_of: datetime) -> pd.DataFrame:
    """Training rows with target, baselines and season phase, in (date, game, player)
    order: games before the date of `as_of`, naive UTC. Points, minutes and features in
    the units of feature_catalog.
    """
    start = date.min if config.earlier_seasons else config.window.start
    known = settings.league_date(as_of) - timedelta(days=1)
    end = min(config.window.end or known, known)
    frame = warehouse.read(
        f"select training_set.*, {', '.join(BASELINES)}, phases.season_phase"
        f" from training_set_{config.feature_version} as training_set"
        " left join baseline_predictions as baselines"
        " on training_set.game_id = baselines.game_id"
        " and training_set.player_lookup = baselines.player_lookup"
        " left join season_phases as phases"
        " on training_set.season_year = phases.season_year"
        " and training_set.game_date between phases.first_date and phases.last_date"
        " where games_played_prior >= ? and training_set.game_date between ? and ?"
        " order by training_set.game_date, training_set.game_id,"
        " training_set.player_lookup",
        [config.min_prior_games, start, end],
    )
    if frame.empty:
        raise UserError(
            f"training_set_{config.feature_version} has no rows between {start} and "
            f"{end}. Widen window in the configuration, or set the clock later."
        )
    return frame


def check_frame(frame: pd.DataFrame, catalog: pd.DataFrame) -> None:
    """Refuse rows that no honest build produces: one UserError with every reason."""
    columns = {}
    for name, low, high, _ in catalog.itertuples(index=False):
        checks = [
            pa.Check(pd.api.types.is_numeric_dtype, error="is not a number"),
            pa.Check(lambda s: ~np.isinf(s.astype(float)), error="is infinite"),
        ]
        if not pd.isna(low):
            checks.append(pa.Check.ge(low, error=f"is below {low:g}"))
        if not pd.isna(high):
            checks.append(pa.Check.le(high, error=f"is above {high:g}"))
        columns[name] = pa.Column(checks=checks, nullable=True)
    columns["target_points"] = pa.Column(checks=pa.Check.in_range(0, 110))
    mean_form = pa.Check(
        lambda f: 5 <= f["points_avg_last_10"].mean() <= 25,
        error="mean of points_avg_last_10 is outside 5..25",
    )
    schema = pa.DataFrameSchema(
        columns, checks=mean_form, unique=["game_id", "player_lookup"]
    )
    try:
        schema.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as error:
        cases = error.failure_cases
        reasons = []
        for (column, check), group in cases.groupby(["column", "check"], dropna=False):
            example = group["failure_case"].iloc[0]
            reasons.append(f"  {column}: {check} ({len(group)} cases, e.g. {example})")
        raise UserError(
            "The training rows are refused:\n" + "\n".join(reasons)
        ) from error


@dataclass(frozen=True)
class Split:
    """Three parts of one frame with no date on two sides; `extra` is earlier rows."""

    train: pd.DataFrame
    validation: pd.DataFrame
    test: pd.DataFrame
    extra: int = 0

    def __post_init__(self) -> None:
        for name, part in self.parts.items():
            if part.empty:
                raise UserError(
                    f"The split leaves no {name} rows; widen the window or the share."
                )
        days = [part["game_date"] for part in self.parts.values()]
        if not all(one.max() < later.min() for one, later in pairwise(days)):
            raise UserError(f"The split overlaps: {self.described()}")

    @property
    def parts(self) -> dict[str, pd.DataFrame]:
        return {"train": self.train, "validation": self.validation, "test": self.test}

    def described(self) -> dict[str, Any]:
        """Rows and dates of each part."""
        return {
            name: {
                "rows": len(part),
                "first_date": f"{part['game_date'].min():%Y-%m-%d}",
                "last_date": f"{part['game_date'].max():%Y-%m-%d}",
            }
            for name, part in self.parts.items()
        } | {"extra_training_rows": self.extra}


def split(
    frame: pd.DataFrame, config: Config, test: pd.DataFrame | None = None
) -> Split:
    """Cut at the date boundaries where the cumulative share of rows is reached.

    Rows before the window, if any, are extra training rows and count for no share.
    With a `test` of its own, `frame` is shared by training and validation alone.
    """
    day = frame["game_date"]
    inside = day >= pd.Timestamp(config.window.start)
    share = day[inside].value_counts().sort_index().cumsum() / inside.sum()
    edge = config.split.train, config.split.train + config.split.validation
    if test is not None:
        edge = edge[0] / edge[1], 1.0
    part = day.map(pd.Series(np.searchsorted(edge, share - 1e-9), index=share.index))
    return Split(
        train=frame[~inside | (part == 0)],
        validation=frame[part == 1],
        test=frame[part == 2] if test is None else test,
        extra=int((~inside).sum()),
    )


def fit(
    config: Config,
    features: FeatureSet,
    train: pd.DataFrame,
    validation: pd.DataFrame,
    label: str = "training",
) -> xgb.Booster:
    """Fit with early stopping on `validation`; only trees up to the best are kept."""
    known = _matrix(train, features, config)
    held_out = _matrix(validation, features, config, reference=known)
    with _bar(label, config.num_boost_round) as bar:
        booster = xgb.train(
            _parameters(config),
            known,
            num_boost_round=config.num_boost_round,
            evals=[(held_out, "validation")],
            early_stopping_rounds=config.early_stopping_rounds,
            verbose_eval=False,
            callbacks=[bar],
        )
    return booster[: booster.best_iteration + 1]


def refit(
    config: Config, features: FeatureSet, frame: pd.DataFrame, trees: int
) -> xgb.Booster:
    """Fit `trees` trees on all of `frame`, nothing held out."""
    with _bar("refit on all rows", trees) as bar:
        return xgb.train(
            _parameters(config),
            _matrix(frame, features, config),
            num_boost_round=trees,
            callbacks=[bar],
        )


def _parameters(config: Config) -> dict[str, Any]:
    return {
        **config.parameters,
        "objective": config.objective,
        "eval_metric": "mae",
        "seed": config.seed,
        "nthread": os.cpu_count() or 1,
    }


def _matrix(
    frame: pd.DataFrame,
    features: FeatureSet,
    config: Config,
    reference: xgb.DMatrix | None = None,
) -> xgb.QuantileDMatrix:
    """Rows of `frame`, and a share of them once more as if nobody had reported who
    plays: so that the model knows what to make of a slate without a report.
    """
    if features.reported:
        again = frame.sample(frac=config.unreported_share, random_state=config.seed)
        frame = pd.concat([frame, features.unreported(again)])
    return xgb.QuantileDMatrix(
        feature_matrix(frame, features.names),
        label=frame["target_points"].to_numpy(float),
        feature_names=list(features.names),
        max_bin=config.parameters.get("max_bin", 256),
        ref=reference,
    )


class _bar(xgb.callback.TrainingCallback):
    """A progress bar on stderr, one step per tree."""

    def __init__(self, label: str, total: int) -> None:
        self.progress = Progress(console=Console(stderr=True), transient=True)
        self.task: TaskID = self.progress.add_task(label, total=total)

    def __enter__(self) -> _bar:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        self.progress.update(self.task, completed=epoch + 1)
        return False


@dataclass(frozen=True)
class Trained:
    """A registered model; not new when it made training unnecessary."""

    model_id: str
    manifest: Manifest
    path: str
    is_new: bool = True
    is_synced: bool = True
    notes: list[str] = field(default_factory=list)


def train(
    home: Home,
    config: Config,
    bump: str | None = None,
    if_changed: bool = False,
    force: bool = False,
) -> Trained:
    """Train, evaluate once, refit and register one model.

    Source: training_set, baseline_predictions, season_phases, feature_catalog
    and build_info. The warehouse is read before and written after, never held.
    Raises UserError; then nothing is registered and no file is left.
    """
    warehouse = connect(home)
    catalog = read_features(warehouse, config.feature_version)
    features = feature_set(config.feature_version, catalog)
    build = read_build(warehouse)
    as_of = build["as_of"]
    frame = read_frame(warehouse, config, as_of)
    content = frame.to_parquet(index=False)
    candidate = registry.Candidate(
        feature_version=features.version,
        algorithm=artefact.ALGORITHM,
        features_hash=features.hash,
        config=registry.canonical(config.as_json()),
        training_frame_sha256=hashlib.sha256(content).hexdigest(),
        library_versions=registry.canonical(library_versions()),
    )
    if if_changed:
        for model in registry.registered(home):
            store, name = resolve(home, model.location)
            if model.candidate == candidate and name in store.names():
                found = artefact.read_manifest(store, name)
                return Trained(model.model_id, found, store.uri(name), is_new=False)
    check_frame(frame, catalog)
    parts = split(frame, config)
    slate, slate_name = _slate(warehouse, config, parts.test)
    parents: list[registry.Registered] = []

    def choose(taken: set[artefact.Version]) -> artefact.Version:
        parents[:] = registry.registered(home)
        return registry.next_version(parents, candidate, taken, bump, force)

    def ids() -> set[str]:
        return {model.model_id for model in registry.registered(home)}

    store = open_store(home)
    with artefact.reserve(store, ids, choose) as (version, name, generation):
        fitted = fit(config, features, parts.train, parts.validation)
        trees = fitted.num_boosted_rounds()
        levels = Levels.measure(
            predict(fitted, features.names, parts.validation),
            parts.validation["target_points"].to_numpy(float),
        )
        rows = parts.test.assign(model=predict(fitted, features.names, parts.test))
        graded = rows.dropna(subset=list(BASELINES))
        if graded.empty:
            raise UserError(
                "No test row has all four baselines, so nothing can be compared. "
                "Run: dbt build -s baseline_predictions"
            )
        found = evaluation.metrics(graded, levels, config.seed)
        if features.reported:
            blind = predict(fitted, features.names, features.unreported(graded))
            everybody = {UNREPORTED: np.full(len(graded), True)}
            blind_rows = graded.assign(model=blind)
            found += evaluation.metrics(blind_rows, levels, config.seed, everybody)
        served = refit(config, features, frame, trees)
        before, after = (predict(b, features.names, slate) for b in (fitted, served))
        agreement = float(np.abs(before - after).mean())
        if agreement > AGREEMENT:
            raise UserError(
                f"The refitted model differs from the evaluated one by {agreement:.2f} "
                f"points on {slate_name}, more than {AGREEMENT}: what was measured is "
                "not what would be served. Look for rows that changed the fit."
            )
        manifest = Manifest(
            model_id=version.model_id,
            model_version=str(version),
            algorithm=artefact.ALGORITHM,
            feature_version=features.version,
            feature_names=list(features.names),
            features_hash=features.hash,
            library_versions=library_versions(),
            config=config.as_json(),
            training={
                "start": f"{frame['game_date'].min():%Y-%m-%d}",
                "end": f"{frame['game_date'].max():%Y-%m-%d}",
                "rows": len(frame),
                "frame_sha256": candidate.training_frame_sha256,
            },
            evaluation={
                "split": parts.described(),
                "trees": trees,
                "threads": _parameters(config)["nthread"],
                "dropped_test_rows": len(rows) - len(graded),
            },
            refit={
                "trees": trees,
                "agreement_rows": slate_name,
                "agreement_mae": agreement,
            },
            metrics=found,
            importance=_importance(served, features),
            levels=asdict(levels),
            parent_model_id=parents[-1].model_id if parents else None,
            created_at=settings.clock().isoformat(),
            created_by=registry.user(),
            as_of=as_of.isoformat(),
            dbt_invocation_id=str(build["dbt_invocation_id"]),
            git_commit=git_commit(),
        )
        manifest = artefact.save(store, name, generation, served, manifest, content)
        location = store.uri(name).removeprefix(f"{home.models}/")
        events = _events(manifest, candidate, location, frame, graded)
        written = spool.write(home.spool, events)
    is_synced, notes = spool.try_sync(home, written)
    if is_synced:
        notes += model_card.write_missing(home)[1]
    else:
        notes.append("Once it is there, nba-ml sync writes the model card, too.")
    return Trained(
        manifest.model_id, manifest, store.uri(name), is_synced=is_synced, notes=notes
    )


def _slate(
    warehouse: Warehouse, config: Config, test: pd.DataFrame
) -> tuple[pd.DataFrame, str]:
    """Rows on which evaluated and served model must agree, and their name."""
    store = f"feature_store_{config.feature_version}"
    slate = warehouse.read(
        f"select * from {store} where is_scheduled and season_type = 'regular'"
        " and games_played_prior >= ?"
        " qualify game_date = min(game_date) over ()",
        [config.min_prior_games],
    )
    if len(slate):
        return slate, f"the slate of {slate['game_date'].max():%Y-%m-%d}"
    last = test[test["game_date"] == test["game_date"].max()]
    day = f"{last['game_date'].max():%Y-%m-%d}"
    return last, f"the last test date {day}, as no game is scheduled"


def _importance(booster: xgb.Booster, features: FeatureSet) -> dict[str, float]:
    gains = booster.get_score(importance_type="total_gain")
    total = sum(gains.values()) or 1.0
    shares = {name: float(gains.get(name, 0.0) / total) for name in features.names}
    return dict(sorted(shares.items(), key=lambda pair: -pair[1]))


def _events(
    manifest: Manifest,
    candidate: registry.Candidate,
    location: str,
    frame: pd.DataFrame,
    graded: pd.DataFrame,
) -> list[spool.Event]:
    same = ["artifact_sha256", "parent_model_id", "git_commit", "dbt_invocation_id"]
    details = {"evaluation": manifest.evaluation, "refit": manifest.refit}
    trained = registry.model_event(
        "trained",
        manifest.model_id,
        at=datetime.fromisoformat(manifest.created_at),
        **asdict(candidate),
        **{name: getattr(manifest, name) for name in [*same, "as_of"]},
        **{f"training_{k}": manifest.training[k] for k in ("start", "end", "rows")},
        num_features=len(manifest.feature_names),
        feature_list=manifest.feature_names,
        gcs_path=location,
        details=registry.canonical(details),
    )
    importance = [
        {"feature_name": name, "gain_share": share, "importance_rank": rank}
        for rank, (name, share) in enumerate(manifest.importance.items(), start=1)
    ]
    interval = Levels(**manifest.levels).apply(graded["model"].to_numpy(float))
    tested = graded[["game_id", "player_lookup"]].assign(
        game_date=graded["game_date"].dt.strftime("%Y-%m-%d"),
        predicted_points=graded["model"],
        actual_points=graded["target_points"].astype("int64"),
        **interval,
    )
    baselines = evaluation.feature_baselines(frame, manifest.feature_names)
    rows = {
        "model_metrics": manifest.metrics,
        "feature_baselines": baselines,
        "feature_importance": importance,
        "test_predictions": tested.to_dict("records"),
    }
    of_model = {"model_id": manifest.model_id}
    return [trained] + [
        spool.Event(table, {"event_id": str(uuid4()), **of_model, **row})
        for table, found in rows.items()
        for row in found
    ]


def library_versions() -> dict[str, str]:
    """Versions that a model's trees and scores depend on."""
    return {
        "python": ".".join(platform.python_version_tuple()[:2]),
        **{library.__name__: library.__version__ for library in (np, pd, xgb)},
    }


def git_commit() -> str | None:
    """The commit of this checkout, `-dirty` when changed; None outside of git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(
            command, cwd=settings.PROJECT, capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
