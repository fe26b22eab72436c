"""The report: a table in Markdown, JSON, and a plot."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from xml.sax.saxutils import escape

from benchmarks.cases import CASES, NOT_MEASURED, Case
from benchmarks.farms import HUGE, LARGE, SMALL
from benchmarks.samples import IPVSADM, KEEPALIVED, LVSCTL, Sample, grouped

Grouped = Mapping[tuple[str, str, str], Sequence[float]]
BEGIN, END = "<!-- make bench -->", "<!-- end of make bench -->"
FARMS = {size.name: str(size) for size in (SMALL, LARGE, HUGE)}
THREE_DIGITS = 999.5
COLOURS = {LVSCTL: "#2563eb", KEEPALIVED: "#94a3b8", IPVSADM: "#cbd5e1"}
LEFT, WIDTH, ROW, GAP = 330, 420, 16, 14


def write(samples: Sequence[Sample], machine: Mapping[str, str], folder: Path) -> str:
    """Write results.json, results.svg and README.md into a folder; return the table."""
    folder.mkdir(parents=True, exist_ok=True)
    found = grouped(samples)
    text = table(found, machine)
    folder.joinpath("results.json").write_text(
        json.dumps({"machine": dict(machine), "results": [*_plain(found)]}, indent=1) + "\n"
    )
    folder.joinpath("results.svg").write_text(picture(found))
    folder.joinpath("README.md").write_text(
        f"# What `make bench` measured\n\n{text}\n\n![the same as bars](results.svg)\n"
    )
    return text


def into_readme(readme: Path, text: str) -> None:
    """Replace the table between its markers in the README."""
    whole = readme.read_text()
    head, _, rest = whole.partition(BEGIN)
    _, found, tail = rest.partition(END)
    if not found:
        raise SystemExit(f"{readme} lacks {BEGIN} and {END}")
    readme.write_text(f"{head}{BEGIN}\n{text}\n{END}{tail}")


def table(found: Grouped, machine: Mapping[str, str]) -> str:
    """Return the table, with the machine, notes on the comparison, and missing cases."""
    lines = [
        "| case | farm | lvsctl | to reach | keepalived | ipvsadm |",
        "|---|---|---|---|---|---|",
    ]
    for case, size in _rows(found):
        cells = [_value(case, found.get((case.name, size, by), ())) for by in COLOURS]
        goal = f"≤ {case.goals[size]:g} {case.unit}" if size in case.goals else ""
        farm = FARMS.get(size, "")
        lines.append(f"| {case.title} | {farm} | {cells[0]} | {goal} | {cells[1]} | {cells[2]} |")
    notes = [f"- {case.title}: {case.others}" for case in CASES if case.others]
    missing = [f"- {what}" for what in NOT_MEASURED]
    facts = "; ".join(f"{name} {value}" for name, value in machine.items())
    return "\n".join(
        [
            *lines,
            "",
            f"Medians, with the lowest and the highest in brackets. {facts}.",
            "",
            "What the others do in the same run:",
            *notes,
            "",
            "Not measured yet:",
            *missing,
        ]
    )


def _rows(found: Grouped) -> Iterator[tuple[Case, str]]:
    for case in CASES:
        sizes = [size for name, size, _ in found if name == case.name]
        for size in dict.fromkeys([*sizes, *(case.goals if not sizes else ())]):
            yield case, size


def _value(case: Case, values: Sequence[float]) -> str:
    if not values:
        return ""
    middle, lowest, highest = map(_number, (median(values), min(values), max(values)))
    return f"{middle} {case.unit} ({lowest} to {highest})"


def _number(value: float) -> str:
    """Write a number with three digits, or more where it has more before the point."""
    return f"{value:.3g}" if value < THREE_DIGITS else f"{value:,.0f}"


def _plain(found: Grouped) -> Iterator[Mapping[str, object]]:
    units = {case.name: case.unit for case in CASES}
    for (case, size, by), values in found.items():
        yield {
            "case": case,
            "size": size,
            "by": by,
            "unit": units.get(case, "ms"),
            "median": median(values),
            "values": [*values],
        }


def picture(found: Grouped) -> str:
    """Return a bar chart as SVG, with a separate scale for each case."""
    drawn: list[str] = []
    y = GAP
    for case, size in _rows(found):
        medians = {
            by: median(values) for by in COLOURS if (values := found.get((case.name, size, by), ()))
        }
        if not medians:
            continue
        most = max([*medians.values(), case.goals.get(size, 0.0)]) or 1.0
        farm = f"{FARMS[size]}: " if size in FARMS else ""
        drawn.append(_text(0, y + 11, f"{farm}{case.name}", "label"))
        top = y
        for by, value in medians.items():
            width = value / most * WIDTH
            drawn.append(
                f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{ROW - 4}" '
                f'fill="{COLOURS[by]}"/>'
            )
            drawn.append(
                _text(LEFT + width + 6, y + 10, f"{by} {_number(value)} {case.unit}", "value")
            )
            y += ROW
        if size in case.goals:
            x = LEFT + case.goals[size] / most * WIDTH
            drawn.append(
                f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top - 3}" y2="{y}" stroke="#dc2626"/>'
            )
        y += GAP
    style = "text{font:11px sans-serif;fill:#475569}.label{font-weight:bold}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 180} {y + 14}">'
        f"<style>{style}</style>\n"
        + "\n".join(drawn)
        + "\n"
        + _text(0, y + 8, "Red: to be reached. Each case has a scale of its own.", "value")
        + "</svg>\n"
    )


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{escape(text)}</text>'
