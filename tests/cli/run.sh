#!/usr/bin/env bash
# Asks the binary as a user does: exit codes, one-line messages, formats, flags.
#   tests/cli/run.sh path/to/moeline            every case
#   tests/cli/run.sh path/to/moeline CASE...    those named, without "case_"
# A case is a function whose name is a sentence. The last line is "N passed, N failed".
set -uo pipefail
export LC_ALL=C

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
root=$(dirname "$(dirname "$here")")
moeline=$(readlink -f "${1:?usage: tests/cli/run.sh path/to/moeline [CASE...]}")
[[ -x $moeline ]] || { echo "no binary: $moeline" >&2; exit 2; }
shift
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1  # the binary answers from any directory

small=(--model qwen3-30b-a3b --hardware h200-sxm --devices 8)
problems=0

# --- what a case says ----------------------------------------------------------------------------------------------
problem() { problems=$((problems + 1)); echo "    $*" >&2; }

ask() {  # arguments...: runs the binary; leaves $out, $err (files) and $code
  asked="moeline $*"
  "$moeline" "$@" >out 2>err </dev/null
  code=$?
}

answers() {  # arguments...: exit 0
  ask "$@"
  ((code == 0)) || problem "$asked: exit $code, expected 0: $(head -c 300 err)"
}

refuses() {  # code, extended regular expression, arguments...: that exit, one line on stderr that matches, no data
  local want=$1 pattern=$2
  shift 2
  ask "$@"
  ((code == want)) || problem "$asked: exit $code, expected $want"
  [[ ! -s out ]] || problem "$asked: wrote to stdout: $(head -c 200 out)"
  [[ $(wc -l <err) == 1 ]] || problem "$asked: $(wc -l <err) lines on stderr, expected 1"
  grep -qE -- "$pattern" err || problem "$asked: expected /$pattern/, got: $(head -c 300 err)"
}

says() { grep -qE -- "$1" out || problem "$asked: stdout lacks /$1/"; }
silent() { [[ ! -s $1 ]] || problem "$asked: $1 is not empty: $(head -c 200 "$1")"; }
number() { sed -n "s/^ *\"$1\": \([-+.0-9e]*\),\{0,1\}$/\1/p" out | head -n "${2:-1}" | tail -n 1; }
holds() { awk "BEGIN { exit !($1) }" || problem "$asked: not true: $1 ($2)"; }
same() { cmp -s "$1" "$2" || problem "$3"; }

scenario() {  # file, workload...: a small scenario with one workload key
  printf '{"model": "qwen3-30b-a3b", "hardware": "h200-sxm", "devices": 8,\n "workload": {"kind": "train"%s}}\n' "${2:-}" >"$1"
}

# --- answers -------------------------------------------------------------------------------------------------------
measured_products() {  # file, device: 60 products of 4 shapes, a third of the bf16 peak of an H100
  {
    echo gpu,framework,fw_version,kernel,dtype,m,n,k,latency_us
    local m shape
    for shape in 2048,2048 4096,4096 8192,2048 2048,8192; do
      for m in 1 2 4 8 16 32 64 128 256 512 1024 2048 4096 8192 16384; do
        awk -v d="$2" -v m="$m" -v s="$shape" 'BEGIN { split(s, a, ","); print d ",trtllm,1,torch,bfloat16," m "," s "," 5 + 2 * m * a[1] * a[2] / 3.3e8 }'
      done
    done
  } >"$1"
}

case_check_prices_a_sister_by_the_pages_it_borrows() {
  measured_products h100.csv h100_sxm
  answers check h100.csv -o json
  says '"borrowed_from": "h200-sxm"'
  says '"source": "extrapolated"'
  says '"n": 60'
  measured_products gb200.csv gb200
  answers check gb200.csv
  says '^gb200-nvl72 +gemm +trtllm +bfloat16 +60 .* b200-sxm'
}

case_check_counts_rows_that_no_machine_could_run() {
  measured_products wild.csv h200_sxm
  printf '%s\n' h200_sxm,trtllm,1,torch,bfloat16,1e308,1e308,1e308,1 h200_sxm,trtllm,1,torch,bfloat16,-5,8,8,1 \
    h200_sxm,trtllm,1,torch,bfloat16,8,8,8,inf >>wild.csv
  answers check wild.csv -o json
  says '"n": 60'
  says '"no finite prediction for these sizes": 1'
  says '"missing value": 2'
  answers fit wild.csv
  says 'held out +n +60 '
  head -n 1 wild.csv >none.csv
  refuses 2 'none.csv: has a header and no rows' check none.csv
}

case_check_counts_rows_of_devices_nobody_knows() {
  measured_products odd.csv tpu_v9
  answers check odd.csv
  says '60 rows left out: no hardware profile of this device'
}

case_check_shows_what_benchmark_conditions_are_worth() {
  measured_products own.csv h200_sxm
  answers check own.csv -o json
  local hot
  hot=$(number bias)
  answers check own.csv -o json --conditions step
  holds "$(number bias) > $hot" "cold operands and a sustained clock are slower"
}

case_check_reads_a_folder_and_says_what_it_could_not_read() {
  mkdir rows
  measured_products rows/products.csv h200_sxm
  echo 'some,columns' >rows/other.csv
  answers check rows
  says 'other.csv: the header matches no known measurement file'
  says '^h200-sxm +gemm'
  mkdir empty
  refuses 2 'empty: the folder has no .csv or .jsonl file' check empty
}

case_fit_keeps_the_pages_of_a_device_that_it_did_not_fit() {
  measured_products first.csv h200_sxm
  sed 's/trtllm/vllm/' first.csv >second.csv
  mkdir pages
  answers fit first.csv --write pages --source 'me@1'
  answers fit second.csv --write pages --source 'me@2'
  [[ $(grep -c '"operation": "gemm"' pages/h200-sxm.json) == 2 ]] || problem "a page was lost"
  grep -q 'me@1' pages/h200-sxm.json || problem "the first page lost its source"
  answers train "${small[@]}" --calibration pages/h200-sxm.json
}

case_fit_scales_a_relative_when_rows_are_few() {
  measured_products all.csv b300_sxm
  sed -n '1p;1~2p' all.csv >few.csv
  answers fit few.csv --source 'me@1' --write .
  says 'nothing fitted: can be checked'
  grep -q 'scaled from b200-sxm trtllm bfloat16' b300-sxm.json || problem "no page scaled from B200"
}

case_explain_takes_a_wafer_apart() {
  answers explain --model qwen3-30b-a3b --hardware cs-3 --ops 2
  says '^  \+10 % bf16 peak of the cores '
  says '^  tiles G [0-9]+ -> [0-9]+ '
  says '^  backward of MoE layer  '
  answers explain --model qwen3-30b-a3b --hardware cs-2 --tokens 65536 -o json
  says '"passes": \['
  says '"pointer": "/hardware/device/input_bandwidth"'
}

case_a_price_makes_a_cost() {
  local price='/hardware/price={"per_device_hour": 2.5, "currency": "USD", "source": "a contract"}'
  answers train "${small[@]}" --set "$price" -o json --quiet
  # 2.5 USD x 8 devices x t / 3600
  holds "($(number per_step) / ($(number value) * 2.5 * 8 / 3600) - 1) ^ 2 < 1e-16" "cost $(number per_step) of $(number value) s"
  answers train "${small[@]}" --set "$price"
  says '^  cost     [0-9.]+ USD a step, [0-9.]+ per million tokens; [0-9.]+ kWh a step$'
  answers search "${small[@]}" --set "$price" --fix zero=1 --fix cp=1 --fix micro_batch=1 --fix etp=1 --objective cost --try-devices 8,16 --top 3 -o csv
  awk -F, 'NR == 1 { for (i = 1; i <= NF; ++i) if ($i == "cost_per_million_tokens") c = i }
           NR > 2 && $c < last { exit 1 } { last = $c }' out || problem "not by cost: $(cat out)"
  answers search "${small[@]}" --fix zero=1 --fix cp=1 --fix pp=1 --fix etp=1 --objective energy --top 1
  says 'kWh/Mtok$'
  refuses 2 'h200-sxm states no price; give yours: --set' search "${small[@]}" --objective cost
  refuses 2 'mi300x states no all-in power; give the node' search --model qwen3-30b-a3b --hardware mi300x --objective energy
}

