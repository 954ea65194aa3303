#include <algorithm>
#include <catch2/catch.hpp>

#include "engine/sweep_run.hpp"
#include "error_of.hpp"
#include "reports/sweep_rows.hpp"

namespace moeline {
namespace {

Sweep sampled() {
  return read_sweep(parse_json(R"({"scenario": {"model": {"base": "qwen3-30b-a3b", "num_hidden_layers": 4},
      "hardware": "h200-sxm", "devices": 16, "calibration": "none", "workload": {"kind": "train", "global_batch": 64}},
      "vary": {"/parallelism/ep": [1, 2, 4, 8, 16, 5, "many"], "/workload/sequence": {"from": 512, "to": 8192, "scale": "log"},
               "/hardware/device/hbm_capacity": ["1 GB", "141 GB"]}, "mode": {"random": 300}})",
                               "s.json"),
                    "s.json");
}

std::string rows(int threads, SweepSettings settings) {
  const Sweep sweep = sampled();
  const PointReader reader(sweep, "s.json");
  settings.threads = threads;
  std::string text;
  run_sweep(sweep, reader, settings, sweep_csv_header(reader.columns()), sweep_csv_row, nullptr,
            [&](const std::string& row) { text += row; });
  return text;
}

// Fields that overlap, that some values break, and that others replace as a whole.
Sweep mixed() {
  return read_sweep(parse_json(R"({"scenario": {"model": {"base": "qwen3-30b-a3b", "num_hidden_layers": 4},
      "hardware": "h200-sxm", "devices": 16, "calibration": "none", "workload": {"kind": "train", "global_batch": 64}},
      "vary": {"/model/num_experts": [64, 128], "/routing": [{"popularity": "power_law", "alpha": 1.1}, {"popularity": "zipf"}],
               "/workload/lora": [{"rank": 8}, {"targets": "attention"}, 5], "/workload/lora/rank": [4, 0],
               "/workload/recompute": ["full", ["moe_act"]], "/workload/recompute/0": ["layernorm"], "/recipe": ["mxfp9", "bf16"],
               "/parallelism/ep": [8, "many", 4]}, "mode": {"random": 60}})",
                               "s.json"),
                    "s.json");
}

}  // namespace

TEST_CASE("a point is the same whatever points were read before it") {
  const Sweep sweep = mixed();
  const PointReader reader(sweep, "s.json");
  for (std::uint64_t number = 0; number < sweep.points(); ++number) {
    CHECK(sweep_csv_row(reader.point(number)) == sweep_csv_row(PointReader(sweep, "s.json").point(number)));
  }
}

TEST_CASE("a row says what was varied as it was given, to the last digit") {
  const Point point{.varied = {Json(18446744073709551615u), Json(-3), Json(0.1), Json("a,\"b\""), Json(nullptr)},
                    .figures = {1.0 / 3, std::nullopt, 1e20}, .feasible = true, .reason = ""};
  CHECK(sweep_csv_row(point) == "18446744073709551615,-3,0.1,\"a,\"\"b\"\"\",null,0.333333333,,1e+20,true,\n");  // nine digits
}

TEST_CASE("a sweep writes the same bytes on one, two and four threads") {
  const std::string one = rows(1, {});
  CHECK(std::count(one.begin(), one.end(), '\n') == 301);  // 300 points and the header
  CHECK(rows(2, {}) == one);
  CHECK(rows(4, {}) == one);
  SweepSettings front;
  front.pareto = {1, 3, false, false};  // sequence and step time
  const std::string kept = rows(1, front);
  CHECK(rows(4, front) == kept);
  front.largest_front = static_cast<std::size_t>(std::count(kept.begin(), kept.end(), '\n')) - 2;  // a header, one too many
  CHECK_THAT(error_of([&] { rows(1, front); }), Catch::StartsWith("--pareto: more than "));
}

TEST_CASE("a sweep keeps one row for every point, feasible, infeasible or bad") {
  const std::string text = rows(2, {});
  CHECK_THAT(text, Catch::Contains("out of memory"));
  CHECK_THAT(text, Catch::Contains("ep=5 does not divide") || Catch::Contains("etp x ep = 5 does not divide"));
  CHECK_THAT(text, Catch::Contains("expected a whole number"));
  CHECK_THAT(text, Catch::Contains("true,"));
}

}  // namespace moeline
