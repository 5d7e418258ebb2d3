"""The model card says what the tables say, and its page fetches and runs nothing."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner

import small_warehouse
from nba_ml import artefact, evaluation, model_card, registry, training
from nba_ml.cli import cli
from nba_ml.settings import Home, UserError
from nba_ml.store import Folder
from nba_ml.training import Trained
from nba_ml.warehouse import DuckDB

FIRST = "xgboost_v1.0.0"
SECTIONS = [
    *("Model details", "Intended use", "Training data", "Features", "Performance"),
    *("Calibration", "Gates", "Limitations", "Ethical considerations", "Lineage"),
]
# heading of a table: its metric, what the figures are multiplied by, their digits
MEASURES = {
    "Mean absolute error": ("mae", 1, 3),
    "Bias": ("bias", 1, 3),
    "Share of predictions within 5": ("share_within_5", 100, 1),
    "Calibration": ("interval_coverage", 100, 1),
}
PREDICTORS = {
    name.replace("_", " ").capitalize(): name for name in evaluation.BASELINES
}
PREDICTORS |= {"Model": "model", "Inside the interval": "model"}
HOSTILE = (
    '<script src="http://evil">alert(1)</script> | [a](http://evil) '
    "![b](http://evil/b.png) <http://evil> `c` &lt; *d* \\ \n\n# e"
)


def tables(card: str) -> list[tuple[str, list[dict[str, str]]]]:
    """Each table of the card, with the heading above it; cells by column."""
    found = []
    for part in re.split(r"^#+ ", card, flags=re.M):
        for block in re.findall(r"(?:^\|.*\n)+", part, flags=re.M):
            header, _, *rows = [
                [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
                for line in block.splitlines()
            ]
            cells = [dict(zip(header, row, strict=True)) for row in rows]
            found.append((part.splitlines()[0], cells))
    return found


def performance(card: str) -> set[tuple[object, ...]]:
    """Every figure of the card's tables by population."""
    found: set[tuple[object, ...]] = set()
    for heading, rows in tables(card):
        measure = next((m for name, m in MEASURES.items() if name in heading), None)
        for row in rows if measure and "Population" in rows[0] else []:
            same = (row["Population"], row["N"].replace(",", ""), row["Dates"])
            for name in PREDICTORS.keys() & row.keys():
                ends = row["95 %"] if name == "Model" and "95 %" in row else "-"
                figure = row[name].removesuffix(" %").removeprefix("+")
                found.add((*same, PREDICTORS[name], measure[0], figure, ends))
            if gap := row.get("Model minus best baseline", "").replace("+", ""):
                name, figure, ends = re.fullmatch(r"(.+): (.+) \((.+)\)", gap).groups()
                predictor = PREDICTORS[name.capitalize()]
                found.add((*same, predictor, "mae_difference", figure, ends))
    return found


def measured(home: Home, model_id: str = FIRST) -> set[tuple[object, ...]]:
    """The same figures as the table has them."""
    found: set[tuple[object, ...]] = set()
    shown = {metric: form for metric, *form in MEASURES.values()}
    shown["mae_difference"] = shown["mae"]
    rows = DuckDB(home.warehouse).read(
        "select * from model_metrics where model_id = ?", [model_id]
    )
    for row in rows[rows["metric"].isin(shown)].to_dict("records"):
        scale, digits = shown[row["metric"]]
        numbers = [row["value"], row["low"], row["high"]]
        figure, low, high = (f"{scale * number:.{digits}f}" for number in numbers)
        dates = f"{row['first_date'].date()} to {row['last_date'].date()}"
        keys = (row["population"], str(row["n"]), dates, row["predictor"])
        has_ends = row["metric"] != "mae" or row["predictor"] == "model"
        ends = f"{low} to {high}" if has_ends and low != "nan" else "-"
        found.add((*keys, row["metric"], figure, ends))
    return found


def card_of(home: Home, model_id: str = FIRST) -> str:
    return (home.models / f"staging/{model_id}.card.md").read_text()


@pytest.fixture(scope="module")
def card(trained: tuple[Home, Trained]) -> str:
    """The card that training wrote."""
    return card_of(trained[0])


def test_training_writes_a_card_with_every_section(
    trained: tuple[Home, Trained], card: str
) -> None:
    home, done = trained
    assert re.findall(r"^## (.+)$", card, flags=re.M) == SECTIONS
    assert card.startswith(f"# Model card: {FIRST}\n") and done.notes == []
    for said in ("gambling", "playoffs", "fewer than 10 ", "License | MIT", "median"):
        assert said in card
    assert "box scores and the schedule only" in card
    assert not re.search(r"None|nan|NaT|Undefined|\{\{|%\}", card)
    assert (home.models / f"staging/{FIRST}.card.html").exists()
    assert artefact.taken(Folder(home.models)) == {artefact.Version(1, 0, 0)}
    assert registry.status(home)["orphans"] == []


