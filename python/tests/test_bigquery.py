"""The project on BigQuery's API: built by dbt-bigquery, used by Google's client.

Real BigQuery is out of reach here. An emulator answers; that the SQL is valid
GoogleSQL is shown by test_google_analyzer.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result

import nba_simulator
from bigquery_emulator import emulator
from engines import Engines
from nba_ml.cli import cli
from nba_ml.settings import Home


def invoke(engines: Engines, target: str, *arguments: str) -> Result:
    """One command of nba-ml on one engine; its own state, and the frozen clock."""
    variables = {"NBA_ML_HOME": str(engines.home.root), "NBA_ML_AS_OF": engines.as_of}
    variables |= engines.emulator.variables
    done = CliRunner().invoke(cli, [*arguments, "--target", target], env=variables)
    assert done.exit_code == 0, done.output
    return done


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    """One simulated season on both engines, the whole project built and tested."""
    home = Home(tmp_path_factory.mktemp("engines"))
    nba_simulator.simulate(home.raw, seasons=1)
    as_of = (home.raw / "as_of").read_text().strip()
    with emulator(tmp_path_factory.mktemp("emulator")) as running:
        both = Engines(home, running, as_of)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in running.variables.items():
                patch.setenv(name, value)
            invoke(both, "bigquery_emulator", "import", str(home.raw))
            both.dbt("duckdb", "build", "--exclude-resource-types", "test", "unit_test")
            both.dbt("bigquery_emulator", "build")
            yield both


def test_every_relation_has_the_same_rows_on_both_engines(engines: Engines) -> None:
    names = engines.relations()
    assert len(names) > 35
    assert [d for name in names for d in engines.differences(name)] == []


def test_a_second_build_changes_no_row(engines: Engines) -> None:
    engines.dbt("bigquery_emulator", "build", "--exclude-resource-types", "unit_test")
    assert [d for n in engines.relations() for d in engines.differences(n)] == []