case_every_example_has_an_answer() {
  local file
  for file in "$root"/examples/*.json; do
    if grep -q '"kind": "serve"' "$file"; then
      answers serve "$file"
      says '^  TPOT +[0-9.]+ m?s '
      continue
    fi
    answers train "$file"
    says '^  step +[0-9.]+ m?s '
    says '^  memory +[0-9.]+ GB of [0-9.]+ GB'
    answers layer "$file"
  done
}

case_checkpoints_load_by_every_way_there_is() {
  answers load --model qwen3-30b-a3b --hardware a100-sxm --devices 8
  says '^  v5 +device_map +read ahead +[0-9.]+ s'
  answers load --model mixtral-8x22b --hardware a100-sxm --devices 8 -o json
  says '"reason": "out of memory: the whole checkpoint'
  refuses 3 'out of memory' load --model deepseek-v3 --hardware h100-sxm --devices 1
  refuses 2 'expected a rate such as "7 GB/s", not "fast"' load --model qwen3-30b-a3b --hardware a100-sxm --storage fast
}

case_experts_backends_are_compared() {
  answers layer --model qwen3-30b-a3b --hardware h100-sxm --devices 1 --parallel ep=1 --tokens 64 --experts-backend all
  says '^  fastest   from 1 tokens '
  answers layer --model qwen3-30b-a3b --hardware h100-sxm --devices 1 --parallel ep=1 --experts-backend eager -o json
  says '^  "experts_backends": \{$'
  refuses 2 'did you mean "grouped_mm"' layer --model qwen3-30b-a3b --hardware h100-sxm --experts-backend groupedmm
}

case_adapters_are_trained_beside_frozen_weights() {
  answers train --model qwen3-30b-a3b --hardware h100-sxm --devices 1 --parallel ep=1 --sequence 2048 --global-batch 8 --recompute full \
    --set '/workload/lora={"rank": 16}'
  says '^  adapters forward'
}

case_guesses_are_verified() {
  local example=$root/examples/qwen3-32b-ssd-h100.json
  answers serve "$example" -o json
  says '^  "speculation": \{$'
  answers serve "$example" --set /speculation/kind=none
  answers serve "$example" --set /speculation/kind=sd
  says '^  guesses  7 tokens a round'
  refuses 2 'unknown key' serve "$example" --set /speculation/kind=sd --set /speculation/backup=draft
}

case_search_finds_draft_length_slots_and_backup_for_a_batch() {
  local example=$root/examples/qwen3-32b-ssd-h100.json
  answers search "$example" --top 3
  says '^qwen3-32b on 5 h100-sxm, 1 sequences at 768 tokens decode together$'
  says '^ +[0-9]+ +[0-9]+ (draft|random) .* (yields fewer tokens a round|takes longer to verify|waits longer for its draft)$'
  says '^[0-9]+ tried; the others:$'
  answers search "$example" --top 1 -o json
  local token=$(number token_seconds) drafted=$(number draft_tokens) slots=$(number cache_slots)
  # What it found, given, is the answer of serve, and no slower than the example's own draft of 7.
  answers serve "$example" --set /speculation/draft_tokens=$drafted --set /speculation/cache_slots=$slots -o json
  holds "($(number round_seconds) / $(number tokens_per_round) / $token - 1)^2 < 1e-6" "search finds $token s a token, serve does not"
  answers serve "$example" -o json
  holds "$(number round_seconds) / $(number tokens_per_round) >= $token * 0.999999" "a draft of 7 is quicker than what search found"
  answers search "$example" --concurrency 32 --top 1000 -o csv
  [[ $(grep -c . out) -gt 50 ]] || problem "$asked: few rounds"
  answers search "$example" --set /speculation/kind=sd --top 2 -o md
  answers search "$example" --fix draft_tokens=3 --fix backup=random --top 1000 -o csv
  [[ $(tail -n +2 out | cut -d, -f 1 | sort -u) == 3 ]] || problem "$asked: other drafts than those of 3 tokens"
  ! grep -q ',draft,' out || problem "$asked: another backup"
  refuses 2 '--fix pp=2: of a deployment.s draft: backup=VALUE, cache_slots=VALUE, draft_tokens=VALUE$' search "$example" --fix pp=2
  refuses 2 '--objective: chooses among layouts' search "$example" --objective memory
  refuses 2 'speculation: nothing to search without a draft' search "$example" --set /speculation/kind=none
}

case_a_model_and_a_machine_are_enough() {
  answers train "${small[@]}"
  answers layer --model deepseek-v3 --hardware h200-sxm --parallel ep=8 --tokens 4096
  says 'one MoE layer'
  answers layer --model llama-3.1-8b --hardware h200-sxm
  says 'one dense layer'
}

case_every_format_is_written() {
  answers train "${small[@]}" -o csv
  [[ $(head -n 1 out) == name,phase,lane,seconds,exposed_seconds,flops,bytes,bound_by,source ]] || problem "CSV header: $(head -n 1 out)"
  answers train "${small[@]}" -o md
  says '^\| part \| phase \|'
  answers train "${small[@]}" -o json
  says '^  "kind": "train",$'
  answers layer "${small[@]}" -o json
  says '^  "kind": "layer",$'
}

case_lists_and_facts_are_written_in_every_format() {
  answers list models -o csv
  [[ $(head -n 1 out) == name,family,parameters,active ]] || problem "CSV header: $(head -n 1 out)"
  says '^deepseek-v3,deepseek_v3,671026419200,37552297472$'
  answers show hardware h200-sxm -o csv
  says '^device/hbm_bandwidth,4.8 TB/s,'
  answers show hardware h200-sxm -o md
  says '^\| device/hbm_bandwidth \| 4.8 TB/s \|'
  answers show model deepseek-v3 -o csv
  says '^parameters/main,671026419200,'
  answers list calibrations -o md
  says '^\| h200-sxm \| gemm \| trtllm \| bfloat16 \|'
}

case_train_json_has_every_key_of_the_contract() {
  answers train "${small[@]}" -o json
  local key
  for key in kind feasible step_time_seconds value p10 p90 tokens_per_second tokens_per_second_per_device \
    model_tflops_per_device mfu memory required_bytes available_bytes parts breakdown name phase lane seconds \
    exposed_seconds share flops bytes bound_by source assumptions warnings code message advice cost scenario; do
    says "^ *\"$key\": "
  done
}

case_layer_json_has_every_key_of_the_contract() {
  answers layer "${small[@]}" -o json
  local key
  for key in kind feasible forward_seconds backward_seconds breakdown exposed_seconds source assumptions warnings scenario; do
    says "^ *\"$key\": "
  done
}

case_json_is_json() {
  answers train "${small[@]}" -o json
  if command -v python3 >/dev/null; then
    python3 -c 'import json,sys; json.load(sys.stdin, parse_constant=lambda c: sys.exit(1))' <out || problem "train -o json does not parse"
  fi
  [[ $(head -c 1 out) == '{' && $(tail -n 1 out) == '}' ]] || problem "train -o json is not one object"
  ! grep -qE '\b(nan|inf|NaN|Infinity)\b' out || problem "train -o json holds what is not a number"
}

case_exposed_seconds_add_up_to_the_step() {
  local sum
  answers train "${small[@]}" -o json
  sum=$(awk -F': ' '/"exposed_seconds"/ { sum += $2 } END { printf "%.12g", sum }' out)
  holds "($sum / $(number value) - 1) ^ 2 < 1e-18" "exposed $sum, step $(number value)"
  answers train "$root/examples/qwen3-235b-256-h100.json" -o json --quiet
  sum=$(awk -F': ' '/"exposed_seconds"/ { sum += $2 } END { printf "%.12g", sum }' out)
  holds "($sum / $(number value) - 1) ^ 2 < 1e-18" "exposed $sum, step $(number value)"
}

case_the_range_holds_the_value() {
  answers train "${small[@]}" -o json
  holds "$(number p10) <= $(number value) && $(number value) <= $(number p90)" "p10 <= value <= p90"
}

case_two_runs_are_byte_identical() {
  local format
  for format in table json csv md; do
    answers train "$root/examples/deepseek-v3-256-gb200.json" -o $format
    mv out first
    mv err first_err
    answers train "$root/examples/deepseek-v3-256-gb200.json" -o $format
    same first out "$asked: two runs differ"
    same first_err err "$asked: two runs warn differently"
  done
}

case_the_resolved_scenario_answers_the_same() {
  command -v python3 >/dev/null || return 0
  answers train "${small[@]}" -o json --quiet
  python3 -c 'import json; json.dump(json.load(open("out"))["scenario"], open("resolved.json", "w"))'
  local before
  before=$(number value)
  answers train resolved.json -o json --quiet
  [[ $(number value) == "$before" ]] || problem "the echoed scenario answers $(number value), the original $before"
}

# --- what if -------------------------------------------------------------------------------------------------------
case_explain_ranks_inputs_parts_layouts_and_ops() {
  answers explain "${small[@]}"
  says '^  what would help   '
  says '^  \+10 % bf16 tensor peak +989.4 TFLOP/s +-[0-9.]+ %'
  says '^  expert GEMM +[0-9.]+ m?s +-[0-9.]+ %   tensor [0-9]+ %'
  says '^  ep 8 -> 4 +[0-9.]+ GB'
  says '^  .*cannot run: '
  says 'launch \+ max\(tensor, memory\)'
  answers explain "${small[@]}" --tokens 4096
  says 'one MoE layer'
  answers explain "$root/examples/deepseek-v3-256-gb200.json" -o json
  local key
  for key in kind time_seconds headroom_bytes elasticities elasticity effect_of_10_percent neighbours without time_change feasible reason ops formula terms tensor_seconds waves; do
    says "\"$key\": "
  done
}

case_explain_says_how_much_of_the_step_is_imbalance() {
  local balanced uneven
  answers train "${small[@]}" -o json --quiet
  balanced=$(number value)
  answers train "${small[@]}" --routing overload:1.5 -o json --quiet
  uneven=$(number value)
  answers explain "${small[@]}" --routing overload:1.5
  says '^  imbalance   [0-9.]+ % of the step: time with this routing less balanced$'
  holds "($(sed -n 's/^  imbalance   \([0-9.]*\) .*/\1/p' out) - 100 * (1 - $balanced / $uneven))^2 < 0.0026" "share of imbalance"
  holds "1 - $balanced / $uneven > 0.05" "half as many rows again are felt"
  answers explain "${small[@]}"
  ! grep -q imbalance out || problem "balanced routing has no imbalance"
}

case_explained_rates_of_bounds_add_up_to_minus_one() {
  command -v python3 >/dev/null || return 0
  local asked
  for asked in "" "--concurrency 8"; do
    answers explain "${small[@]}" $asked --calibration none -o json
    holds "($(python3 -c '
import json
sign = {"rate": 1, "latency": -1}
print(sum(sign.get(e["kind"], 0) * e["elasticity"] for e in json.load(open("out"))["elasticities"]))') + 1)^2 < 1e-6" "elasticities add up"
  done
}

case_explain_takes_a_token_apart() {
  answers explain "$root/examples/serve-deepseek-v3-8-h200.json" --ops 3
  says '^  token    [0-9.]+ ms   [0-9.]+ tok/s a user   [0-9.]+ tok/s a device   the first after [0-9.]+ ms$'
  says '^  held by  HBM [0-9]+ %'
  says '^  the first by  .*[0-9]+ %'
  says '^                    the first token   .*: -[0-9.]+ %'
  says '^  \+10 % HBM bandwidth .* -[0-9.]+ % +-0\.[0-9]+ +-[0-9.]+ %$'
  says '^  concurrency 64 -> 128 '
  says '^  HBM \(free\) .* tensor [0-9]+ %'
  says 'experts_hit [0-9.]+ .* waves'
  says '^  the longest ops of the first token '
  says '^  tensor-parallel exchange: .*, prefill of MoE layer '
  says '^  as it is  '
  says '^  tp 8 -> 16, ep 8 -> 16, devices 8 -> 16 +[0-9.]+ ms +[-+]?[0-9.]+ % +[0-9.]+ ms +[-+]?[0-9.]+ % +[0-9.]+ +[-+]?[0-9.]+ %$'
  says '^  kv_cache bf16 -> fp8 '
  says '^  tp 8 -> 4, ep 8 -> 4, replicas 1 -> 2 *cannot run: weights and one request '
  ! grep -qE '[-+]0\.00 %' out || problem "a change of nothing has a sign"
  answers explain --model llama-3.1-70b --hardware h100-sxm --parallel tp=4 --concurrency 32 --calibration none -o json
  says '"ttft_elasticity"'
  refuses 3 'do not fit' explain --model deepseek-v3 --hardware h200-sxm --devices 1 --parallel tp=1 --concurrency 1
}

