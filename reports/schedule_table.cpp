#include "reports/schedule_table.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "spec/json.hpp"

namespace moeline {
namespace {

Seconds bubble(const TrainEvaluation& train) {
  const auto& rows = train.breakdown.rows();
  const auto found = std::find_if(rows.begin(), rows.end(), [](const BreakdownRow& row) { return row.name == "pipeline bubble"; });
  return found != rows.end() ? found->exposed : Seconds{};
}

}  // namespace

std::string schedules_text(const std::vector<ScheduleRow>& rows, const std::string& question) {
  std::string out = fmt::format("{}\n  {:<18}{:>4}{:>12}{:>12}{:>9}{:>9}{:>12}\n", question, "schedule", "vpp", "step", "bubble",
                                "share", "MFU", "memory");
  for (const ScheduleRow& row : rows) {
    out += fmt::format("  {:<18}{:>4}", row.name, row.vpp);
    if (const Infeasible* why = std::get_if<Infeasible>(&row.answer)) {
      out += fmt::format("{:>12}   {}\n", "-", why->reason);
      continue;
    }
    const TrainEvaluation& train = std::get<TrainEvaluation>(row.answer);
    out += fmt::format("{:>12}{:>12}{:>7.1f} %{:>7.1f} %{:>12}   of {}, stage {} binds\n", format(train.step.value),
                       format(bubble(train)), 100 * (bubble(train) / train.step.value), 100 * train.mfu,
                       format(train.memory.total()), format(train.memory_available), train.memory_stage);
  }
  return out;
}

std::string schedules_json(const std::vector<ScheduleRow>& rows) {
  Json list = Json::array();
  for (const ScheduleRow& row : rows) {
    Json json{{"schedule", row.name}, {"vpp", row.vpp}, {"feasible", true}};
    if (const Infeasible* why = std::get_if<Infeasible>(&row.answer)) {
      json.update(infeasible_json(*why));
    } else {
      const TrainEvaluation& train = std::get<TrainEvaluation>(row.answer);
      json["step_time_seconds"] = Json{{"value", train.step.value.in(second)}, {"p10", train.step.p10.in(second)}, {"p90", train.step.p90.in(second)}};
      json["bubble_seconds"] = bubble(train).in(second);
      json["bubble_share"] = bubble(train) / train.step.value;
      json["mfu"] = train.mfu;
      json["memory"] = Json{{"required_bytes", train.memory.total().in(byte)},
                            {"available_bytes", train.memory_available.in(byte)},
                            {"stage", train.memory_stage}};
    }
    list.push_back(json);
  }
  return Json{{"kind", "schedules"}, {"schedules", list}}.dump(2) + "\n";
}

}  // namespace moeline
