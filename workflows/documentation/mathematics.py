"""A hook of mkdocs: formulas, as arithmatex leaves them, become MathML, which browsers draw without any script."""

import html
import re
from typing import Any

from latex2mathml.converter import convert

FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)


def on_page_content(content: str, **_: Any) -> str:
    """HTML of a page."""
    return FORMULA.sub(lambda m: f'<{m[1]} class="formula">{_mathml(m[3], display=m[2] == "[")}</{m[1]}>', content)


def _mathml(formula: str, *, display: bool) -> str:
    return str(convert(html.unescape(formula).strip(), display="block" if display else "inline"))
