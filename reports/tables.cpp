// Breakdowns for spreadsheets and for documents.
#include <fmt/format.h>

#include "reports/formats.hpp"

namespace moeline {
namespace {

struct Row {
  std::string_view name, phase;
  Lane lane;
  Seconds seconds, exposed;
  Flops flops;
  Bytes bytes;
  std::string_view bound_by;
  Source source;
};

std::vector<Row> rows(const Evaluation& evaluation) {
  std::vector<Row> list;
  const auto add = [&](const Breakdown& breakdown) {
    for (const BreakdownRow& r : breakdown.rows()) {
      list.push_back({r.name, r.phase, r.lane, r.seconds, r.exposed, r.flops, r.bytes, r.bound_by, r.source});
    }
  };
  if (const TrainEvaluation* train = std::get_if<TrainEvaluation>(&evaluation.answer)) {
    add(train->breakdown);
  } else if (const ServeEvaluation* serve = std::get_if<ServeEvaluation>(&evaluation.answer)) {
    add(serve->breakdown);
  } else {
    for (const LayerRow& r : std::get<LayerEvaluation>(evaluation.answer).rows) {
      list.push_back({r.name, r.phase, r.lane, r.cost.time, r.exposed, r.cost.flops, r.cost.bytes, r.cost.bound_by,
                      r.cost.source});
    }
  }
  return list;
}

}  // namespace

std::string to_csv(const Evaluation& evaluation) {
  std::string out = "name,phase,lane,seconds,exposed_seconds,flops,bytes,bound_by,source\n";
  for (const Row& r : rows(evaluation)) {
    out += fmt::format("\"{}\",{},{},{:.9g},{:.9g},{:.9g},{:.9g},\"{}\",{}\n", r.name, r.phase, name(r.lane),
                       r.seconds.in(second), r.exposed.in(second), r.flops.in(flop), r.bytes.in(byte), r.bound_by,
                       name(r.source));
  }
  return out;
}

std::string to_markdown(const Evaluation& evaluation, const Scenario& scenario) {
  std::string out = fmt::format("**{}**\n\n", headline(evaluation, scenario));
  if (const TrainEvaluation* train = std::get_if<TrainEvaluation>(&evaluation.answer)) {
    out += fmt::format("step {} ({} to {}), {:.0f} tokens/s/device, {} per device, MFU {:.1f} % of the dense {} peak, "
                       "memory {} of {}\n\n",
                       format(train->step.value), format(train->step.p10), format(train->step.p90),
                       train->tokens_per_second_per_device, format(train->model_rate), 100 * train->mfu,
                       train->mfu_format, format(train->memory.total()), format(train->memory_available));
  }
  if (const ServeEvaluation* serve = std::get_if<ServeEvaluation>(&evaluation.answer)) {
    out += fmt::format("TTFT {} ({} to {}), TPOT {} ({} to {}), {:.0f} tokens/s, {:.1f} tokens/s/device, memory {} of {}\n\n",
                       format(serve->ttft.value), format(serve->ttft.p10), format(serve->ttft.p90), format(serve->tpot.value),
                       format(serve->tpot.p10), format(serve->tpot.p90), serve->tokens_per_second,
                       serve->tokens_per_second_per_device, format(serve->memory.total()), format(serve->memory_available));
  }
  out += "| part | phase | exposed | in all | bound by | source |\n| --- | --- | ---: | ---: | --- | --- |\n";
  for (const Row& r : rows(evaluation)) {
    out += fmt::format("| {} | {} | {} | {} | {} | {} |\n", r.name, r.phase, format(r.exposed), format(r.seconds),
                       r.bound_by, name(r.source));
  }
  return out;
}

}  // namespace moeline
