# Sourced by run and test: which Debian packages a build needs, and their installation.

core_packages=(g++ cmake ninja-build ccache libfmt-dev nlohmann-json3-dev libcli11-dev libeigen3-dev libtbb-dev)
test_packages=(catch2 pybind11-dev python3-dev clang libclang-rt-14-dev clang-format clang-tidy hyperfine libbenchmark-dev
               libopenmpi-dev openmpi-bin chromium emscripten node-acorn)

# Prints those of the given packages that are not installed, one per line.
missing_packages() {
  local installed
  installed=" $(dpkg-query -W -f '${Package}:${db:Status-Status} ' "$@" 2>/dev/null || true)"
  local package
  for package in "$@"; do
    [[ $installed == *" $package:installed "* ]] || echo "$package"
  done
}

# Installs what is missing; where that is impossible, says the command to type and leaves with 4.
# On systems without dpkg it does nothing: CMake says what it cannot find.
ensure_packages() {
  command -v dpkg-query >/dev/null || return 0
  local missing
  mapfile -t missing < <(missing_packages "$@")
  ((${#missing[@]})) || return 0
  echo "missing packages: ${missing[*]}" >&2
  local install=(apt-get install -y -q --no-install-recommends "${missing[@]}")
  local as_root=()
  if ((EUID != 0)); then
    if ! command -v sudo >/dev/null; then
      echo "install them as root, then run this again:  apt-get update && apt-get install -y ${missing[*]}" >&2
      exit 4
    fi
    as_root=(sudo)
  fi
  echo "installing them: ${as_root[*]:+${as_root[*]} }apt-get install ${missing[*]}" >&2
  local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive)
  local log
  log=$(mktemp)
  # Package lists may be absent (a bare container) or stale: refresh them only when the install fails without.
  if ! "${apt[@]}" "${install[@]}" >"$log" 2>&1 </dev/null; then
    if ! { "${apt[@]}" apt-get update -q && "${apt[@]}" "${install[@]}"; } >"$log" 2>&1 </dev/null; then
      tail -n 20 "$log" >&2
      rm -f "$log"
      echo "could not install; try as root:  apt-get update && apt-get install -y ${missing[*]}" >&2
      exit 4
    fi
  fi
  rm -f "$log"
}