def test_figures_are_those_of_the_table(
    trained: tuple[Home, Trained], card: str
) -> None:
    expected = measured(trained[0])
    assert performance(card) == expected and len(expected) == 11 * 17
    populations = {row[0] for row in expected}
    assert populations >= {"all", "tier_star", "home", "away", "back_to_back"}


def test_each_planted_wrong_figure_is_caught(
    trained: tuple[Home, Trained], card: str
) -> None:
    expected = measured(trained[0])
    start, end = card.index("### Mean absolute"), card.index("The confidence is")
    figures = [m for m in re.finditer(r"\d+(?=[^\d]* \|)", card) if m.start() > start]
    planted = 0
    for figure in figures:
        line = card.rindex("\n", 0, figure.start()) + 1
        if figure.start() < end and card[line] == "|":
            digit = str((int(figure[0][-1]) + 1) % 10)
            wrong = card[: figure.end() - 1] + digit + card[figure.end() :]
            assert performance(wrong) != expected, card[line : figure.end()]
            planted += 1
    assert planted > 11 * 20


def test_a_changed_metric_changes_the_card(trained_home: Home) -> None:
    before = card_of(trained_home)
    small_warehouse.change(
        DuckDB(trained_home.warehouse),
        "update model_metrics set value = value + 1, n = n + 1"
        " where population = 'tier_star' and predictor = 'rule'",
    )
    assert performance(before) != measured(trained_home)
    model_card.write(trained_home, FIRST)
    assert performance(card_of(trained_home)) == {
        # the card takes N from the row of the model
        (*row[:1], str(int(row[1]) - 1), *row[2:])
        if row[0] == "tier_star" and row[3] == "rule"
        else row
        for row in measured(trained_home)
    }


def test_parts_gates_and_calibration_are_those_of_the_tables(
    trained: tuple[Home, Trained], card: str
) -> None:
    home, done = trained
    shown = {}
    for heading, rows in tables(card):
        shown.setdefault(heading, []).append(rows)
    parts = done.manifest.evaluation["split"]
    assert {row["Part"]: row["Rows"] for row in shown["Training data"][0]} == {
        name: f"{parts[name]['rows']:,}" for name in ("train", "validation", "test")
    }
    assert [row["Share asked"] for row in shown["Training data"][0]] == [
        *("70 %", "15 %", "15 %")
    ]
    warehouse = DuckDB(home.warehouse)
    gates = warehouse.read("select gate, explanation, has_passed from model_gates")
    assert {(row["Holds"], row["Finding"]) for row in shown["Gates"][0]} == {
        ("not decided" if passed is None else "yes" if passed else "**no**", text)
        for _, text, passed in gates.astype(object)
        .where(gates.notna(), None)
        .itertuples(index=False)
    }
    levels = warehouse.read("select * from model_calibration order by confidence")
    assert len(levels) > 3
    assert [
        (
            row["Confidence"],
            row["N"],
            row["Within 5 points"],
            row["Inside the interval"],
        )
        for row in shown["Calibration"][1]
    ] == [
        (
            f"{100 * level.confidence:.1f} %",
            f"{level.n:,}",
            f"{100 * level.share_within_5:.1f} %",
            f"{100 * level.interval_coverage:.1f} %",
        )
        for level in levels.itertuples()
    ]
    trained_event = warehouse.read("select * from model_events").iloc[0]
    for name in ("training_frame_sha256", "artifact_sha256", "dbt_invocation_id"):
        assert trained_event[name] in card


def test_a_second_card_compares_importance_with_its_parent(trained_home: Home) -> None:
    assert "There is no previous model" in card_of(trained_home)
    games = small_warehouse.games()
    small_warehouse.load(trained_home.warehouse, games[games["game_date"] > "2023"])
    done = training.train(trained_home, small_warehouse.config())
    card = card_of(trained_home, done.model_id)
    assert f"previous model, {FIRST}" in card
    shown = {
        row["Feature"]: (row["Importance"], row["Previous"], row["Change"])
        for _, rows in tables(card)
        for row in rows
        if "Previous" in row
    }
    shares = {
        model_id: part.set_index("feature_name")["gain_share"]
        for model_id, part in DuckDB(trained_home.warehouse)
        .read("select * from feature_importance")
        .groupby("model_id")
    }
    own, parent = shares[done.model_id], shares[FIRST]
    assert shown == {
        name: (
            f"{100 * own[name]:.1f} %",
            f"{100 * parent[name]:.1f} %",
            f"{100 * (own[name] - parent[name]):+.1f}",
        )
        for name in small_warehouse.FEATURES
    }
    assert any(change.strip("+-0.") for _, _, change in shown.values())
    # what the parent's card says stays
    assert performance(card_of(trained_home)) == measured(trained_home)


