#!/usr/bin/env bash
# Everything that a GPU is needed for, in one call of less than ten minutes, on a machine with nvcc, CMake and ninja and without
# our libraries:
#   validate/h200-session.sh pack DEPS     where apt works: unpacks the libraries' packages into the folder DEPS
#   validate/h200-session.sh run DEPS OUT  on the GPU: builds, checks, looks for bad accesses and races, measures; results in OUT
# MOELINE_SECONDS (570) is the whole time of a run; what does not fit is cut off, and OUT holds what was done until then.
set -uo pipefail
root=$(readlink -f "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/..")
cd "$root" || exit 1

packages=(libfmt-dev libfmt9 nlohmann-json3-dev libcli11-dev libeigen3-dev libtbb-dev libtbb12 libtbbmalloc2 libtbbbind-2-5 catch2)

usage() {
  sed -n '2,6s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
  exit 2
}

pack() {  # folder
  local folder downloads
  downloads=$(mktemp -d)
  mkdir -p "$1" && folder=$(readlink -f "$1")
  # apt downloads as a user of its own, which must be able to write here
  chmod 755 "$downloads"
  (cd "$downloads" && apt-get -o APT::Sandbox::User=root download "${packages[@]}") || exit 4
  local package
  for package in "$downloads"/*.deb; do dpkg -x "$package" "$folder"; done
  rm -rf "$folder/usr/share/doc" "$downloads"
  du -sh "$folder"
}

left() {  # seconds until the end
  echo $((MOELINE_SECONDS - SECONDS > 1 ? MOELINE_SECONDS - SECONDS : 1))
}

step() {  # name, most seconds, command...: into OUT/name.txt, which it ends with how it went
  local name=$1 most=$2 begin=$SECONDS status=0
  shift 2
  ((most <= $(left))) || most=$(left)
  timeout -k 5 "$most" "$@" >"$out/$name.txt" 2>&1 || status=$?
  echo "$name: $((SECONDS - begin)) s, status $status" | tee -a "$out/$name.txt" "$out/summary.txt"
  return $status
}

machine() {
  nvidia-smi
  nvidia-smi -q -d CLOCK,POWER
  nvcc --version
  lscpu | head -20
}

build() {
  cmake --preset release -B "$build" -DMOELINE_TESTS=ON -DCMAKE_PREFIX_PATH="$deps/usr" -DCMAKE_LIBRARY_ARCHITECTURE=x86_64-linux-gnu &&
    ninja -C "$build" moeline_cuda moeline_gpu_tests moeline
}

# Tiny cases under every tool: each runs some hundred times slower there.
sanitize() {
  local tool
  for tool in memcheck racecheck synccheck initcheck; do
    echo "== $tool"
    timeout 45 compute-sanitizer --tool "$tool" --error-exitcode 9 "$build/tests/gpu/moeline_gpu_tests" \
      "experts of zero to eight tiles*" || echo "$tool: status $?"
  done
}

run() {
  deps=$(readlink -f "$1") build=${MOELINE_BUILD:-$root/build/gpu} out=$2
  MOELINE_SECONDS=${MOELINE_SECONDS:-570}
  mkdir -p "$out" && out=$(readlink -f "$out")
  export LD_LIBRARY_PATH=$deps/usr/lib/x86_64-linux-gnu:${LD_LIBRARY_PATH:-} PATH=/usr/local/cuda/bin:$PATH
  export -f machine build sanitize
  export deps build
  step machine 20 bash -c machine
  if ! step build 240 bash -c build; then
    tail -n 40 "$out/build.txt"
    exit 1
  fi
  step tests 120 "$build/tests/gpu/moeline_gpu_tests" -d yes
  step sanitizer 100 bash -c sanitize
  step measure "$(($(left) - 10))" "$build/cli/moeline" measure --backend cuda --suite quick --out "$out/measurements.jsonl"
  if [[ -s $out/measurements.jsonl ]]; then python3 validate/rates.py "$out/measurements.jsonl" >"$out/rates.txt"; fi
  cat "$out"/summary.txt "$out"/rates.txt 2>/dev/null
}

case ${1:-} in
  pack) (($# == 2)) || usage; pack "$2" ;;
  run) (($# == 3)) || usage; run "$2" "$3" ;;
  *) usage ;;
esac
