#!/usr/bin/env python3
"""Batch tiling on attention: throughput against experts and top-k, uniform and tiled, all numbers from moeline.

  reports/studies/batch-tiling/make.py build/release/cli/moeline          writes points.csv, results.md, throughput.svg
  reports/studies/batch-tiling/make.py build/release/cli/moeline --check  fails if points.csv no longer holds
"""
import csv
import io
import json
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
EXPERTS, TOP_K, TILES = [8, 16, 32, 64, 128], [8, 4, 2, 1], [1, 2, 4, 8, 16, 32, 64]
PUBLISHED = {"loss to experts, top-8": 0.53, "loss at top-1": 0.86, "uniform, top-1, tokens/s": 7091, "tiled G=64, top-1, tokens/s": 49335}


def scenario(experts, top_k, g, conduct):
    """One CS-2. Neither sequence length nor attention tile nor number of systems is published: 8,192 tokens are the
    length at which SRAM holds exactly one sequence of scores."""
    return {
        "model": {"base": "qwen3-30b-a3b", "num_experts": experts, "num_experts_per_tok": top_k},
        "hardware": "cs-2",
        "devices": 1,
        "workload": {"kind": "train", "sequence": 8192, "global_batch": 1024,
                     "wafer": {"mode": "streaming", "scores": "materialised", "g": g, **conduct}},
    }


def ask(moeline, experts, top_k, g, conduct=None):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(scenario(experts, top_k, g, conduct or {"conduct": "published_pair"}), file)
        file.flush()
        answer = json.loads(subprocess.run([moeline, "train", file.name, "-o", "json", "--quiet"], check=True, capture_output=True).stdout)
    wafer = answer["wafer"]
    return {"experts": experts, "top_k": top_k, "asked_g": g, "g": int(wafer["g"]), "attention_tile": wafer["attention_tile"],
            "tokens_per_second": round(answer["tokens_per_second"]), "memory_gb": round(answer["memory"]["required_bytes"] / 1e9, 1),
            "keep_inputs": wafer["keep_inputs"], "bound_by": wafer["bound_by"]}


def points(moeline):
    rows = {}
    for experts, top_k in [(e, 8) for e in EXPERTS] + [(128, k) for k in TOP_K]:
        for g in TILES + ["auto"]:
            rows[experts, top_k, g] = rows.get((experts, top_k, g)) or ask(moeline, experts, top_k, g)
    return rows


def table(header, lines):
    out = "| " + " | ".join(header) + " |\n|" + " ---: |" * len(header) + "\n"
    return out + "".join("| " + " | ".join(line) + " |\n" for line in lines)


def effects(rate):
    """The four published figures from the rates of four points."""
    return {"loss to experts, top-8": 1 - rate(128, 8, 1) / rate(8, 8, 1), "loss at top-1": 1 - rate(128, 1, 1) / rate(128, 1, 64),
            "uniform, top-1, tokens/s": rate(128, 1, 1), "tiled G=64, top-1, tokens/s": rate(128, 1, 64)}


def shown(name, value):
    return f"{100 * value:.1f} %" if "loss" in name else f"{value:,.0f}"


