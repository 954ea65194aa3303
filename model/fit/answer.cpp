#include "fit/answer.hpp"

#include "fit/calibration_file.hpp"
#include "spec/json.hpp"

namespace moeline {

Answer answer_to(Json json, const std::string& origin) {
  if (!json.is_object()) throw SpecError(origin, "expected an object {...}: a scenario");
  Json& workload = json["workload"];
  if (workload.is_null()) workload = Json::object();
  if (workload.is_object() && !workload.contains("kind")) workload["kind"] = "train";
  auto scenario = std::make_unique<Scenario>(read_scenario(json, origin));
  std::string note;
  Calibration calibration = calibration_named(scenario->calibration, scenario->cluster, note, std::holds_alternative<ServeWorkload>(scenario->workload));
  scenario->assumptions.push_back(note);
  Outcome outcome = evaluate(*scenario, calibration);
  return {std::move(scenario), std::move(calibration), std::move(outcome)};
}

}  // namespace moeline
