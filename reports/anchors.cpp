#include "reports/anchors.hpp"

#include <fmt/format.h>

#include <cmath>

#include "fit/calibration_file.hpp"
#include "reports/anchor_machines.hpp"
#include "reports/records.hpp"
#include "spec/catalogue.hpp"
#include "spec/json.hpp"

namespace moeline {
namespace {

std::string number(double value) { return fmt::format("{:.4g}", value); }

}  // namespace

AnchorMachine::AnchorMachine(const std::string& profile) {
  const Document document = find_hardware(profile, "anchors");
  cluster_ = read_cluster(document.json, document.origin);
  calibration_ = calibration_named("auto", cluster_);
}

void AnchorMachine::scale_peaks(double factor) {
  TensorPeaks& peaks = std::get<Gpu>(cluster_.device).dense_peak;
  for (auto* peak : {&peaks.bf16, &peaks.fp8, &peaks.fp4, &peaks.tf32}) {
    if (*peak) (*peak)->value *= factor;
  }
}

std::vector<Anchor> anchors() {
  std::vector<Anchor> list;
  add_kernel_anchors(list);
  add_te_anchors(list);
  add_layer_anchors(list);
  add_decode_anchors(list);
  add_inference_anchors(list);
  add_serving_anchors(list);
  return list;
}

nlohmann::ordered_json anchor_records(const std::vector<Anchor>& list) {
  nlohmann::ordered_json records = nlohmann::ordered_json::array();
  for (const Anchor& a : list) {
    records.push_back({{"table", a.table},
                       {"scenario", a.scenario},
                       {"measured", std::stod(number(a.measured))},
                       {"predicted", std::stod(number(a.predicted))},
                       {"unit", a.unit},
                       {"error", std::round(1000 * a.error()) / 1000},
                       {"target", a.target},
                       {"input", a.input},
                       {"source", a.source}});
  }
  return records;
}

std::string anchor_table(const std::vector<Anchor>& list) {
  std::string out, table;
  for (const Anchor& a : list) {
    if (a.table != table) out += fmt::format("{}{}\n", table.empty() ? "" : "\n", table = a.table);
    out += fmt::format("  {:<58}{:>10}{:>10} {:<8}{:>+7.1f} %{}\n", a.scenario, number(a.measured), number(a.predicted),
                       a.unit, 100 * a.error(),
                       a.input                                 ? "  input"
                       : std::abs(a.error()) > a.target + 5e-4 ? "  misses"
                                                               : "");
  }
  return out;
}

std::string anchor_markdown(const std::vector<Anchor>& list) {
  std::string out =
      "| table | scenario | measured | predicted | unit | error | aim | input | source |\n"
      "| --- | --- | ---: | ---: | --- | ---: | ---: | --- | --- |\n";
  for (const Anchor& a : list) {
    out += fmt::format("| {} | {} | {} | {} | {} | {:+.1f} % | {:.0f} % | {} | {} |\n", a.table, a.scenario,
                       number(a.measured), number(a.predicted), a.unit, 100 * a.error(), 100 * a.target,
                       a.input ? "yes" : "no", a.source);
  }
  return out;
}

}  // namespace moeline