case_explain_of_what_does_not_fit_is_infeasible() {
  refuses 3 'out of memory' explain --model deepseek-v3 --hardware h200-sxm --devices 8
  refuses 2 '--output: unknown value "csv"' explain "${small[@]}" -o csv
  refuses 2 '--ops' explain "${small[@]}" --ops many
}

case_train_says_what_would_help() {
  answers train "${small[@]}"
  says '^  what would help   .*: -[0-9.]+ %'
}

case_solve_finds_what_train_confirms() {
  answers train "${small[@]}" -o json --quiet
  local wanted set
  wanted=$(awk -v step="$(number value)" 'BEGIN { printf "%.12g", 0.98 * step }')
  answers solve "${small[@]}" --vary /hardware/device/hbm_bandwidth --want "step_time=$wanted s" -o json
  set=$(sed -n 's/^  "set": "\(.*\)",\{0,1\}$/\1/p' out)
  answers train "${small[@]}" --set "$set" -o json --quiet
  holds "($(number value) / $wanted - 1) ^ 2 < 1e-12" "$set"
}

case_solve_gives_whole_numbers_with_their_neighbours() {
  answers solve "${small[@]}" --vary /workload/sequence --want 'memory_headroom=1 GB'
  says '^    at [0-9]+ +[0-9.]+ GB$'
  says "^  --set /workload/sequence='[0-9]+'$"
  answers solve "${small[@]}" --vary /workload/tokens --tokens 4096 --want 'layer_time=20 ms'
}

case_solve_finds_what_serve_confirms() {
  local deployment=(--model llama-3.1-70b --hardware h100-sxm --parallel tp=4 --recipe fp8_tensor --stack vllm) wanted set
  answers serve "${deployment[@]}" --concurrency 32 -o json --quiet
  wanted=$(awk -v ms="$(number value 2)" 'BEGIN { printf "%.12g", 0.9 * ms }')
  answers solve "${deployment[@]}" --concurrency 32 --vary /hardware/device/hbm_bandwidth --want "tpot=$wanted s" -o json
  set=$(sed -n 's/^  "set": "\(.*\)",\{0,1\}$/\1/p' out)
  answers serve "${deployment[@]}" --concurrency 32 --set "$set" -o json --quiet
  holds "($(number value 2) / $wanted - 1) ^ 2 < 1e-12" "$set"
  answers solve "${deployment[@]}" --request-rate 1 --vary /workload/request_rate --want 'ttft=100 ms'
  says '^  /workload/request_rate   1 -> '
  answers solve "${deployment[@]}" --concurrency 32 --vary /workload/concurrency --want 'tpot=25 ms'
  says "^  --set /workload/concurrency='[0-9]+'$"
  refuses 3 'no solution: tpot stays within' solve "${deployment[@]}" --request-rate 1 --vary /workload/request_rate --want 'tpot=10 s'
  refuses 2 'unknown key "tpto", did you mean "tpot"\?' solve "${deployment[@]}" --concurrency 32 --vary /devices --want 'tpto=1 s'
}

case_solve_says_when_there_is_none() {
  refuses 3 'no solution: step_time stays within .* is out of reach$' solve "${small[@]}" --vary /hardware/device/hbm_bandwidth --want 'step_time=1 us'
  refuses 3 'from 4.8 TB/s to 6 TB/s' solve "${small[@]}" --vary /hardware/device/hbm_bandwidth --want 'step_time=1 us' --to '6 TB/s'
}

case_solve_refuses_what_it_cannot_vary_or_want() {
  refuses 2 'unknown key "step_tme", did you mean "step_time"\?' solve "${small[@]}" --vary /devices --want 'step_tme=1 s'
  refuses 2 'unit' solve "${small[@]}" --vary /devices --want step_time=1
  refuses 2 'the scenario has no such field' solve "${small[@]}" --vary /hardware/device/hbm_bandwith --want 'step_time=1 s'
  refuses 2 'is not a number' solve "${small[@]}" --vary /hardware/device/name --want 'step_time=1 s'
  refuses 2 'wrong kind of unit' solve "${small[@]}" --vary /hardware/device/hbm_bandwidth --want 'step_time=1 s' --to '6 TB'
  refuses 2 'expected a range' solve "${small[@]}" --vary /hardware/device/hbm_bandwidth --want 'step_time=1 s' --to '1 TB/s'
  refuses 2 '--want is required' solve "${small[@]}" --vary /devices
}

case_compare_explains_a_difference_that_adds_up() {
  answers compare "${small[@]}" --set /parallelism/ep=4 -o json
  local sum
  sum=$(awk '/^  "changes"/ { exit } /^      "difference_seconds"/ { sum += $2 } END { printf "%.15g", sum }' out)
  holds "($sum - $(number difference_seconds)) ^ 2 < 1e-24" "parts add up to $sum"
  answers compare "${small[@]}" --set /parallelism/ep=4
  says '^  dispatch forward '
}

case_compare_of_a_scenario_with_itself_is_zero() {
  answers train "${small[@]}" -o json --quiet
  mv out saved.json
  scenario s.json
  answers compare saved.json saved.json -o json
  [[ $(number difference_seconds) =~ ^-?0(\.0)?$ ]] || problem "difference $(number difference_seconds)"
  answers compare s.json s.json -o json
  [[ $(number difference_seconds) =~ ^-?0(\.0)?$ ]] || problem "difference $(number difference_seconds)"
  answers compare saved.json s.json
}

case_compare_takes_a_token_and_the_first_one_apart() {
  local example=$root/examples/serve-deepseek-v3-8-h200.json sum
  answers serve "$example" -o json --quiet
  mv out saved.json
  answers compare saved.json "$example" --set /workload/concurrency=128 -o json
  sum=$(awk '/^  "ttft"/ { exit } /^      "difference_seconds"/ { sum += $2 } END { printf "%.15g", sum }' out)
  holds "($sum - $(number difference_seconds)) ^ 2 < 1e-24" "parts of a token add up to $sum"
  answers compare saved.json "$example" --set /workload/concurrency=128
  says '^  time per output token '
  says '^  of the time to first token'
  says '^  experts +'
  answers compare "$example" --set /workload/kv_cache=fp8
  refuses 2 'answers "train"' compare saved.json "$root/examples/deepseek-v3-256-gb200.json"
}

case_compare_refuses_what_it_cannot_compare() {
  refuses 2 'expected two scenarios or results, or one and --set' compare "${small[@]}"
  refuses 2 'absent\.json: cannot be read' compare absent.json absent.json
  answers train "${small[@]}" -o json --quiet
  mv out step.json
  answers layer "${small[@]}" -o json --quiet
  mv out layer.json
  refuses 2 'layer\.json: answers "layer"' compare step.json layer.json
  refuses 3 'out of memory' compare "${small[@]}" --set /workload/micro_batch=64 --set /workload/global_batch=512
}

# --- flags ---------------------------------------------------------------------------------------------------------
case_set_changes_the_answer() {
  answers train "${small[@]}" -o json --quiet
  local before
  before=$(number value)
  answers train "${small[@]}" --set '/hardware/device/hbm_bandwidth=6 TB/s' -o json --quiet
  holds "$(number value) < $before" "faster memory"
  answers train "${small[@]}" --set '/model/num_hidden_layers=24' -o json --quiet
  holds "$(number value) < 0.6 * $before" "half the layers"
  says '"qwen3-30b-a3b"'
}

case_set_can_be_repeated_and_comes_before_the_file() {
  scenario s.json
  answers train --set /devices=16 --set /workload/sequence=2048 s.json -o json --quiet
  says '^ *"devices": 16,$'
  says '^ *"sequence": 2048,$'
}

case_flags_override_the_file() {
  scenario s.json ', "sequence": 1024, "global_batch": 64'
  answers train s.json --sequence 2048 --global-batch 32 --micro-batch 2 --devices 16 --recipe fp8_block \
    --parallel ep=4 --recompute moe_act,layernorm --routing uniform -o json --quiet
  says '^ *"sequence": 2048,$'
  says '^ *"global_batch": 32,$'
  says '^ *"micro_batch": 2,$'
  says '^ *"devices": 16,$'
  says '^ *"recipe": "fp8_block",$'
  says '^ *"ep": 4,$'
  says '^ *"moe_act"'
  says '^ *"popularity": "uniform"'
}

case_an_inline_base_model_is_a_catalogue_model_changed() {
  printf '{"model": {"base": "deepseek-v3", "num_hidden_layers": 4}, "hardware": {"base": "h200-sxm", "device": {"hbm_capacity": "1 TB"}}, "devices": 8, "parallelism": {"ep": 8}, "workload": {"kind": "train"}}' >s.json
  answers train s.json
  says '^deepseek-v3 \(changed\)'
  says 'of 1 TB'
}

case_files_of_ones_own_are_read() {
  answers train --model "$root/model_configs/qwen3-30b-a3b.json" --hardware "$root/hw_profiles/h200-sxm.json" --devices 8 -o csv
  mv out own
  answers train "${small[@]}" -o csv
  same own out "the catalogue and its own files answer differently"
}

case_underscores_are_accepted_in_names() {
  answers train --model qwen3_30b_a3b --hardware h200_sxm --devices 8 -o csv
  mv out own
  answers train "${small[@]}" -o csv
  same own out "h200_sxm and h200-sxm answer differently"
  answers show hardware GB200_NVL72
}

