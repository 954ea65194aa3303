#!/usr/bin/env python3
"""Prints records of `moeline measure` with rates: TFLOP/s of products, TB/s of passes, GB/s of exchanges.

  validate/rates.py measurements.jsonl
"""
import json
import sys


def rate(record):
    shape, seconds = record["shape"], record["seconds"]["median"]
    if "flops" in shape:
        return f"{shape['flops'] / seconds / 1e12:8.1f} TFLOP/s"
    if record["op"] in ("gemm", "grouped_gemm"):
        flops = 2 * shape.get("groups", 1) * shape["m"] * shape["n"] * shape["k"]
        return f"{flops / seconds / 1e12:8.1f} TFLOP/s"
    if record["op"] == "quantise":
        kind = shape.get("kind", "row")
        read = {"swiglu": 4, "swiglu_backward": 3}.get(kind, 2)
        written = 1.03125 * (1 if kind in ("row", "column") else 2)
        return f"{shape['rows'] * shape['columns'] * (read + written) / seconds / 1e12:8.2f} TB/s"
    if record["op"] == "memory_pass":
        return f"{shape['bytes'] / seconds / 1e12:8.3f} TB/s"
    if record["op"] == "all_to_all":
        return f"{shape['bytes'] / seconds / 1e9:8.1f} GB/s"
    return ""


for line in open(sys.argv[1]):
    record = json.loads(line)
    kind = record["shape"].get("kind", "-")
    name = " ".join((record["op"], kind, record["dtype"] or "-", record["backend"]))
    sizes = " ".join(f"{key} {value:g}" for key, value in sorted(record["shape"].items()) if isinstance(value, (int, float)))
    if record.get("failed"):
        print(f"{name:48} {sizes:44} failed: {record['failed']}")
        continue
    clock = record.get("clock_hz", 0) / 1e6
    print(f"{name:48} {sizes:44} {record['seconds']['median'] * 1e6:11.2f} us {rate(record)} {clock:6.0f} MHz")
