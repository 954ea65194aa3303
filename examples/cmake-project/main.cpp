// How long does the step of a scenario file take, and how far is that to be trusted?
#include <iostream>
#include <moeline/fit/answer.hpp>
#include <moeline/units_text.hpp>

int step_time(const std::string& path) {
  const moeline::Answer answer = moeline::answer_to(moeline::parse_json(moeline::read_file(path), path), path);
  if (const auto* why = std::get_if<moeline::Infeasible>(&answer.outcome)) {
    std::cerr << path << ": infeasible: " << why->reason << "; " << why->advice << '\n';
    return 3;
  }
  const auto& evaluation = std::get<moeline::Evaluation>(answer.outcome);
  const auto* train = std::get_if<moeline::TrainEvaluation>(&evaluation.answer);
  if (train == nullptr) throw moeline::SpecError(path, "expected a training step, not a layer");
  std::cout << "step " << moeline::format(train->step.value) << ", " << moeline::format(train->step.p10) << " to "
            << moeline::format(train->step.p90) << "\nweakest source: " << moeline::name(evaluation.source) << '\n';
  for (const std::string& assumption : evaluation.assumptions) std::cout << "assumed: " << assumption << '\n';
  return 0;
}

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: step_time scenario.json\n";
    return 2;
  }
  try {
    return step_time(argv[1]);
  } catch (const moeline::SpecError& error) {
    std::cerr << error.what() << '\n';
    return 2;
  }
}
