// Which cases are measured, and how long each may take?
//
//   {"effort": {"warm_up": "20 ms", "least": "50 ms", "most": "250 ms", "noise": 0.01, "samples": 10, "hot": false,
//               "visits": 1},
//    "cases": [{"op": "gemm", "dtype": ["fp32", "bf16"], "shape": {"m": [1, 16], "n k": [[1024, 4096], [4096, 1024]]}},
//    ...], "fresh": [...]}
// A group stands for all combinations of what it lists; names written together, as "n k", go in step. `library` and
// `kind` may be lists too; without `library` the backend's default is taken, with "all" every one it has. `fresh` cases
// are never fitted: `calibrate` checks with them.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "spec/catalogue.hpp"
#include "validate/backend.hpp"
#include "validate/bench.hpp"

namespace moeline {

struct Suite {
  Effort effort;
  bool hot = false;  // time the cases with warm caches as well
  // How often all cases are gone through, each time with fresh memory and a record: a machine that is slow for seconds, or placed a
  // buffer badly, is then so for one of them.
  std::size_t visits = 1;
  std::vector<Case> cases, fresh;
};

// The suites of validate/suites, carried in the binary: "host-quick", "cuda-full", ...
std::span<const CatalogueEntry> suite_catalogue();

// `value` is a path ending in .json, or quick, full: the suite of that name for the backend. SpecError names the place.
Suite find_suite(const std::string& value, const std::string& backend);
Suite read_suite(const Json& json, const std::string& origin);

}  // namespace moeline