case_help_of_every_command_shows_an_example() {
  local command
  answers --help
  says '^Try: moeline '
  for command in train layer explain compare sweep search list show; do
    answers $command --help
    says "^Example: moeline $command "
    silent err
  done
}

case_the_example_of_solve_runs() {
  cd "$root" || return
  "$moeline" solve --help | grep -q "^Example: moeline solve " || problem "solve --help shows no example"
  local line
  line=$("$moeline" solve --help | sed -n 's/^Example: moeline //p')
  eval "\"\$moeline\" $line" >/dev/null 2>&1 || problem "the example fails: moeline $line"
  cd "$scratch" || return
}

case_the_examples_of_the_help_run() {
  local command line
  cd "$root" || return
  for command in train layer explain compare sweep search list show; do
    line=$("$moeline" $command --help | sed -n 's/^Example: moeline //p')
    # shellcheck disable=SC2086  # the words of the example
    "$moeline" $line >/dev/null 2>&1 || problem "the example fails: moeline $line"
  done
  cd "$scratch" || return
}

case_version_is_printed() {
  answers --version
  says '^moeline [0-9]+\.[0-9]+\.[0-9]+$'
}

# --- sweeps --------------------------------------------------------------------------------------------------------
sweep_file() {  # file, points: a random sweep of a small model
  cat >"$1" <<END
{"scenario": {"model": "qwen3-30b-a3b", "hardware": "h200-sxm", "devices": 64, "workload": {"kind": "train", "global_batch": 512}},
 "vary": {"/parallelism/ep": [1, 2, 4, 8, 16, 32, 64, 5], "/workload/micro_batch": [1, 2, 4], "/parallelism/pp": "1..8",
          "/hardware/device/hbm_bandwidth": {"from": "4 TB/s", "to": "8 TB/s", "scale": "log"}},
 "mode": {"random": $2, "seed": 3}}
END
}

case_a_sweep_has_one_row_for_every_point_in_order() {
  printf '{"scenario": {"model": "qwen3-30b-a3b", "hardware": "h200-sxm"}, "vary": {"/devices": "8..32*2", "/parallelism/ep": [8, 16, "x"]}}' >s.json
  answers sweep s.json
  [[ $(head -n 1 out) == /devices,/parallelism/ep,step_time_seconds,step_time_p10_seconds,*,memory_available_bytes,recompute_chosen,feasible,reason ]] ||
    problem "header: $(head -n 1 out)"
  [[ $(cut -d, -f 1,2 out | tail -n +2 | tr '\n' ' ') == '8,8 8,16 8,x 16,8 16,16 16,x 32,8 32,16 32,x ' ]] || problem "order: $(cut -d, -f 1,2 out)"
  says '^8,16,,,.*,false,etp x ep = 16 does not divide the 8 ranks'
  says '^8,x,,,.*,false,.*expected a whole number'
  silent err
  answers sweep s.json -o json
  says '^\{"/devices":8,"/parallelism/ep":8,"step_time_seconds":[0-9.]+,.*"feasible":true,"reason":""\}$'
  says '"step_time_seconds":null.*"feasible":false'
}

case_a_point_of_a_sweep_answers_as_train_does() {
  printf '{"scenario": {"model": "qwen3-30b-a3b", "hardware": "h200-sxm", "devices": 16}, "vary": {"/parallelism/ep": [8], "/hardware/device/hbm_bandwidth": ["6 TB/s"], "/model/num_hidden_layers": [24]}}' >s.json
  answers sweep s.json
  local time
  time=$(tail -n 1 out | cut -d, -f 4)
  answers train --model qwen3-30b-a3b --hardware h200-sxm --devices 16 --parallel ep=8 \
    --set '/hardware/device/hbm_bandwidth=6 TB/s' --set /model/num_hidden_layers=24 -o json --quiet
  holds "($(number value) / $time - 1) ^ 2 < 1e-16" "sweep $time, train $(number value)"
}

case_a_sweep_says_what_is_computed_again_where_that_is_open() {
  local dense='{"scenario": {"model": "llama-3.1-8b", "hardware": "h100-sxm", "devices": 8, "workload": {"kind": "train", "global_batch": 64%s}}, "vary": {"/workload/sequence": [1024, 8192]}}'
  printf "$dense" '' >open.json
  answers sweep open.json
  says '^1024,.*,,true,$'
  says '^8192,.*,"all but attention .*",true,$'
  printf "$dense" ', "recompute": "full"' >given.json
  answers sweep given.json
  ! grep -q recompute_chosen out || problem "nothing is chosen where it is given"
}

case_a_sweep_writes_the_same_bytes_on_any_number_of_threads() {
  sweep_file s.json 400
  answers sweep s.json --threads 1
  mv out one
  answers sweep s.json --threads 4
  same one out "threads change the rows"
  answers sweep s.json --threads 3 --pareto step_time_seconds,memory_required_bytes
  mv out front
  answers sweep s.json --threads 1 --pareto step_time_seconds,memory_required_bytes --where feasible
  same front out "threads change the front"
}

until_under_way() {  # file of rows: waits until it notes points, however slow the machine
  for _ in {1..3000}; do
    grep -qs '"points":[1-9]' "$1.progress" && return
    sleep 0.01
  done
  problem "no points of $1 in 30 s"
}

points_in() {  # seconds: how many this machine notes by then, however fast it is
  sweep_file s.json 100000000
  "$moeline" sweep s.json --out rate.csv --quiet 2>err &
  until_under_way rate.csv
  sleep "$1"
  kill -9 $!
  wait $! 2>/dev/null
  sed 's/.*"points":\([0-9]*\).*/\1/' rate.csv.progress
  rm -f rate.csv rate.csv.progress
}

case_a_sweep_killed_ten_times_goes_on_without_losing_or_repeating_a_row() {
  local flags pid kills points
  points=$(points_in 1.5)
  sweep_file s.json "$points"
  for flags in "" "--pareto step_time_seconds,memory_required_bytes"; do
    rm -f rows.csv rows.csv.progress
    # shellcheck disable=SC2086  # several words
    answers sweep s.json $flags
    mv out undisturbed
    kills=0
    until ((kills == 10)); do
      # shellcheck disable=SC2086
      "$moeline" sweep s.json $flags --out rows.csv --quiet 2>err &
      pid=$!
      sleep "0.$((RANDOM % 4))$((RANDOM % 10))"
      kill -9 $pid 2>/dev/null
      if wait $pid 2>/dev/null; then rm -f rows.csv rows.csv.progress; else kills=$((kills + 1)); fi
    done
    # shellcheck disable=SC2086
    answers sweep s.json $flags --out rows.csv
    same undisturbed rows.csv "killed and gone on with, it differs from an undisturbed run"
    # shellcheck disable=SC2086
    answers sweep s.json $flags --out rows.csv
    grep -q "$points of $points points are there already" err || problem "a complete sweep ran again: $(cat err)"
    same undisturbed rows.csv "a complete sweep was changed"
  done
}

case_a_stopped_sweep_says_what_is_missing() {
  sweep_file s.json 100000000
  rm -f rows.csv rows.csv.progress
  "$moeline" sweep s.json --pareto step_time_seconds,memory_required_bytes --out rows.csv 2>err &
  until_under_way rows.csv
  kill $!
  wait $!
  local code=$?
  ((code == 4)) || problem "exit $code, expected 4"
  grep -qE '^moeline: rows.csv: stopped; points [0-9]+ to 100000000 are missing, and the front so far is kept beside it' err ||
    problem "said $(cat err)"
}

case_a_sweep_over_the_rows_of_another_is_refused() {
  rm -f rows.csv rows.csv.progress
  sweep_file s.json 20
  answers sweep s.json --out rows.csv
  refuses 2 '--out rows.csv: holds the rows of another sweep' sweep s.json --out rows.csv -o json
  refuses 2 '--out rows.csv: holds the rows of another sweep' sweep s.json --out rows.csv --where feasible
  sweep_file s.json 21
  refuses 2 '--out rows.csv: holds the rows of another sweep' sweep s.json --out rows.csv
  echo mine >notes.txt
  refuses 2 '--out notes.txt: is there already, and not from an unfinished sweep' sweep s.json --out notes.txt
  [[ $(cat notes.txt) == mine ]] || problem "a file was overwritten"
  refuses 2 'cannot be written' sweep s.json --out absent/rows.csv
}

case_rows_of_a_sweep_are_chosen_by_conditions_and_by_the_front() {
  sweep_file s.json 200
  answers sweep s.json --where feasible --where 'ep>=8' --where 'memory_required_bytes<60 GB'
  [[ $(wc -l <out) -gt 2 ]] || problem "no rows"
  ! grep -q ',false,' out || problem "an infeasible row"
  awk -F, 'NR > 1 && ($1 < 8 || $11 >= 60e9) { exit 1 }' out || problem "a row outside the conditions"
  answers sweep s.json --where feasible
  mv out all
  answers sweep s.json --pareto mfu,memory_required_bytes
  [[ $(wc -l <out) -gt 2 ]] || problem "no front"
  # By the definition: the feasible rows that no other beats in MFU (column 10, more is better) and memory (11).
  awk -F, 'NR == 1 { print; next } { row[NR] = $0; u[NR] = $10; m[NR] = $11 }
    END { for (i = 2; i <= NR; ++i) { beaten = 0
            for (j = 2; j <= NR; ++j) beaten += u[j] >= u[i] && m[j] <= m[i] && (u[j] > u[i] || m[j] < m[i])
            if (!beaten) print row[i] } }' all >expected
  same out expected "the front is not the rows that no other beats"
}

