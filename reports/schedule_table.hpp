// One step under every pipeline schedule: time, bubble, memory, or why not.
#pragma once

#include <string>
#include <vector>

#include "plan/evaluate.hpp"
#include "reports/report.hpp"

namespace moeline {

struct ScheduleRow {
  std::string name;
  std::int64_t vpp = 1;
  std::variant<TrainEvaluation, Infeasible> answer;
};

std::string schedules_text(const std::vector<ScheduleRow>& rows, const std::string& question);
std::string schedules_json(const std::vector<ScheduleRow>& rows);

}  // namespace moeline
