"""Numbers in words."""

from redistil.stages.report.numbers import wording


def test_numbers_in_words():
    assert (wording.number(0.12345), wording.number(None)) == ("0.123", "–")
    assert (wording.signed(0.0104), wording.signed(-0.0104)) == ("+0.010", "\N{MINUS SIGN}0.010")
    assert (wording.p_value(0.0009), wording.p_value(0.04), wording.p_value(None)) == (
        "< 0.001",
        "0.040",
        "–",
    )
