#!/usr/bin/env bash
# Compares whole outputs with the approved ones beside this script.
#   tests/golden/outputs.sh path/to/moeline            all
#   tests/golden/outputs.sh path/to/moeline NAME...    those named
# What differs is written to NAME.received.txt; tests/golden/approve takes it over once it has been read.
set -uo pipefail
export LC_ALL=C

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
moeline=$(readlink -f "${1:?usage: tests/golden/outputs.sh path/to/moeline [NAME...]}")
[[ -x $moeline ]] || { echo "no binary: $moeline" >&2; exit 2; }
shift
small=(--model qwen3-30b-a3b --hardware h200-sxm --devices 8)

# Numbers to six digits, a breakdown row to one line: what a compiler may round differently stays out.
reduced() {
  awk '
    function short(value) { return value ~ /^-?[0-9][-+.0-9e]*$/ ? sprintf("%.6g", value) : value }
    /^    \{$/ { row = "   "; next }
    /^    \},?$/ && row != "" { print row; row = ""; next }
    {
      comma = sub(/,$/, "") ? "," : ""
      at = index($0, ": ")
      if (at == 0) { print short($0) comma; next }
      key = substr($0, 1, at - 1); value = short(substr($0, at + 2))
      if (row != "") row = row " " value; else print key ": " value comma
    }'
}

output_train_screen() { "$moeline" train "${small[@]}"; }
output_train_pipeline_screen() { "$moeline" train "$here/../../examples/qwen3-235b-256-h100.json"; }
output_train_json() { "$moeline" train "${small[@]}" -o json --quiet | reduced; }
output_train_wafer_screen() { "$moeline" train "$here/../../examples/qwen3-235b-16-cs-3.json"; }
output_layer_screen() { "$moeline" layer "${small[@]}"; }
output_infeasible_json() { "$moeline" train --model deepseek-v3 --hardware h200-sxm --devices 8 -o json 2>&1; }
output_show_model() { "$moeline" show model deepseek-v3; }
output_list_hardware() { "$moeline" list hardware; }
output_help() { "$moeline" train --help; }

if (($# == 0)); then
  mapfile -t all < <(sed -n 's/^output_\([a-z0-9_]*\)().*/\1/p' "$here/outputs.sh")
  set -- "${all[@]}"
fi
passed=0
failed=0
for name in "$@"; do
  approved=$here/$name.approved.txt received=$here/$name.received.txt
  "output_$name" >"$received"
  if [[ -f $approved ]] && diff -u "$approved" "$received"; then
    rm -f "$received"
    passed=$((passed + 1))
    echo "ok      $name"
  else
    failed=$((failed + 1))
    echo "not ok  $name: read $received, then tests/golden/approve"
  fi
done
echo "$passed passed, $failed failed"
((failed == 0 && passed > 0))
