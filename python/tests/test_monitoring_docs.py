from __future__ import annotations

import alert_rules_page
import pytest


def test_page_has_every_rule_as_the_seed_has_it() -> None:
    text = alert_rules_page.PAGE.read_text()
    assert alert_rules_page.page(text) == text, f"Run: {alert_rules_page.COMMAND}"
    planted = text.replace("above 4.5 on 3 game days", "above 4.9 on 3 game days")
    assert alert_rules_page.page(planted) == text != planted


def test_a_rule_without_a_section_is_refused() -> None:
    text = alert_rules_page.PAGE.read_text().replace("### bias", "### bent")
    with pytest.raises(KeyError, match="bent"):
        alert_rules_page.page(text)
    head, tail = alert_rules_page.PAGE.read_text().split("### late_corrections")
    with pytest.raises(SystemExit, match="no section late_corrections"):
        alert_rules_page.page(head + tail[tail.index("\n## ") :])
