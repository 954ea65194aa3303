// Our own measurement records: what `measure` writes and `fit` reads, one JSON object a line,
//
//   {"machine": {a hardware profile}}                         at most once, for a machine of which no profile is carried
//   {"op": "gemm", "device": "h200-sxm", "backend": "cublas", "shape": {"m": 4096, "n": 4096, "k": 7168},
//    "dtype": "bf16", "seconds": {"median": 3.1e-4, "p10": ..., "p90": ..., "n": 50}, "run": ..., ...}
// op and shape: gemm m, n, k; grouped_gemm groups, m (rows of one expert), n, k; all_to_all ranks, bytes (of one rank's
// buffer); collective kind, ranks, bytes (all_reduce: one rank's buffer, else the whole gathered or scattered one);
// memory_pass bytes (read and written); quantise rows, columns, from bf16: a memory pass too. A kind (copy, row, ...) names
// the kernel. The backend is the family's library. Operands are cold and one call is timed at a time, so neither residency
// nor throttling belongs to the equations here. Other keys describe the run and are not used. A record that says how it
// failed has no time. Records of the same case are one row, the middle of their medians.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cost/calibration.hpp"
#include "fit/family.hpp"
#include "spec/reader.hpp"

namespace moeline {

struct SampleSet {
  double median = 0, p10 = 0, p90 = 0;  // seconds
  std::size_t n = 0;
};

struct Record {
  std::string op, device, backend, kind, dtype;
  std::map<std::string, double> shape;
  SampleSet seconds;
  std::optional<SampleSet> hot_seconds;  // operands in the caches, as far as they fit
  double disturbed = 0;                  // share of the samples during which another process held a core
  double clock_hz = 0;                   // 0: not known
  double error = 0;                      // of the check before the timing
  std::map<std::string, std::string> versions;
  std::string run;     // which run of `measure`
  std::string failed;  // why there is no time; empty if there is one
};

// One line, without its end.
std::string record_text(const Record& record);
// SpecError naming the place. A key that is not known is let pass.
Record read_record(const Json& json, const std::string& where);

// Fewer rows than this are check only: fit/few_points scales a page of a relative with them. A pass over memory has two
// parameters, which a dozen sizes identify.
inline constexpr std::size_t kFewestRecords = 50, kFewestPasses = 12;

// SpecError "origin:line" for a line that is not a record. Ops and devices that are not known are counted by reason.
std::vector<FamilyData> record_families(std::string_view text, const std::string& origin);

// Parameters of a memory_pass family, and their values -> the structure gpu/roofline predicts with.
std::vector<Parameter> memory_parameters();
MemoryFit memory_fit(const std::vector<double>& values);

}  // namespace moeline