case_mistakes_in_a_sweep_file_are_named() {
  local vary='{"/parallelism/ep": [1, 2]}' scenario='{"model": "qwen3-30b-a3b", "hardware": "h200-sxm"}'
  wrong() {  # pattern, scenario, vary, mode
    printf '{"scenario": %s, "vary": %s, "mode": %s}' "$2" "$3" "${4:-\"grid\"}" >s.json
    refuses 2 "$1" sweep s.json
  }
  wrong '#/paralelism: unknown key, did you mean "parallelism"\?' "$scenario" '{"/paralelism/ep": [1]}'
  wrong 'unknown model "qwen3-30b-a3c"' '{"model": "qwen3-30b-a3c", "hardware": "h200-sxm"}' "$vary"
  wrong '#/vary/devices: the list is empty' "$scenario" '{"/devices": []}'
  wrong '#/vary/devices: "8\.\.4": ends before it starts' "$scenario" '{"/devices": "8..4"}'
  wrong 'expected a pointer into the scenario' "$scenario" '{"devices": [8]}'
  wrong '#/mode: .*did you mean "grid"\?' "$scenario" "$vary" '"gird"'
  wrong '#/mode: say how many' "$scenario" "$vary" '"random"'
  wrong 'a zip needs as many of each' "$scenario" '{"/devices": [8, 16], "/parallelism/ep": [1]}' '"zip"'
  wrong 'vary its fields' "$scenario" '{"/workload/kind": ["train", "layer"]}'
  printf '{"scenari": {}, "vary": {}}' >s.json
  refuses 2 's\.json#/scenario: missing' sweep s.json
  sweep_file s.json 5
  refuses 2 '--where: no column "mfuu", did you mean "mfu"\?' sweep s.json --where 'mfuu>1'
  refuses 2 '--pareto: expected two columns' sweep s.json --pareto mfu
  refuses 2 '--threads' sweep s.json --threads 0
  refuses 2 'file is required' sweep
}

case_search_shows_layouts_that_train_confirms_and_counts_the_others() {
  local first=(--fix zero=1 --fix cp=1 --fix micro_batch=1)
  answers search "${small[@]}" "${first[@]}" --top 3 --threads 1
  [[ $(awk '/legal layouts/ { exit } NF > 5' out | wc -l) == 4 ]] || problem "not three layouts under a header"
  says '^ *[0-9]+  feasible, but slower$'
  says '^ *[0-9]+  etp x ep = N does not divide'
  mv out one
  answers search "${small[@]}" "${first[@]}" --top 3 --threads 4
  same one out "threads change the answer"
  answers search "${small[@]}" "${first[@]}" --top 1 -o json
  says '"layouts": \['
  says '"lost": \{'
  local time tp pp vpp ep etp
  time=$(number step_time_seconds) tp=$(number tp) pp=$(number pp) vpp=$(number vpp) ep=$(number ep) etp=$(number etp)
  local recompute
  recompute=$(sed -n 's/^ *"recompute": "\(.*\)",$/\1/p' out)
  [[ $recompute != light ]] || recompute=layernorm,moe_act,mla_up_proj
  answers train "${small[@]}" --parallel "tp=$tp,pp=$pp,vpp=$vpp,ep=$ep,etp=$etp" --micro-batch 1 --recompute "$recompute" \
    --global-batch 128 -o json --quiet
  holds "($(number value) / $time - 1) ^ 2 < 1e-16" "search $time, train $(number value)"
}

case_search_tries_recipes_and_schedules() {
  local few=(--fix cp=1 --fix etp=1 --fix zero=1 --fix micro_batch=1 --fix recompute=none)
  answers search "${small[@]}" "${few[@]}" --try-recipes bf16,fp8_tensor --top 100000 -o json
  says '"recipe": "bf16"'
  says '"recipe": "fp8_tensor"'
  local both
  both=$(number legal)
  answers search "${small[@]}" "${few[@]}" --try-recipes bf16 --top 1 -o json
  holds "2 * $(number legal) == $both" "layouts of two recipes: $both"
  answers search "${small[@]}" "${few[@]}" --fix schedule=zb_h1 --top 1 -o json
  says '"schedule": "zb_h1"'
  answers search "${small[@]}" "${few[@]/none/full}" --fix pp=2 --try-schedules all --top 100000 -o json
  local schedule
  for schedule in gpipe 1f1b interleaved_1f1b zb_h1 zb_h2 zb_v dualpipe dualpipe_v; do says "\"schedule\": \"$schedule\""; done
  answers search "${small[@]}" "${few[@]}" --try-recipes all --top 20 -o json
  ! grep -q '"recipe": "mxfp8"' out || problem "mxfp8 without block-scaled tensor cores"
  refuses 2 '--fix: schedule: unknown value "gpip", did you mean "gpipe"\?' search "${small[@]}" --fix schedule=gpip
  refuses 2 'unknown recipe "bf61", did you mean "bf16"\?' search "${small[@]}" --try-recipes bf61
}

case_search_shows_the_front_of_two_objectives() {
  local few=(--fix cp=1 --fix etp=1 --fix micro_batch=1)
  answers search "${small[@]}" "${few[@]}" --pareto time,memory -o csv
  mv out front
  # Ever slower, ever smaller: column numbers from the header.
  awk -F, 'NR == 1 { for (i = 1; i <= NF; ++i) at[$i] = i; next }
    NR > 2 && !($at["step_time_seconds"] > time && $at["memory_required_bytes"] < memory) { exit 1 }
    { time = $at["step_time_seconds"]; memory = $at["memory_required_bytes"] }
    END { exit NR < 4 }' front || problem "no staircase of three steps: $(cat front)"
  answers search "${small[@]}" "${few[@]}" --top 1 -o csv
  [[ $(sed -n 2p front | cut -d, -f14) == $(sed -n 2p out | cut -d, -f14) ]] || problem "the front does not begin with the quickest"
  refuses 2 '--pareto: unknown value "tiem", did you mean "time"\?' search "${small[@]}" --pareto tiem,memory
  refuses 2 '--pareto: expected two of time, memory' search "${small[@]}" --pareto time
}

case_search_keeps_to_the_memory_it_is_given() {
  answers search "${small[@]}" --fix cp=1 --fix etp=1 --objective memory --top 1 -o json
  local least
  least=$(number memory_required_bytes)
  answers search "${small[@]}" --fix cp=1 --fix etp=1 --max-memory '100 GB' --top 1 -o json
  holds "$least <= $(number memory_required_bytes) && $(number memory_required_bytes) <= 100e9" "memory"
  says '"over --max-memory": [0-9]+'
  refuses 3 'infeasible: none of [0-9]+ legal layouts runs' search "${small[@]}" --fix cp=1 --max-memory '1 GB' -o csv
}

case_mistakes_of_a_search_are_named() {
  refuses 2 '--fix: unknown name "pq"' search "${small[@]}" --fix pq=4
  refuses 2 '--fix: pp: "x" is not a whole number' search "${small[@]}" --fix pp=x
  refuses 2 '--max-memory: "100": expected a size with its unit' search "${small[@]}" --max-memory 100
  refuses 2 '--objective: unknown value "tiem", did you mean "time"\?' search "${small[@]}" --objective tiem
  refuses 2 '--top' search "${small[@]}" --top 0
}

# --- stdout and stderr ---------------------------------------------------------------------------------------------
case_warnings_go_to_stderr_when_stdout_is_data() {
  local format
  for format in json csv md; do
    answers train "${small[@]}" -o $format
    grep -q 'perfectly balanced' err || problem "$asked: no warning on stderr"
    answers train "${small[@]}" -o $format --quiet
    silent err
  done
  answers train "${small[@]}"
  silent err
  says '^  ! '
}

case_no_colour_unless_on_a_terminal() {
  answers train "${small[@]}"
  ! grep -q $'\033' out || problem "colour codes in a pipe"
  answers layer "${small[@]}"
  ! grep -q $'\033' out || problem "colour codes in a pipe"
}