# the page


class Page(HTMLParser):
    """What a browser would fetch or run, and the text of the cells."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.outside = re.findall(r"url\(|@import", html)
        self.tags: set[str] = set()
        self.cells: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        names = ("href", "src", "srcset", "action", "data", "poster")
        self.outside += [n for n, _ in attrs if n in names or n.startswith("on")]
        if tag in ("script", "link", "iframe", "img", "object", "base", "form"):
            self.outside.append(tag)
        if tag == "td":
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.cells:
            self.cells[-1] += data


def test_the_page_fetches_nothing_and_shows_every_figure(card: str) -> None:
    html = model_card.page(card)
    page = Page(html)
    assert page.outside == []
    assert {"table", "h2", "style"} <= page.tags
    assert 'name="viewport"' in html and "prefers-color-scheme: dark" in html
    for row in performance(card):
        assert any(row[5] in cell for cell in page.cells), row


@pytest.mark.parametrize(
    "planted",
    [
        '<img src="x.png">',
        '<a href="http://evil">a</a>',
        "<script>alert(1)</script>",
        "<style>@import 'http://evil'</style>",
        '<p onclick="x()">',
    ],
)
def test_a_planted_reference_is_caught(card: str, planted: str) -> None:
    html = model_card.page(card).replace("</body>", f"{planted}</body>")
    assert Page(html).outside != []


@pytest.mark.parametrize("column", ["created_by", "git_commit", "dbt_invocation_id"])
def test_hostile_text_stays_text(trained_home: Home, column: str) -> None:
    small_warehouse.change(
        DuckDB(trained_home.warehouse),
        f"update model_events set {column} = ?",
        [HOSTILE],
    )
    model_card.write(trained_home, FIRST)
    page = Page((trained_home.models / f"staging/{FIRST}.card.html").read_text())
    assert page.outside == []
    text = " ".join(HOSTILE.split())
    assert [cell.strip() for cell in page.cells if "evil" in cell] == [text]
    card = card_of(trained_home)
    assert re.findall(r"^## (.+)$", card, flags=re.M) == SECTIONS


# when it is written


def test_sync_writes_the_missing_cards_only(trained_home: Home) -> None:
    page = trained_home.models / f"staging/{FIRST}.card.html"
    written = page.stat().st_mtime_ns
    quiet = CliRunner().invoke(cli, ["sync"])
    assert quiet.exit_code == 0 and "Model card" not in quiet.output
    assert page.stat().st_mtime_ns == written
    page.unlink()  # the Markdown is there: a kill between the two
    result = CliRunner().invoke(cli, ["sync"])
    assert result.exit_code == 0 and f"Model card: {page}" in result.output
    assert page.exists()


def test_a_sweep_leaves_the_cards_of_registered_models(trained_home: Home) -> None:
    folder = trained_home.models / "staging"
    kept = {path.name for path in folder.iterdir()}
    assert {f"{FIRST}.card.md", f"{FIRST}.card.html"} < kept
    # another trainer died; files of its model lie about
    for end in ("lock", "json", "card.md"):
        (folder / f"xgboost_v1.0.1.{end}").touch()
    artefact.sweep(Folder(trained_home.models), lambda: {FIRST})
    assert {path.name for path in folder.iterdir()} == kept


def test_a_model_without_its_file_gets_no_card(trained_home: Home) -> None:
    for path in trained_home.models.glob("staging/*"):
        path.unlink()
    assert model_card.write_missing(trained_home) == ([], [])
    assert list(trained_home.models.glob("staging/*")) == []


def test_a_card_that_fails_is_said_and_the_model_is_registered(home: Home) -> None:
    small_warehouse.change(DuckDB(home.warehouse), "drop view model_gates")
    done = training.train(home, small_warehouse.config())
    assert done.is_synced and "dbt build -s model_gates" in done.notes[0]
    assert registry.status(home)["models"][0]["model_id"] == FIRST
    result = CliRunner().invoke(cli, ["sync"])
    assert result.exit_code == 1 and "No model card yet" in result.output


def test_a_model_trained_before_its_calibration_was_kept(trained_home: Home) -> None:
    small_warehouse.change(
        DuckDB(trained_home.warehouse),
        "update test_predictions set confidence = null, predicted_low = null,"
        " predicted_high = null",
    )
    assert "Not known: this model was trained before" in model_card.render(
        trained_home, FIRST
    )


def test_a_model_that_is_not_there_is_said(trained_home: Home, tmp_path: Path) -> None:
    for act in (model_card.render, model_card.write):
        with pytest.raises(UserError, match=f"No model xgboost_v9.*known: {FIRST}"):
            act(trained_home, "xgboost_v9.0.0")
    with pytest.raises(UserError, match="no warehouse"):
        model_card.render(replace(trained_home, root=tmp_path / "none"), FIRST)
