#include "reports/page_answer.hpp"

#include "fit/lending.hpp"
#include "reports/formats.hpp"
#include "reports/records.hpp"
#include "reports/timeline_json.hpp"
#include "spec/json.hpp"

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

// Throughput by attention tiles a micro-batch, all else as asked; tilings that cannot run are left out.
Json tilings_json(const WaferAnswer& wafer, Json json, const std::string& origin) {
  constexpr std::int64_t kMost = 4096;
  Json list = Json::array();
  for (std::int64_t tiles = 1; tiles <= kMost; tiles *= 2) {
    json["workload"]["wafer"]["g"] = tiles;
    const Answer tiled = answer_to(json, origin);
    const Evaluation* evaluation = std::get_if<Evaluation>(&tiled.outcome);
    if (evaluation == nullptr) continue;
    const TrainEvaluation& train = std::get<TrainEvaluation>(evaluation->answer);
    list.push_back(Json{{"g", tiles}, {"tokens_per_second", train.tokens_per_second}, {"bound_by", train.wafer->binds}});
    if (wafer.mode == WaferMode::resident) break;
  }
  return list;
}

// A user's speed and a device's throughput by requests at once, all else as asked.
Json concurrencies_json(Json json, const std::string& origin) {
  constexpr std::int64_t kMost = 4096;
  Json list = Json::array();
  for (std::int64_t requests = 1; requests <= kMost; requests *= 2) {
    json["workload"]["concurrency"] = requests;
    const Answer served = answer_to(json, origin);
    const Evaluation* evaluation = std::get_if<Evaluation>(&served.outcome);
    if (evaluation == nullptr) continue;
    const ServeEvaluation& serve = std::get<ServeEvaluation>(evaluation->answer);
    list.push_back(Json{{"concurrency", requests},
                        {"ttft_seconds", serve.ttft.value.in(second)},
                        {"tpot_seconds", serve.tpot.value.in(second)},
                        {"tokens_per_second_per_user", serve.tokens_per_second_per_user},
                        {"tokens_per_second_per_device", serve.tokens_per_second_per_device}});
  }
  return list;
}

// Speed-up over plain decoding by tokens drafted and by sequences of a worker, priced as the answer's own round is.
Json speedups_json(Scenario scenario, const Calibration& calibration, const DecodeRound& now) {
  constexpr std::int64_t kMostDrafted = 12, kMostSequences = 512;
  const ServeWorkload& w = std::get<ServeWorkload>(scenario.workload);
  const double context = static_cast<double>(w.input) + static_cast<double>(w.output) / 2;
  Json rows = Json::array(), batches = Json::array();
  for (std::int64_t sequences = 1; sequences <= kMostSequences; sequences *= 2) batches.push_back(sequences);
  for (std::int64_t drafted = 1; drafted <= kMostDrafted; ++drafted) {
    scenario.speculation.draft_tokens = drafted;
    const ServingSteps steps(scenario, w.decode.layout, calibration, stack_conduct(w));
    Json row = Json::array();
    for (const Json& sequences : batches) row.push_back(steps.rounds()->at(sequences, context).speedup());
    rows.push_back(std::move(row));
  }
  return Json{{"sequences", std::move(batches)}, {"speedup", std::move(rows)}, {"now", {{"draft_tokens", now.drafted}, {"sequences", now.iteration.decoding}}}};
}

// A wafer runs one stream, which the ops tell as well.
void add_timeline(Json& page, const Answer& answer) {
  const auto traced = trace_of(*answer.scenario, answer.calibration);
  if (const StepTrace* trace = std::get_if<StepTrace>(&traced)) page["timeline"] = timeline_json(*trace);
}

Json page_of(const Answer& answer, const Evaluation& evaluation, const Json& json, const std::string& origin) {
  Json page{{"headline", headline(evaluation, *answer.scenario)}, {"asked", json}};
  if (const ServeEvaluation* serve = std::get_if<ServeEvaluation>(&evaluation.answer)) {
    if (!std::get<ServeWorkload>(answer.scenario->workload).request_rate) page["concurrencies"] = concurrencies_json(json, origin);
    if (serve->round) page["speedups"] = speedups_json(*answer.scenario, answer.calibration, *serve->round);
  } else {
    add_explanation(page, answer, json, origin);
    add_timeline(page, answer);
  }
  const TrainEvaluation* train = std::get_if<TrainEvaluation>(&evaluation.answer);
  if (train != nullptr && train->wafer) page["tilings"] = tilings_json(*train->wafer, json, origin);
  page["roofline"] = roofline_json(answer.scenario->cluster.device);
  page["facts"] = facts(find_hardware(json.value("hardware", Json()), origin).json);
  page["fits"] = fits_json(*answer.scenario);
  return page;
}

}  // namespace

Explanation explained(const Question& question, const Answer& answer, const Json& json, const std::string& origin,
                      std::size_t ops) {
  const Evaluation& evaluation = std::get<Evaluation>(answer.outcome);
  return {*answer.scenario,
          evaluation,
          elasticities(question),
          without_each(question, evaluation),
          layout_neighbours(json, origin, *answer.scenario, answer.calibration, evaluation),
          explained_ops(question, evaluation, ops)};
}

void add_explanation(Json& page, const Answer& answer, const Json& json, const std::string& origin) {
  constexpr std::size_t kOps = 1000;  // all of them
  const Question question = varied_question(*answer.scenario, answer.calibration, std::get<Evaluation>(answer.outcome));
  const Json explanation = explanation_json(explained(question, answer, json, origin, kOps));
  for (const char* key : {"elasticities", "without", "neighbours", "passes", "ops"}) {
    if (explanation.contains(key)) page[key] = explanation[key];
  }
}

namespace {

const char* kind_of(const Workload& workload) {
  if (std::holds_alternative<TrainWorkload>(workload)) return "train";
  return std::holds_alternative<LayerWorkload>(workload) ? "layer" : "serve";
}

}  // namespace

Json page_answer(const Answer& answer, const Json& json, const std::string& origin) {
  if (const Infeasible* why = std::get_if<Infeasible>(&answer.outcome)) {
    Json out = infeasible_json(*why);
    out["kind"] = kind_of(answer.scenario->workload);
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