# --- lists ---------------------------------------------------------------------------------------------------------
case_lists_name_what_the_folders_hold() {
  local file name
  answers list models
  for file in "$root"/model_configs/*.json; do
    name=$(basename "$file" .json)
    grep -q "^  $name " out || problem "list models lacks $name"
  done
  answers list hardware
  for file in "$root"/hw_profiles/*.json; do
    name=$(basename "$file" .json)
    grep -q "^  $name " out || problem "list hardware lacks $name"
  done
  answers list
  answers list -o json
}

case_every_model_and_machine_can_be_shown() {
  local file
  for file in "$root"/model_configs/*.json; do answers show model "$(basename "$file" .json)"; done
  for file in "$root"/hw_profiles/*.json; do answers show hardware "$(basename "$file" .json)"; done
  for file in bf16 fp8_tensor fp8_block mxfp8 nvfp4; do answers show recipe $file; done
  answers show model deepseek-v3 -o json
  says '"main": 671026419200'
}

# --- bad input: exit 2 ---------------------------------------------------------------------------------------------
case_a_misspelt_key_gets_did_you_mean() {
  scenario s.json ', "sequnce": 4096'
  refuses 2 's\.json#/workload/sequnce: unknown key, did you mean "sequence"\?' train s.json
  printf '{"modl": "qwen3-30b-a3b", "hardware": "h200-sxm"}' >s.json
  refuses 2 's\.json#/' train s.json
  printf '{"model": {"base": "qwen3-30b-a3b", "num_hidden_layer": 4}, "hardware": "h200-sxm"}' >s.json
  refuses 2 's\.json#/model/num_hidden_layer: unknown key, did you mean "num_hidden_layers"\?' train s.json
  sed 's/hbm_capacity/hmb_capacity/' "$root/hw_profiles/h200-sxm.json" >h200.json
  refuses 2 'h200\.json#/device/hmb_capacity: unknown key, did you mean "hbm_capacity"\?' train --model mixtral-8x7b --hardware h200.json
}

case_a_misspelt_model_gets_did_you_mean() {
  refuses 2 'unknown model "deepsek-v3", did you mean "deepseek-v3"\?' train --model deepsek-v3 --hardware h200-sxm
  refuses 2 'unknown model "deepsek-v3", did you mean "deepseek-v3"\?' show model deepsek-v3
  refuses 2 'unknown model "something-else"' train --model something-else --hardware h200-sxm
}

case_a_misspelt_device_gets_did_you_mean() {
  refuses 2 'unknown hardware "h200-sxn", did you mean "h200-sxm"\?' train --model mixtral-8x7b --hardware h200-sxn
  refuses 2 'unknown hardware "gb20-nvl72", did you mean "gb200-nvl72"\?' show hardware gb20-nvl72
}

case_a_misspelt_choice_gets_did_you_mean() {
  refuses 2 '#/workload/recompute: .*"moe_atc", did you mean "moe_act"\?' train "${small[@]}" --recompute moe_atc
  refuses 2 '#/workload/overlap: .*"dp_reduse", did you mean "dp_reduce"\?' train "${small[@]}" --set '/workload/overlap=["dp_reduse"]'
  refuses 2 '#/workload/transport: .*"deepeep", did you mean "deepep"\?' train "${small[@]}" --set /workload/transport=deepeep
  refuses 2 '#/parallelism/schedule: .*"1f1", did you mean "1f1b"\?' train "${small[@]}" --parallel schedule=1f1
  refuses 2 '#/recipe: .*"mxfp9", did you mean "mxfp8"\?' train "${small[@]}" --recipe mxfp9
  refuses 2 '#/routing/popularity: .*"unifrom", did you mean "uniform"\?' train "${small[@]}" --routing unifrom
  refuses 2 '#/workload/optimizer: .*"adamw", did you mean "adam"\?' train "${small[@]}" --set /workload/optimizer=adamw
  refuses 2 '#/workload/kind: .*"trian", did you mean "train"\?' train "${small[@]}" --set /workload/kind=trian
  refuses 2 '--parallel: unknown name "eq", did you mean "ep"\?' train "${small[@]}" --parallel eq=8
}

case_an_unknown_flag_or_command_is_named() {
  refuses 2 'unknown flag --modle, did you mean --model\?' train --modle mixtral-8x7b
  refuses 2 'unknown flag --frobnicate; see `moeline train --help`' train --frobnicate
  refuses 2 'unknown flag --frobnicate' --frobnicate
  refuses 2 'unknown command "trian": did you mean "train"\?' trian
  refuses 2 'unknown command "frobnicate"' frobnicate
  refuses 2 'which question\? One of train, layer'
  refuses 2 'unexpected argument "b\.json"' train a.json b.json
  refuses 2 '--output: unknown value "jsn", did you mean "json"\?' train -o jsn
  refuses 2 'unknown value "modles", did you mean "models"\?' list modles
  refuses 2 'unknown value "modle", did you mean "model"\?' show modle deepseek-v3
  refuses 2 '--devices: given more than once' train "${small[@]}" --devices 16
}

case_an_unknown_pointer_is_named() {
  refuses 2 '#/paralelism: unknown key, did you mean "parallelism"\?' train "${small[@]}" --set /paralelism/ep=8
  refuses 2 '#/workload/sequense: unknown key, did you mean "sequence"\?' train "${small[@]}" --set /workload/sequense=8
  refuses 2 '#/hardware/device/hmb_bandwidth: unknown key, did you mean "hbm_bandwidth"\?' train "${small[@]}" --set '/hardware/device/hmb_bandwidth=6 TB/s'
  refuses 2 '#/model/num_expert: unknown key, did you mean "num_experts"\?' train "${small[@]}" --set /model/num_expert=8
  refuses 2 '"7" is not an index of an array of 2' train "${small[@]}" --set '/hardware/fabric/7/bandwidth=6 TB/s'
  refuses 2 'expected POINTER=VALUE' train "${small[@]}" --set sequence
  refuses 2 'expected POINTER=VALUE' train "${small[@]}" --set =4096
  refuses 2 '--set: 1 required' train "${small[@]}" --set
}

case_a_number_without_unit_is_refused() {
  refuses 2 '#/hardware/device/hbm_bandwidth/value: 4\.8 has no unit' train "${small[@]}" --set /hardware/device/hbm_bandwidth=4.8
  refuses 2 '#/hardware/device/hbm_bandwidth/value: "4\.8": the unit is missing' train "${small[@]}" --set '/hardware/device/hbm_bandwidth="4.8"'
  refuses 2 'wrong kind of unit' train "${small[@]}" --set '/hardware/device/hbm_bandwidth=4.8 TB'
  refuses 2 'unknown unit "parsec"' train "${small[@]}" --set '/hardware/device/hbm_bandwidth=4.8 parsec'
}

case_a_fact_without_source_is_refused() {
  awk '!/"source": "NVIDIA H200 datasheet, 2024"/' "$root/hw_profiles/h200-sxm.json" | sed -e ':a' -e 'N' -e '$!ba' -e 's/,\(\n *}\)/\1/g' >h200.json
  refuses 2 'h200\.json#/device/hbm_capacity/source: missing' train --model mixtral-8x7b --hardware h200.json
}

case_negative_and_zero_values_are_refused() {
  local key
  for key in sequence global_batch micro_batch; do
    refuses 2 "#/workload/$key: 0 is out of range" train "${small[@]}" --set /workload/$key=0
    refuses 2 "#/workload/$key: -4 is out of range" train "${small[@]}" --set /workload/$key=-4
  done
  for key in tp pp vpp ep etp cp dp; do
    refuses 2 "#/parallelism/$key: 0 is out of range" train "${small[@]}" --parallel $key=0
    refuses 2 "#/parallelism/$key: -1 is out of range" train "${small[@]}" --parallel $key=-1
  done
  refuses 2 '#/devices: 0 is out of range' train --model mixtral-8x7b --hardware h200-sxm --devices 0
  refuses 2 '#/devices: -8 is out of range' train --model mixtral-8x7b --hardware h200-sxm --devices -8
  refuses 2 'must be greater than zero' train "${small[@]}" --set '/hardware/device/hbm_bandwidth=0 TB/s'
  refuses 2 'must be greater than zero' train "${small[@]}" --set '/hardware/device/hbm_bandwidth=-3 TB/s'
  refuses 2 '#/model/hidden_size: -8 is out of range' train "${small[@]}" --set /model/hidden_size=-8
  refuses 2 '#/workload/tokens: 0 is out of range' layer "${small[@]}" --tokens 0
}

case_not_a_number_is_refused() {
  printf '{"devices": NaN}' >s.json
  refuses 2 's\.json: not valid JSON at line 1' train s.json
  refuses 2 '#/workload/sequence: expected a whole number' train "${small[@]}" --set /workload/sequence=NaN
  refuses 2 'expected a number and a unit' train "${small[@]}" --set '/hardware/device/hbm_bandwidth=nan TB/s'
  refuses 2 'expected a number and a unit' train "${small[@]}" --set '/hardware/device/hbm_bandwidth=inf TB/s'
  refuses 2 '--devices' train --model mixtral-8x7b --hardware h200-sxm --devices many
}

case_overflowing_values_are_refused() {
  printf '{"devices": 1e999}' >s.json
  refuses 2 's\.json: a number in the JSON is out of range' train s.json
  refuses 2 '#/workload/sequence: ' train "${small[@]}" --set /workload/sequence=1e30
  refuses 2 '#/workload/sequence: ' train "${small[@]}" --set /workload/sequence=99999999999999999999
  refuses 2 '#/devices: ' train --model mixtral-8x7b --hardware h200-sxm --devices 9223372036854775807
  refuses 2 'devices' train --model mixtral-8x7b --hardware h200-sxm --devices 99999999999999999999
  refuses 2 'out of range' train "${small[@]}" --set '/hardware/device/hbm_bandwidth=1e999 TB/s'
  refuses 2 'out of range' train "${small[@]}" --set '/hardware/device/hbm_bandwidth=1e-310 B/s'
  refuses 2 'out of range' train "${small[@]}" --set '/hardware/fabric/0/latency=1e300 s'
  refuses 2 '#/model/' train "${small[@]}" --set /model/hidden_size=9223372036854775807
}

case_a_damaged_file_is_named() {
  head -c 300 "$root/examples/qwen3-235b-256-h100.json" >truncated.json
  refuses 2 'truncated\.json: the JSON ends too early, after 300 bytes' train truncated.json
  : >empty.json
  refuses 2 'empty\.json: the file is empty' train empty.json
  printf ' \n\n' >blank.json
  refuses 2 'blank\.json: the file is empty' train blank.json
  printf '\177ELF\002\001\001\000\000\377\376' >binary.json
  refuses 2 'binary\.json: not valid JSON at line 1' train binary.json
  printf '[1, 2]' >array.json
  refuses 2 'array\.json: expected an object' train array.json
  printf '{"model": "mixtral-8x7b", "model": "dbrx"}' >twice.json
  refuses 2 'twice\.json: key "model" appears twice' train twice.json
  printf '[%.0s' {1..5000} >deep.json
  refuses 2 'deep\.json: nested deeper than' train deep.json
  printf '{"model": "mixtral-8x7b",\n "hardware": "h200-sxm"\n "devices": 8}' >comma.json
  refuses 2 'comma\.json: not valid JSON at line 3' train comma.json
}

case_a_file_of_100_MB_is_refused() {
  { printf '{"a": ['; yes '1,' | head -c 100000000; printf '1]}'; } >large.json
  refuses 2 'large\.json: larger than 16 MB' train large.json
  refuses 2 'large\.json: larger than 16 MB' train --model ./large.json --hardware h200-sxm
}

case_an_unreadable_file_is_named() {
  refuses 2 'absent\.json: cannot be read' train absent.json
  refuses 2 'absent\.json: cannot be read' train --model absent.json --hardware h200-sxm
  refuses 2 'absent\.json: cannot be read' train --model mixtral-8x7b --hardware absent.json
  mkdir folder.json
  refuses 2 'folder\.json: cannot be read' train folder.json
  if ((EUID != 0)); then
    scenario secret.json
    chmod 000 secret.json
    refuses 2 'secret\.json: cannot be read' train secret.json
  fi
}

case_a_config_of_unknown_family_is_refused() {
  printf '{"model_type": "gpt9_moe", "hidden_size": 4096}' >config.json
  refuses 2 'config\.json#/model_type: unknown family "gpt9_moe"' train --model ./config.json --hardware h200-sxm
  printf '{"model_type": "mixtrall", "hidden_size": 4096}' >config.json
  refuses 2 'did you mean "mixtral"\?' show model ./config.json
  refuses 2 '#/model_type: missing' train --model "$root/examples/qwen3-235b-256-h100.json" --hardware h200-sxm
}

case_what_is_missing_is_named() {
  refuses 2 '#/model: missing, name a model: --model ' train --hardware h200-sxm
  refuses 2 '#/hardware: missing, name a machine: --hardware ' train --model mixtral-8x7b
  refuses 2 'name is required' show model
}

case_what_is_not_modelled_is_refused() {
  refuses 2 'zb_v runs with vpp=2 only' train "${small[@]}" --parallel vpp=3,schedule=zb_v
  refuses 2 'hide the same exchanges: name one' train "${small[@]}" --set '/workload/overlap=["two_batch", "ep_1f1b"]'
  refuses 2 '#/routing/alpha: missing' train "${small[@]}" --routing zipf
  refuses 2 '#/routing/alpha: ' train "${small[@]}" --routing uniform:1.2
}

case_a_calibration_file_that_is_none_is_refused() {
  refuses 2 'fit\.json: cannot be read' train "${small[@]}" --calibration fit.json
  printf '{"device": "h200-sxm", "familes": []}' >fit.json
  refuses 2 'fit\.json#/familes: unknown key, did you mean "families"?' train "${small[@]}" --calibration fit.json
  refuses 2 'nothing.csv: cannot be read' fit nothing.csv
  printf 'a,b\n1,2\n' >some.csv
  refuses 2 'some.csv: the header matches no known measurement file' check some.csv
}

case_a_scenario_of_another_kind_is_refused() {
  printf '{"model": "qwen3-30b-a3b", "hardware": "h200-sxm", "workload": {"kind": "layer"}}' >s.json
  refuses 2 's\.json#/workload/kind: this scenario asks about "layer"' train s.json
  answers layer s.json
}

# --- infeasible: exit 3 --------------------------------------------------------------------------------------------
case_ep_that_does_not_divide_the_experts_is_infeasible() {
  refuses 3 'ep=3 does not divide the 128 experts of qwen3-30b-a3b' train --model qwen3-30b-a3b --hardware h200-sxm --devices 24 --parallel ep=3
}

case_more_devices_than_the_layout_uses_is_infeasible() {
  refuses 3 'tp x cp x pp x dp = 4 uses 4 devices of 8; set dp=auto' train "${small[@]}" --parallel dp=4
  refuses 3 'tp x cp x pp = 3 does not divide 8 devices' train "${small[@]}" --parallel pp=3
  refuses 3 'does not divide' train "${small[@]}" --parallel tp=1048576,pp=1048576,cp=1048576
}

case_other_illegal_layouts_are_infeasible() {
  refuses 3 'pp x vpp = 800 stages for 48 layers' train "${small[@]}" --parallel pp=8,vpp=100
  refuses 3 'vpp > 1 needs pp > 1' train "${small[@]}" --parallel vpp=2
  refuses 3 'does not divide global_batch 7' train "${small[@]}" --global-batch 7
  refuses 3 'does not divide the sequence of 100' train "${small[@]}" --parallel cp=8 --sequence 100
  refuses 3 'pipeline_layout' train "${small[@]}" --set /workload/pipeline_layout=xx
  refuses 3 'h200-sxm|H200.* has no fp4 tensor path' train "${small[@]}" --recipe nvfp4
  refuses 3 'WSE-3 has no fp8 path' train --model mixtral-8x7b --hardware cs-3 --recipe mxfp8
  refuses 3 'the largest g that fits is' train --model qwen3-30b-a3b --hardware cs-2 --sequence 8192 --global-batch 4096 --set /workload/wafer/g=4096
  refuses 2 'did you mean "attention_tile"' train --model qwen3-30b-a3b --hardware cs-2 --set /workload/wafer/attention_tiles=1
}

case_out_of_memory_is_infeasible_and_says_what_overflows() {
  refuses 3 'infeasible: out of memory: stage 0 needs [0-9.]+ TB of 141 GB, most of it optimizer' train --model deepseek-v3 --hardware h200-sxm --devices 8
  ask train --model deepseek-v3 --hardware h200-sxm --devices 8 -o json
  ((code == 3)) || problem "$asked: exit $code, expected 3"
  [[ $(wc -l <err) == 1 ]] || problem "$asked: $(wc -l <err) lines on stderr"
  says '^  "feasible": false,$'
  says '^  "reason": "out of memory'
  says '^  "advice": "'
  holds "$(number need_bytes) > $(number have_bytes) && $(number have_bytes) == 141e9" "need and have"
  ! grep -q step_time out || problem "an infeasible scenario has a time"
}

case_scores_that_cannot_be_used_are_refused_by_place() {
  printf '1,2\n3\n' >ragged.csv
  printf '1,nan\n' >nan.csv
  : >empty.csv
  # Header and, of two tokens by four experts, what follows it.
  numpy() { printf '\x93NUMPY\x01\x00\x46\x00%-69s\n%s' "{'descr': '$2', 'fortran_order': $3, 'shape': $4, }" "$5" >"$1.npy"; }
  numpy cut '<f4' False '(2, 4)' 1234
  numpy none '<f4' False '(0, 4)' 1234
  numpy double '<f8' False '(2, 4)' "$(printf '%064d' 0)"
  numpy big '>f4' False '(2, 4)' "$(printf '%032d' 0)"
  numpy columns '<f4' True '(2, 4)' "$(printf '%032d' 0)"
  numpy flat '<f4' False '(8,)' "$(printf '%032d' 0)"
  numpy cube '<f4' False '(2, 2, 2)' "$(printf '%032d' 0)"
  numpy long '<f4' False '(2, 4)' "$(printf '%033d' 0)"
  head -c 40 cut.npy >header.npy
  printf '\x93NUMPY\x01\x00\x02\x00{}' >short.npy
  printf '1,2\n3,-inf\n' >infinite.csv
  printf '1,x\n' >word.csv
  printf '1,2,3,4\n' >four.csv
  refuses 2 'token 1, expert 1 is not finite' route --scores infinite.csv --top-k 1
  refuses 2 'word.csv:1:3: "x" is no number' route --scores word.csv --top-k 1
  refuses 2 'cut.npy: holds 4 bytes, 2 x 4 float32 take 32' route --scores cut.npy --top-k 1
  refuses 2 'none.npy: expected two dimensions, tokens by experts, neither empty' route --scores none.npy --top-k 1
  refuses 2 'four.csv: scores of 4 experts, the model has 128' route --scores four.csv "${small[@]}"
  refuses 2 '4 of 4 experts leaves nothing to choose' route --scores four.csv --top-k 4
  refuses 2 'missing.npy: cannot be read' route --scores missing.npy --top-k 1
  refuses 2 'ragged.csv:2: 1 scores, the lines before have 2' route --scores ragged.csv --top-k 1
  refuses 2 'token 0, expert 1 is not finite' route --scores nan.csv --top-k 1
  refuses 2 'holds no scores' route --scores empty.csv --top-k 1
  local name
  for name in short double big columns; do refuses 2 "$name.npy: expected float32 in C order" route --scores $name.npy --top-k 1; done
  for name in flat cube; do refuses 2 "$name.npy: expected two dimensions" route --scores $name.npy --top-k 1; done
  refuses 2 'long.npy: holds 33 bytes' route --scores long.npy --top-k 1
  refuses 2 'header.npy: truncated' route --scores header.npy --top-k 1
  refuses 2 'do not divide over 3 ranks' route --routing zipf:1 --experts 8 --ranks 3
}

case_every_balancer_evens_out_a_power_law() {
  answers route --routing power-law:1.2 --experts 256 --ranks 32 --redundant 32 -o json
  python3 - out <<'END' || problem "route: loads are not what balancers make of them"
import json, sys
rows = {r["balancer"]: r for r in json.load(open(sys.argv[1]))["balancers"]}
assert rows["none"]["rank_overload"] > 2 and rows["eplb"]["rank_overload"] < 1.03 and rows["dynamic"]["rank_overload"] == 1
assert rows["capacity"]["max_violation"] <= 0.25 + 1e-9 and rows["capacity"]["drop_rate"] > 0
assert rows["none"]["rank_overload"] > rows["aux_loss"]["rank_overload"] > rows["loss_free"]["rank_overload"] > 1
assert abs(rows["aux_loss"]["max_violation"] - 0.72) < 1e-9 and abs(rows["loss_free"]["max_violation"] - 0.04) < 1e-9
assert rows["quantile"]["rank_overload"] == 1
END
  answers route --routing power-law:1.2 --experts 256 --ranks 32 --tokens 128 --balancer quantile -o json
  # Chance: 2.07 sqrt(4096 x 8/32 x 31/32 x 248/255 x 32/31) / 1024 = 0.0638, and sqrt(2) of it for last batch's prices.
  holds "($(number rank_overload) - 1 - sqrt(2) * 0.0638)^2 < 1e-6" "chance of 4,096 tokens under quantile prices"
}

case_a_balancer_shows_its_own_time_beside_the_step() {
  command -v python3 >/dev/null || return 0
  answers route "${small[@]}" --routing power-law:1.2 --redundant 8 -o json
  python3 - out <<'END' || problem "route: times of steps and balancers"
import json, sys
rows = {r["balancer"]: r for r in json.load(open(sys.argv[1]))["balancers"]}
assert rows["none"]["balancer_time_seconds"] == 0
for paid in "aux_loss", "loss_free", "quantile", "eplb":
    assert 0 < rows[paid]["balancer_time_seconds"] < rows[paid]["step_time_seconds"] < rows["none"]["step_time_seconds"], paid
# Over NVLink copies hide behind the rows that stay, and behind attention.
assert rows["dynamic"]["balancer_time_seconds"] < 1e-6 and rows["dynamic"]["step_time_seconds"] < rows["none"]["step_time_seconds"]
END
}

case_every_schedule_is_compared_in_one_run() {
  local pipelined=(--model qwen3-30b-a3b --hardware h200-sxm --devices 16 --parallel pp=4,ep=4 --global-batch 64)
  answers train "${pipelined[@]}" --schedule all
  local schedule
  for schedule in gpipe 1f1b interleaved_1f1b zb_h1 zb_h2 zb_v dualpipe dualpipe_v; do says "^  $schedule +[12] "; done
  answers train "${pipelined[@]}" --schedule all -o json
  [[ $(grep -c '"schedule":' out) == 8 ]] || problem "$asked: not eight schedules"
  says '"bubble_share": 0\.'
  answers train "${pipelined[@]}" --schedule zb_h1 -o json
  says '"schedule": "zb_h1"'
  refuses 2 'did you mean "dualpipe' train "${pipelined[@]}" --schedule dualpip
  refuses 3 'dualpipe pairs stages, pp=1 is odd' train "${small[@]}" --schedule dualpipe
  refuses 3 'dualpipe needs at least 8 micro-batches' train "${pipelined[@]}" --set /workload/global_batch=16 --schedule dualpipe
}

case_a_trace_is_written_where_asked() {
  answers train "${small[@]}" --trace step.json
  grep -q '"traceEvents":\[' step.json || problem "$asked: no trace"
  answers layer "${small[@]}" --parallel ep=8 --trace layer.json
  grep -q '"name":"F 0"' layer.json || problem "$asked: no forward"
  refuses 2 'draws one schedule, not all' train "${small[@]}" --schedule all --trace step.json
  refuses 2 'cannot be written' train "${small[@]}" --trace nowhere/step.json
}

case_an_infeasible_layout_is_json_too() {
  ask train "${small[@]}" --parallel dp=4 -o json
  ((code == 3)) || problem "$asked: exit $code, expected 3"
  says '^  "feasible": false,$'
  says '^  "reason": "tp x cp x pp x dp = 4'
}

# --- measuring -----------------------------------------------------------------------------------------------------
tiny_suite() {  # 60 products and 12 copies of one millisecond each, and fresh ones
  cat >tiny.json <<'END'
{"effort": {"warm_up": "1 us", "least": "1 us", "most": "5 ms", "noise": 0.1, "samples": 3},
 "cases": [{"op": "gemm", "dtype": "fp32", "shape": {"m": [4, 8, 16, 32, 64], "n k": [[32, 64], [64, 32], [64, 64], [96, 32], [32, 96], [128, 64], [64, 128], [96, 96], [128, 128], [48, 80]]}},
           {"op": "memory_pass", "kind": "copy", "dtype": "fp64", "shape": {"bytes": [4096, 8192, 16384, 32768, 49152, 65536, 98304, 131072, 196608, 262144, 393216, 524288]}},
           {"op": "quantise", "kind": "row", "dtype": "mxfp8", "shape": {"rows": 3, "columns": 100}},
           {"op": "gemm", "dtype": ["bf16", "mxfp8"], "shape": {"m": 5, "n": 33, "k": 70}},
           {"op": "grouped_gemm", "dtype": "bf16", "shape": {"groups": 3, "m": 5, "n": 33, "k": 70}}],
 "fresh": [{"op": "gemm", "dtype": "fp32", "shape": {"m": [6, 24], "n": 80, "k": 80}}]}
END
}

case_a_terminal_of_80_columns_is_not_overrun() {
  command -v script >/dev/null || return 0  # util-linux
  local question
  for question in "train $root/examples/deepseek-v3-256-gb200.json" "train $root/examples/qwen3-235b-16-cs-3.json" "layer ${small[*]}" \
    "serve $root/examples/qwen3-32b-ssd-h100.json" "explain ${small[*]} --ops 2" "compare ${small[*]} --set /parallelism/ep=4" "load ${small[*]}" \
    "route --routing power-law:1.2 --experts 64 --ranks 8" "search ${small[*]} --top 3 --quiet" "show hardware h200-sxm"; do
    asked="moeline $question, in 80 columns"
    NO_COLOR=1 script -qec "stty cols 80; $moeline $question" /dev/null </dev/null 2>err | tr -d '\r' >out
    says 'bound by|time|hottest|source|step'
    local width
    width=$(LC_ALL=C.UTF-8 wc -L <out)
    holds "$width <= 80" "the widest line has $width columns"
    [[ $(tail -c 1 out | od -An -c) == *'\n'* ]] || problem "$asked: the last line does not end"
  done
}

case_what_is_piped_has_neither_colours_nor_progress() {
  local question
  printf '{"scenario": {"model": "qwen3-30b-a3b", "hardware": "h200-sxm", "devices": 8}, "vary": {"/parallelism/ep": [2, 4]}}' >two.json
  for question in "train ${small[*]}" "layer ${small[*]}" "explain ${small[*]}" "sweep two.json" "search ${small[*]}"; do
    # shellcheck disable=SC2086
    answers $question
    ! grep -q $'\033' out err || problem "$asked: writes escapes"
    ! grep -q $'\r' out err || problem "$asked: writes over its own line"
  done
}

case_a_page_is_one_file_or_a_clear_no() {
  ask train "${small[@]}" --report out.html
  if ((code == 2)); then
    grep -q 'this build carries no page' err || problem "$asked: $(cat err)"
    return
  fi
  ((code == 0)) || problem "$asked: exit $code"
  says 'where the time goes'
  ! grep -qE '(src|href)="https?:' out.html || problem "the page asks the network"
  grep -q 'moeline train --model qwen3-30b-a3b' out.html || problem "the page does not name its command"
  ask train --model deepseek-v3 --hardware h200-sxm --devices 8 --report no.html
  ((code == 3)) || problem "$asked: exit $code, expected 3"
  [[ -s no.html ]] || problem "$asked: wrote no page"
  answers train "${small[@]}" -o json
  cp out one.json
  answers report one.json one.json --report both.html
  echo '{"a": 1}' >nothing.json
  refuses 2 'nothing.json: is no result' report nothing.json --report x.html
  echo '{"kind": "train"}' >hollow.json
  refuses 2 'hollow.json: is no result' report hollow.json --report x.html
  echo '{"kind": "</script>"}' >hostile.json
  refuses 2 'hostile.json: is no result' report hostile.json --report x.html
  refuses 2 'expected the name of a file' train "${small[@]}" --report ''
  refuses 2 '/nowhere/x.html' train "${small[@]}" --report /nowhere/x.html
}

case_measuring_the_host_goes_on_where_it_was_killed() {
  tiny_suite
  "$moeline" measure --backend host --suite tiny.json --out records.jsonl >out 2>err &
  local pid=$!
  while [[ ! -s records.jsonl || $(wc -l <records.jsonl) -lt 5 ]] && kill -0 $pid 2>/dev/null; do sleep 0.05; done
  kill -9 $pid 2>/dev/null
  wait $pid 2>/dev/null
  printf '{"op": "gemm", "dev' >>records.jsonl  # half a line
  cp records.jsonl before
  local whole
  whole=$(grep -c '"seconds"' before)
  answers measure --backend host --suite tiny.json --out records.jsonl
  says "^records.jsonl: [0-9]+ measured, $whole there before, 0 failed"
  [[ $(grep -c '"seconds"' records.jsonl) == 66 ]] || problem "$(grep -c '"seconds"' records.jsonl) records, expected 50 + 12 + 1 + 2 + 1"
  cmp -s <(head -n $((whole + 1)) before) <(head -n $((whole + 1)) records.jsonl) || problem "records of the killed run were touched"
  answers measure --backend host --suite tiny.json --out records.jsonl
  says '^records.jsonl: 0 measured, 66 there before'
}

case_calibrating_the_host_closes_the_loop() {
  tiny_suite
  answers calibrate --backend host --suite tiny.json --write mine
  silent err
  says '^  gemm +eigen +fp32 +50 '
  says '^  memory_pass +host-copy +fp64 +12 '
  says 'mean error on fresh shapes'
  # Multiply-adds in registers of four or more lanes: 8 FLOPs a cycle and core at least. What spills reaches 2.
  local a_cycle
  a_cycle=$(awk -F'"' '/"cores"/ {getline; split($3, c, /[:,]/); cores = c[2]} /"clock"/ {getline; split($4, h, " ")} /"peak"/ {getline; split($4, p, " ")}
    END {print int(p[1] / h[1] / cores)}' mine/hardware.json)
  ((a_cycle >= 4)) || problem "a peak of $a_cycle FLOPs a cycle and core"
  local page
  page=$(ls mine/cpu-*.json)
  answers check mine/fresh.jsonl --calibration "$page" -o json
  says '"n": 2,'
  says '"source": "fitted"'
  answers layer --model qwen3-30b-a3b --hardware mine/hardware.json --recipe bf16 --calibration "$page" --tokens 64
  grep -q '^# ' mine/report.md || problem "no report"
}

case_what_cannot_be_measured_leaves_with_4() {
  if ! ls /dev/nvidia[0-9]* >/dev/null 2>&1; then
    refuses 4 'cuda|GPU|CUDA' measure --backend cuda --out none.jsonl
    [[ ! -e none.jsonl ]] || problem "a file was left behind"
  fi
  echo '{"cases": [{"op": "gemm", "dtype": "int3", "shape": {"m": 1, "n": 1, "k": 1}}]}' >odd.json
  refuses 4 'no case' calibrate --backend host --suite odd.json --write odd --quiet
  refuses 2 'quick, full' measure --backend host --suite slow --out none.jsonl
  refuses 2 'did you mean' measure --backend hots
  echo '{"op":"gemm","device":"h200-sxm","backend":"x","shape":{"m":1,"n":1,"k":1},"dtype":"bf16","seconds":{"median":1}}' >other.jsonl
  refuses 2 'holds records of h200-sxm' measure --backend host --suite odd.json --out other.jsonl
}
# shellcheck source=tests/cli/ranks.sh
[[ -e $(dirname "$moeline")/libmoeline_mpi.so ]] && source "$here/ranks.sh"

# --- run -----------------------------------------------------------------------------------------------------------
if (($# == 0)); then
  mapfile -t all < <(declare -F | sed -n 's/^declare -f case_//p')
  set -- "${all[@]}"
fi
passed=0
failed=0
for name in "$@"; do
  declare -F "case_$name" >/dev/null || { echo "no case named $name" >&2; exit 2; }
  problems=0
  "case_$name"
  if ((problems == 0)); then
    passed=$((passed + 1))
    echo "ok      ${name//_/ }"
  else
    failed=$((failed + 1))
    echo "not ok  ${name//_/ }"
  fi
done
echo "$passed passed, $failed failed"
((failed == 0 && passed > 0))
