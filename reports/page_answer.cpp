#include "reports/page_answer.hpp"

#include <nlohmann/json.hpp>

#include "fit/lending.hpp"
#include "reports/formats.hpp"
#include "reports/records.hpp"

namespace moeline {
namespace {

Json peaks_json(const TensorPeaks& peaks) {
  Json list = Json::array();
  for (const auto& [name, peak] : {std::pair{"bf16", peaks.bf16}, std::pair{"fp8", peaks.fp8}, std::pair{"fp4", peaks.fp4}}) {
    if (peak) list.push_back(Json{{"name", name}, {"flops_per_second", peak->value.in(flop_per_second)}});
  }
  return list;
}

Json roofline_json(const Device& device) {
  if (const Gpu* gpu = std::get_if<Gpu>(&device)) {
    return Json{{"device", gpu->name},
                {"memory", "HBM"},
                {"bytes_per_second", gpu->hbm_bandwidth.value.in(byte_per_second)},
                {"peaks", peaks_json(gpu->dense_peak)}};
  }
  const Wafer& wafer = std::get<Wafer>(device);
  return Json{{"device", wafer.name},
              {"memory", "SRAM"},
              {"bytes_per_second", wafer.sram_bandwidth.value.in(byte_per_second)},
              {"peaks", peaks_json(wafer.dense_peak)}};
}

// Fits that may price this machine; errors are of groups that a fit never saw.
Json fits_json(const Scenario& scenario) {
  Json list = Json::array();
  if (scenario.calibration != "auto") return list;
  std::string taken;
  for (const Page& page : carried_pages(scenario.cluster, taken, false)) {
    const FamilyFit& fit = page.fit;
    const ErrorSummary& errors = fit.held_out.n > 0 ? fit.held_out : fit.fitted;
    list.push_back(Json{{"device", fit.key.device},
                        {"operation", fit.key.operation},
                        {"library", fit.key.library},
                        {"dtype", fit.key.dtype},
                        {"own", page.own},
                        {"n", fit.fitted.n},
                        {"held_out", fit.held_out.n > 0},
                        {"mean_abs_error", errors.mean},
                        {"bias", errors.bias},
                        {"p90_abs_error", errors.p90},
                        {"domain", fit.domain},
                        {"source", fit.source}});
  }
  return list;
}

Json page_of(const Answer& answer, const Evaluation& evaluation, const Json& json, const std::string& origin) {
  constexpr std::size_t kOps = 1000;  // all of them
  Json page{{"headline", headline(evaluation, *answer.scenario)}, {"asked", json}};
  const Question question = varied_question(*answer.scenario, answer.calibration, evaluation);
  const Json explanation = explanation_json(explained(question, answer, json, origin, kOps));
  for (const char* key : {"elasticities", "without", "neighbours", "passes", "ops"}) {
    if (explanation.contains(key)) page[key] = explanation[key];
  }
  page["roofline"] = roofline_json(answer.scenario->cluster.device);
  page["facts"] = facts(find_hardware(json.value("hardware", Json()), origin).json);
  page["fits"] = fits_json(*answer.scenario);
  return page;
}

}  // namespace

Explanation explained(const Question& question, const Answer& answer, const Json& json, const std::string& origin,
                      std::size_t ops) {
  const Evaluation& evaluation = std::get<Evaluation>(answer.outcome);
  Explanation e{*answer.scenario,
                evaluation,
                elasticities(question),
                without_each(question, evaluation),
                {},
                explained_ops(question, evaluation, ops)};
  if (const TrainEvaluation* train = std::get_if<TrainEvaluation>(&evaluation.answer))
    e.neighbours = layout_neighbours(json, origin, *answer.scenario, answer.calibration, *train);
  return e;
}

Json page_answer(const Answer& answer, const Json& json, const std::string& origin) {
  if (const Infeasible* why = std::get_if<Infeasible>(&answer.outcome)) {
    Json out = infeasible_json(*why);
    out["kind"] = std::holds_alternative<TrainWorkload>(answer.scenario->workload) ? "train" : "layer";
    out["scenario"] = answer.scenario->resolved;
    out["page"] = Json{{"asked", json}};
    return out;
  }
  const Evaluation& evaluation = std::get<Evaluation>(answer.outcome);
  Json out = to_json(evaluation, *answer.scenario);
  out["page"] = page_of(answer, evaluation, json, origin);
  return out;
}

}  // namespace moeline
