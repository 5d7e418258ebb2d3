from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import small_warehouse
from nba_ml import training
from nba_ml.settings import Home
from nba_simulator import league as simulator

if TYPE_CHECKING:
    from bigquery_analysis import Analysis
    from dbt_project import DbtProject


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> DbtProject:
    """A copy of the dbt project, to build in this process."""
    # here, since importing dbt takes seconds that most tests need not spend
    from dbt_project import DbtProject

    return DbtProject.copy_to(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="session")
def bigquery_project(tmp_path_factory: pytest.TempPathFactory) -> DbtProject:
    """Another copy, to compile for BigQuery."""
    from dbt_project import DbtProject

    return DbtProject.copy_to(tmp_path_factory.mktemp("bigquery_project"))


@pytest.fixture(scope="session")
def analysis(bigquery_project: DbtProject) -> Analysis:
    """What Google's analyzer says about all SQL of the project, all of it built."""
    import bigquery_analysis

    as_declared = bigquery_analysis.as_declared
    return bigquery_analysis.analyse(bigquery_project, as_declared, is_built=True)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A small warehouse; copy it, never change it."""
    home = Home(tmp_path_factory.mktemp("built"))
    small_warehouse.build(home)
    return home


@pytest.fixture(scope="session")
def trained(
    built: Home, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Home, training.Trained]:
    """The same with one registered model; copy it, never change it."""
    home = Home(tmp_path_factory.mktemp("trained"))
    shutil.copy(built.warehouse, home.warehouse)
    return home, training.train(home, small_warehouse.config())


@pytest.fixture(scope="session")
def watched(built: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The small warehouse at noon of its slate, with what watches models; copy it."""
    home = Home(tmp_path_factory.mktemp("watched"))
    shutil.copy(built.warehouse, home.warehouse)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NBA_ML_AS_OF", small_warehouse.NOON)
        small_warehouse.build_watched(home)
    return home


@pytest.fixture
def home(built: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A state folder of one's own, no model in it, current for the commands."""
    shutil.copy(built.warehouse, tmp_path / "warehouse.duckdb")
    monkeypatch.setenv("NBA_ML_HOME", str(tmp_path))
    return Home(tmp_path)


@pytest.fixture
def trained_home(
    trained: tuple[Home, training.Trained],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Home:
    """A state folder of one's own with one registered model."""
    shutil.copytree(trained[0].root, tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("NBA_ML_HOME", str(tmp_path))
    return Home(tmp_path)


@pytest.fixture(scope="session")
def simulated_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Raw files of three simulated seasons, seed 7; copy them, never change them."""
    home = Home(tmp_path_factory.mktemp("simulated"))
    simulator.simulate(home.raw)
    return home
