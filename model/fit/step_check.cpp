#include "fit/step_check.hpp"

#include <fmt/format.h>

#include <cmath>
#include <map>

#include "fit/calibration_file.hpp"
#include "fit/step_data.hpp"
#include "plan/evaluate.hpp"
#include "spec/json.hpp"

namespace moeline {
namespace {

constexpr double kRemarkable = 0.15;  // errors beyond it are listed one by one

class Summary {
 public:
  Checked& of(FamilyKey key, std::string_view operation) {
    key.operation = operation;
    Checked& checked = families_[key];
    checked.key = key;
    return checked;
  }
  void add(const FamilyKey& key, std::string_view operation, const std::string& label, double predicted, double measured) {
    Checked& checked = of(key, operation);
    checked.ratios.push_back(std::log(predicted / measured));
    if (operation == "training_step") checked.predicted_us.push_back(predicted);  // bytes are no times
    const double error = predicted / measured - 1;
    if (std::abs(error) > kRemarkable) checked.remarkable.push_back({label, error});
  }
  std::vector<Checked> take() {
    std::vector<Checked> list;
    for (auto& [key, checked] : families_) {
      checked.errors = summarise(checked.ratios);
      if (!checked.ratios.empty()) checked.coverage /= static_cast<double>(checked.ratios.size());
      list.push_back(std::move(checked));
    }
    return list;
  }

 private:
  std::map<FamilyKey, Checked> families_;
};

// Reasons differ by figures; what overflows does not.
std::string without_figures(const std::string& reason) { return reason.substr(0, reason.find(':')); }

}  // namespace

std::vector<Checked> check_steps(const Csv& csv, const std::string& calibration) {
  Summary summary;
  std::map<std::string, Calibration> calibrations;
  for (std::size_t row = 0; row < csv.rows(); ++row) {
    auto read = measured_step(csv, row);
    if (const std::string* why = std::get_if<std::string>(&read)) {
      ++summary.of({"-", "training_step", "-", "-"}, "training_step").skipped[*why];
      continue;
    }
    const MeasuredStep& step = std::get<MeasuredStep>(read);
    const Scenario scenario = read_scenario(step.scenario, csv.origin() + " " + step.label);
    const std::string& name = calibration == "auto" ? scenario.calibration : calibration;
    const auto [fit, first] = calibrations.try_emplace(step.key.device + " " + name);
    std::string note;
    if (first) fit->second = calibration_named(name, scenario.cluster, note);
    const Outcome outcome = evaluate(scenario, fit->second);
    if (const Infeasible* why = std::get_if<Infeasible>(&outcome)) {
      ++summary.of(step.key, "training_step").skipped["read as infeasible: " + without_figures(why->reason)];
      continue;
    }
    const TrainEvaluation& answer = std::get<TrainEvaluation>(std::get<Evaluation>(outcome).answer);
    summary.add(step.key, "training_step", step.label, answer.step.value.in(microsecond), step.time.in(microsecond));
    if (answer.step.p10 <= step.time && step.time <= answer.step.p90) summary.of(step.key, "training_step").coverage += 1;
    if (step.memory) summary.add(step.key, "training_memory", step.label, answer.memory.total().in(byte), step.memory->in(byte));
  }
  return summary.take();
}

}  // namespace moeline
