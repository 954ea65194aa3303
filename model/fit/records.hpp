// Our own measurement records as families: one JSON object a line,
//
//   {"op": "gemm", "device": "h200-sxm", "backend": "cublas", "shape": {"m": 4096, "n": 4096, "k": 7168},
//    "dtype": "bf16", "seconds": {"median": 3.1e-4, "p10": ..., "p90": ..., "n": 50}, "run": ..., ...}
// op and shape: gemm m, n, k; grouped_gemm groups, m (rows of one expert), n, k; all_to_all ranks, bytes (of one rank's
// buffer); collective kind, ranks, bytes (all_reduce: one rank's buffer, else the whole gathered or scattered one);
// memory_pass bytes (read and written). The backend is the family's library. Operands are cold and one call is timed at
// a time, so neither residency nor throttling belongs to the equations here. Other keys describe the run and are not
// used.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cost/calibration.hpp"
#include "fit/family.hpp"

namespace moeline {

// Fewer rows than this are check only: fit/few_points scales a page of a relative with them.
inline constexpr std::size_t kFewestRecords = 50;

// SpecError "origin:line" for a line that is not a record. Ops and devices that are not known are counted by reason.
std::vector<FamilyData> record_families(std::string_view text, const std::string& origin);

// Parameter values of a memory_pass family -> the structure gpu/roofline predicts with.
MemoryFit memory_fit(const std::vector<double>& values);

}  // namespace moeline
