"""What the figures of a run say in a few sentences, goals missed included."""

from __future__ import annotations

from ..tables import number, percent


def reading(found: dict) -> str:
    """Of the sections that are there."""
    lines = []
    if "phantoms" in found:
        more = found.get("rows", {}).get("rows", {})
        lines += _ears(found["phantoms"], {**found["phantoms"]["rows"], **more})
    if "capture" in found:
        lines.append(_capture(found["capture"]))
    if found.get("brain", {"rows": {}}) != {"rows": {}}:
        lines.append("- Real head: " + _lost(found["brain"], "targets", 5))
    for name, one in found.get("abdomen", {}).get("parts", {}).items():
        titles = {"kidney": "Kidney in CT", "vertebra": "Vertebra in CT", "mirrored": "The other kidney, mirrored"}
        lines.append(f"- {titles[name]}: " + _lost(one, "targets", 10))
    if "skull" in found:
        lines.append("- Skulls, where no pair may be lost: " + _lost(found["skull"], "pairs", 1))
    if "modality" in found:
        kinds = found["modality"]["kinds"]
        shares = ", ".join(f"{name} {percent(one['rows']['full']['within_2'])}" for name, one in kinds.items())
        lines.append(f"- Landmarks within 2 mm by modality, whatever the confidence: {shares}.")
    if "confidence" in found:
        absent = found["confidence"]["absent"]
        placed, wanted = (sum(one[key] for one in absent.values()) for key in ("placed", "wanted"))
        lines.append(f"- In images without the structure, {placed} of {wanted} landmarks are placed; none should be.")
    if "speed" in found:
        one = found["speed"]
        ratio = one["detect"] / one["demons"]
        verdict = "reached" if ratio <= 0.5 else "**missed**"
        text = f"- Detection takes {number(ratio)} of the time of full-volume demons (goal 0.5): {verdict}"
        minutes = one["trainings"].get("cochlea", {}).get("minutes")
        if minutes is not None:
            text += f"; training takes {number(minutes, 1)} computing minutes (goal 15): " + (
                "reached" if minutes <= 15 else "**missed**"
            )
        lines.append(text + ".")
    return "\n".join(lines)


def _ears(one: dict, rows: dict) -> list[str]:
    tool = one["tool"]
    verdicts = [
        f"mean error {number(tool['mean'])} mm of what is placed (goal 0.70): {_word(tool['mean'] <= 0.7)}",
        f"{percent(tool['within_2'])} of all wanted within 2 mm (goal 95 %): {_word(tool['within_2'] >= 0.95)}",
        f"largest error of a confident landmark {number(tool['worst_confident'])} mm (goal 3): "
        f"{_word(tool['worst_confident'] <= 3)}",
    ]
    titles = {
        "naive": "without initialisation",
        "moments": "from moments",
        "elastix": "by elastix from moments",
        "no_signs": "with unchecked signs",
    }
    text = ", ".join(f"{percent(rows[name]['within_2'])} {title}" for name, title in titles.items() if name in rows)
    lines = [
        "- Held-out ears: " + "; ".join(verdicts) + ".",
        f"- Within 2 mm whatever the confidence, on {rows['full']['cases']} of these ears: "
        f"{percent(rows['full']['within_2'])} by the tool; registration {text}.",
    ]
    medians = {name: rows[name]["median"] for name in ("full", "rigid", "elastix") if name in rows}
    if len(medians) == 3:
        lines.append(
            f"- On the same ears the median error is {number(medians['full'])} mm by the tool, "
            f"{number(medians['rigid'])} mm without its demons, {number(medians['elastix'])} mm by elastix from the "
            "moments of the same network."
        )
    return lines


def _capture(one: dict) -> str:
    parts = []
    for key, unit in (("angle", "degrees"), ("offset", "mm")):
        values = one[key]["full"]
        worst = min(values, key=lambda step: values[step])
        at = "at every step" if values[worst] == 1 else f"at worst, at {worst} {unit}"
        parts.append(f"{key}s up to {list(values)[-1]} {unit}: {percent(values[worst])} {at}")
    text = "- Phantoms with every landmark within 2 mm, over " + "; over ".join(parts)
    return text + f" ({one['repeats']} phantoms for each step)."


def _lost(one: dict, what: str, near_mm: int) -> str:
    if "untaught" in one:
        return "the template could not be taught."
    rows, tool = one["rows"], one["tool"]
    full = rows["full"]
    text = f"{full['lost']} of {full['cases']} {what} lost, median error {number(full['median'])} mm"
    if "third" in rows:
        text += (
            f"; the usual recipe loses {rows['third']['lost']} ({rows['all']['lost']} when it tries all ends of the "
            f"axes; medians {number(rows['third']['median'])} and {number(rows['all']['median'])} mm)"
        )
    return text + (
        f". Of its {tool['confident']} confident landmarks, {tool['confident_far']} are farther off than {near_mm} mm."
    )


def _word(reached: bool) -> str:
    return "reached" if reached else "**missed**"