def results(moeline, rows):
    rate = lambda experts, top_k, g: rows[experts, top_k, g]["tokens_per_second"]
    at = lambda experts, top_k: [f"{rate(experts, top_k, g):,}" for g in TILES] + [f"{rate(experts, top_k, 'auto'):,} (G={rows[experts, top_k, 'auto']['g']})"]
    head = [f"G={g}" for g in TILES] + ["auto"]
    bare = {}
    for experts, top_k, g in [(8, 8, 1), (128, 8, 1), (128, 1, 1), (128, 1, 64)]:
        bare[experts, top_k, g] = ask(moeline, experts, top_k, g, {"efficiency": 0.17})["tokens_per_second"]
    full, plain = effects(rate), effects(lambda *key: bare[key])
    text = "<!-- written by make.py -->\n\nTokens/s on one CS-2, top-8, by number of experts:\n\n"
    text += table(["experts"] + head, [[str(e)] + at(e, 8) for e in EXPERTS])
    text += "\nTokens/s at 128 experts, by top-k:\n\n" + table(["top-k"] + head, [[str(k)] + at(128, k) for k in TOP_K])
    text += "\nShare of the dense model's rate (8 experts of which 8), uniform and tiled; both against the dense model tiled alike:\n\n"
    text += table(["experts", "uniform / dense uniform", "tiled / dense uniform", "tiled / dense tiled", "smallest G within 5 % of dense uniform"],
                  [[str(e), f"{rate(e, 8, 1) / rate(8, 8, 1):.2f}", f"{rate(e, 8, 'auto') / rate(8, 8, 1):.2f}",
                    f"{rate(e, 8, 'auto') / rate(8, 8, 'auto'):.3f}",
                    str(next(g for g in TILES if rate(e, 8, g) > 0.95 * rate(8, 8, 1)))] for e in EXPERTS])
    text += "\nAgainst what was published; error = here over published, less one:\n\n"
    text += table(["figure", "published", "one set of constants", "error", "efficiency 0.17 alone", "error"],
                  [[name, shown(name, value), shown(name, full[name]), f"{100 * (full[name] / value - 1):+.1f} %",
                    shown(name, plain[name]), f"{100 * (plain[name] / value - 1):+.1f} %"] for name, value in PUBLISHED.items()])
    most = max(row["memory_gb"] for row in rows.values())
    return text + f"\nThe fullest of these points holds {most} GB of the CS-2's 40 GB.\n"


def svg(rows):
    ink, width, height = "#555", 340, 220
    out = io.StringIO()
    out.write('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 860 320" font-family="sans-serif" font-size="12">\n')
    out.write('<rect width="860" height="320" fill="#fff"/>\n')
    top = 55000
    y = lambda value: 260 - height * value / top
    for left, title, ticks, key in [(70, "experts, top-8", EXPERTS, lambda t, g: (t, 8, g)), (490, "top-k of 128 experts", TOP_K, lambda t, g: (128, t, g))]:
        x = lambda i: left + width * i / (len(ticks) - 1)
        for value in range(0, top, 10000):
            out.write(f'<line x1="{left}" x2="{left + width}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#ddd"/>'
                      f'<text x="{left - 8}" y="{y(value) + 4:.1f}" text-anchor="end" fill="{ink}">{value // 1000}k</text>\n')
        for i, tick in enumerate(ticks):
            out.write(f'<text x="{x(i):.1f}" y="278" text-anchor="middle" fill="{ink}">{tick}</text>\n')
        out.write(f'<text x="{left + width / 2}" y="298" text-anchor="middle" fill="{ink}">{title}</text>\n')
        for g, colour, label in [(1, "#c0392b", "uniform"), (2, "#e6a23c", "G = 2"), (8, "#7fb3d5", "G = 8"), (64, "#1f618d", "G = 64")]:
            values = [rows[key(tick, g)]["tokens_per_second"] for tick in ticks]
            line = " ".join(f"{x(i):.1f},{y(value):.1f}" for i, value in enumerate(values))
            out.write(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>\n')
            for i, value in enumerate(values):
                out.write(f'<circle cx="{x(i):.1f}" cy="{y(value):.1f}" r="3" fill="{colour}"/>\n')
            if left == 490:
                out.write(f'<text x="{left + width - 4}" y="{y(values[-1]) - 8:.1f}" text-anchor="end" fill="{colour}">{label}</text>\n')
    out.write(f'<text x="70" y="24" fill="{ink}">tokens/s on one CS-2, Qwen3-30B-A3B with its experts changed</text>\n</svg>\n')
    return out.getvalue()


def as_csv(rows):
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(next(iter(rows.values()))), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows.values())
    return out.getvalue()


def main():
    moeline, check = sys.argv[1], "--check" in sys.argv
    rows = points(moeline)
    if check:
        if (HERE / "points.csv").read_text() != as_csv(rows):
            sys.exit(f"{HERE}/points.csv no longer holds: run make.py")
        return
    (HERE / "points.csv").write_text(as_csv(rows))
    (HERE / "results.md").write_text(results(moeline, rows))
    (HERE / "throughput.svg").write_text(svg(rows))


main()
