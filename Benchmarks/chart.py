"""Draws what the benchmarks measured as SVG.

    python Benchmarks/chart.py peers FILE.json … --output peers.svg      what peers/executors.py and peers/mixed.py wrote with --json
    python Benchmarks/chart.py kernels FILE.json … --output kernels.svg  what KernelBenchmark wrote with --json, a file for each of --numbers

Nothing but Python's standard library is needed.
"""
import argparse
import html
import json
import pathlib
import statistics

TITLES = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO", "ctranslate2": "CTranslate2", "pytorch": "PyTorch"}
COLOURS = ["#3567b2", "#d8742a", "#4a9a62", "#8a5fb0", "#b23b4e"]
BAR, GAP, RIGHT, WIDTH = 13, 12, 60, 760


def text(x, y, content, anchor="start", size=12, weight="normal"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}">'
            f"{html.escape(content)}</text>")


def chart(title, note, groups, series, most, reference, unit):
    """Horizontal bars. `groups` are pairs of a label and, for each of `series`, (value, least, most) or None; a line stands at `reference`."""
    left = 24 + 6.6 * max(len(label) for label, _ in groups)
    scale = (WIDTH - left - RIGHT) / most
    parts, y = [text(12, 24, title, size=15, weight="bold"), text(12, 42, note, size=11)], 62
    x = left
    for name, colour in zip(series, COLOURS):
        parts += [f'<rect x="{x:.1f}" y="{y - 9}" width="10" height="10" fill="{colour}"/>', text(x + 15, y, name)]
        x += 30 + 7.2 * len(name)
    y += 16
    top = y
    for label, values in groups:
        shown = [(value, colour) for value, colour in zip(values, COLOURS) if value]
        parts.append(text(left - 8, y + len(shown) * BAR / 2 + 4, label, "end"))
        for (value, least, greatest), colour in shown:
            parts.append(f'<rect x="{left:.1f}" y="{y + 1}" width="{min(value, most) * scale:.1f}" height="{BAR - 2}" fill="{colour}"/>')
            if greatest > least:
                ends = [left + min(end, most) * scale for end in (least, greatest)]
                parts.append(f'<path d="M{ends[0]:.1f} {y + BAR / 2}H{ends[1]:.1f}" stroke="#222" stroke-width="1.5"/>')
            end = left + min(max(value, greatest), most) * scale
            parts.append(text(end + 4, y + BAR - 3, f"{value:.2f}" if unit == "×" else f"{value:.0f} {unit}", size=10))
            y += BAR
        y += GAP
    at = left + reference * scale
    parts.append(f'<path d="M{at:.1f} {top - 4}V{y - GAP + 4}" stroke="#222" stroke-dasharray="4 3"/>')
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y + 4}" viewBox="0 0 {WIDTH} {y + 4}" font-family="sans-serif">'
            f'<rect width="{WIDTH}" height="{y + 4}" fill="#fff"/>' + "".join(parts) + "</svg>\n")


def peers(documents):
    """The time of each peer as a multiple of SpanQA's."""
    records = [record for document in documents for record in document]
    names = [name for name in TITLES if any(name in record["rounds"][0] for record in records)]
    groups = []
    for record in records:
        values = []
        for name in names:
            ratios = [figures[name] / figures["spanqa"] for figures in record["rounds"] if name in figures]
            values.append((statistics.median(ratios), min(ratios), max(ratios)) if ratios else None)
        groups.append((f"{record['precision']} {record['workload']}", values))
    most = max(value[2] for _, values in groups for value in values if value)
    threads = sorted({record["threads"] for record in records})
    return chart(
        "Time of the others as a multiple of SpanQA's",
        f"DistilBERT-base, {' and '.join(map(str, threads))} threads; the line is SpanQA, thin lines least to most of the rounds",
        groups, [TITLES[name] for name in names], most, 1, "×")


def kernels(documents, names):
    """The share of the processor's arithmetic peak by shape."""
    rows = {name: {(row["m"], row["k"], row["n"]): row["share"] for row in document} for name, document in zip(names, documents)}
    shapes = list(dict.fromkeys(shape for shares in rows.values() for shape in shares))
    groups = [("{} × {} × {}".format(*shape), [
        (100 * shares[shape],) * 3 if shape in shares else None for shares in rows.values()]) for shape in shapes]
    return chart("Share of the processor's arithmetic peak", "M × K × N, bias and GELU included; the line is the peak, measured in the same moments",
                 groups, list(rows), 100, 100, "%")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["peers", "kernels"])
    parser.add_argument("files", type=pathlib.Path, nargs="+")
    parser.add_argument("--output", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    documents = [json.loads(file.read_text()) for file in arguments.files]
    if arguments.what == "peers":
        drawing = peers(documents)
    else:
        drawing = kernels(documents, [file.stem for file in arguments.files])
    arguments.output.write_text(drawing)


if __name__ == "__main__":
    main()
